"""DiscomfortTestRunner on the embedded engine: a workflow file runs as one node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders
from discomfort.runtime.engines.protocol import NodeFailed, PromptRejected
from tests.runtime.embedded.lab import Lab, Prompt, prompt, show


def port(name: str, source: list[Any] | None = None) -> tuple[str, dict[str, Any]]:
    given = {} if source is None else {"input": source}
    return "DiscomfortPort", {"unique_id": name, "tags": "", **given}


def save(folders: Folders, name: str, **nodes: tuple[str, dict[str, Any]]) -> Path:
    path = folders.input / name
    path.write_text(json.dumps(prompt(**nodes)), encoding="utf-8")
    return path


def save_outer(folders: Folders) -> None:
    """Save a workflow that hands all to a runner of adder.json."""
    save(
        folders,
        "outer.json",
        a=port("a"),
        b=port("b"),
        r=("DiscomfortTestRunner", {"workflow": "adder.json", "a": ["a", 0], "b": ["b", 0]}),
        out=port("sum", ["r", 1]),
    )


@pytest.fixture
def adder(folders: Folders) -> Path:
    return save(
        folders,
        "adder.json",
        a=port("a"),
        b=port("b"),
        own=("Number", {"value": "7"}),
        sum=("Add", {"a": ["a", 0], "b": ["b", 0]}),
        more=("Add", {"a": ["sum", 0], "b": ["own", 0]}),
        out=port("sum", ["sum", 0]),
        out2=port("more", ["more", 0]),
    )


def adding(a: int = 1, b: Any = 2, slot: int = 0, workflow: str = "adder.json") -> Prompt:
    return prompt(
        x=("Number", {"value": a}),
        r=("DiscomfortTestRunner", {"workflow": workflow, "a": ["x", 0], "b": b}),
        out=show("r", slot),
    )


@pytest.mark.usefixtures("adder")
class TestRunning:
    def test_ports_are_inputs_and_outputs_in_the_order_of_the_workflow(self, lab: Lab) -> None:
        assert lab.shown(adding(slot=0)) == [3]
        assert lab.shown(adding(slot=1)) == [10]

    def test_equal_inputs_are_found_in_the_cache_and_others_keep_what_does_not_depend_on_them(self, lab: Lab) -> None:
        lab.run(adding())
        lab.calls.clear()
        assert set(lab.run(adding()).cached) == {"x", "r", "out"}
        assert lab.calls == []
        lab.run(adding(a=5))
        assert lab.calls == ["Number", "Add", "Add", "Show"]  # the workflow's own Number is known

    def test_a_changed_file_is_run_again(self, lab: Lab, adder: Path) -> None:
        lab.run(adding())
        adder.write_text(adder.read_text("utf-8").replace('"7"', "100"), encoding="utf-8")
        assert lab.shown(adding(slot=1)) == [103]

    def test_lists_are_mapped_as_in_one_workflow(self, lab: Lab) -> None:
        nodes = adding(b=["l", 0])
        nodes |= prompt(l=("List", {"count": 3}))
        assert [one for one in lab.run(nodes).ui["out"]["shown"]] == [1, 2, 3]

    def test_what_the_workflow_does_not_need_is_not_computed(self, lab: Lab, folders: Folders) -> None:
        lab.add("Choose", lambda first, second=None: (first,), {"first": ("*",)}, {"second": ("*", {"lazy": True})})
        save(
            folders,
            "first.json",
            a=port("a"),
            b=port("b"),
            c=("Choose", {"first": ["a", 0], "second": ["b", 0]}),
            out=port("c", ["c", 0]),
        )
        nodes = adding(b=["y", 0], workflow="first.json")
        nodes |= prompt(y=("Add", {"a": 1, "b": 1}))
        assert lab.shown(nodes) == [1]
        assert "Add" not in lab.calls

    def test_it_runs_for_its_effects_when_nothing_reads_its_outputs(self, lab: Lab, folders: Folders) -> None:
        save(folders, "shows.json", a=port("a"), out=("Show", {"value": ["a", 0]}))
        nodes = prompt(
            x=("Number", {"value": 4}), r=("DiscomfortTestRunner", {"workflow": "shows.json", "a": ["x", 0]})
        )
        lab.run(nodes)
        assert lab.calls == ["Number", "Show"]

    def test_a_runner_in_a_runner(self, lab: Lab, folders: Folders) -> None:
        save_outer(folders)
        assert lab.shown(adding(workflow="outer.json")) == [10]

    def test_a_changed_file_inside_another_is_run_again(self, lab: Lab, folders: Folders, adder: Path) -> None:
        save_outer(folders)
        assert lab.shown(adding(workflow="outer.json")) == [10]
        adder.write_text(adder.read_text("utf-8").replace('"7"', "100"), encoding="utf-8")
        assert lab.shown(adding(workflow="outer.json")) == [103]

    def test_a_node_of_the_workflow_that_changed_is_run_again(self, lab: Lab, folders: Folders) -> None:
        state = {"stamp": 1.0}

        def changed(name: str, a: Any) -> float:
            lab.seen.append((name, a))
            return state["stamp"]

        lab.add("File", lambda name, a: (state["stamp"],), {"name": ("STRING", {}), "a": ("*",)}, IS_CHANGED=changed)
        save(folders, "file.json", a=port("a"), f=("File", {"name": "x", "a": ["a", 0]}), out=port("o", ["f", 0]))
        nodes = prompt(
            x=("Number", {"value": 1}),
            r=("DiscomfortTestRunner", {"workflow": "file.json", "a": ["x", 0]}),
            out=show("r"),
        )
        assert lab.shown(nodes) == [1.0]
        assert set(lab.run(nodes).cached) == {"x", "r", "out"}
        state["stamp"] = 2.0
        assert lab.shown(nodes) == [2.0]
        state["stamp"] = float("nan")
        lab.calls.clear()
        lab.run(nodes)
        lab.run(nodes)
        assert lab.calls.count("File") == 2
        assert set(lab.seen) == {("x", None)}, "what is linked is None, as in one big workflow"


@pytest.mark.usefixtures("adder")
class TestRefusing:
    def refused(self, lab: Lab, nodes: Prompt) -> str:
        with pytest.raises(PromptRejected) as caught:
            lab.run(nodes)
        return str(caught.value)

    def test_a_port_without_a_value_is_named(self, lab: Lab) -> None:
        nodes = adding()
        del nodes["r"]["inputs"]["a"]
        assert "adder needs 'a' (INT): connect it" in self.refused(lab, nodes)

    def test_an_input_without_a_port_is_named_with_those_there_are(self, lab: Lab) -> None:
        nodes = adding()
        nodes["r"]["inputs"]["c"] = ["x", 0]
        assert "adder has no INPUT port 'c'; it has a, b" in self.refused(lab, nodes)

    def test_a_link_of_another_type_is_named(self, lab: Lab) -> None:
        lab.add("Text", lambda: ("text",), returns=("STRING",))
        nodes = adding(b=["t", 0]) | prompt(t=("Text", {}))
        assert "adder takes INT for 'b', not STRING" in self.refused(lab, nodes)

    @pytest.mark.parametrize("name", ["nothing.json", "../secret.json", "/etc/passwd", ""])
    def test_a_file_that_is_not_a_workflow_within_reach(self, lab: Lab, folders: Folders, name: str) -> None:
        (folders.input.parent / "secret.json").write_text("{}")
        message = self.refused(lab, adding(workflow=name))
        assert "there is no workflow" in message or "choose a workflow" in message

    def test_a_port_that_is_called_as_the_own_input_of_the_node_is_named(self, lab: Lab, folders: Folders) -> None:
        save(folders, "taken.json", w=port("workflow"), out=("Show", {"value": ["w", 0]}))
        message = self.refused(lab, prompt(r=("DiscomfortTestRunner", {"workflow": "taken.json"})))
        assert "taken.json has an INPUT port 'workflow', which the node's own input is called: rename it" in message

    def test_missing_classes_are_listed(self, lab: Lab, folders: Folders) -> None:
        save(folders, "strange.json", a=port("a"), n=("Strange", {"x": ["a", 0]}), out=port("o", ["n", 0]))
        message = self.refused(lab, adding(workflow="strange.json"))
        assert "strange.json needs node classes that are not installed: Strange" in message

    def test_a_workflow_that_runs_itself_is_refused(self, lab: Lab, folders: Folders) -> None:
        save(folders, "self.json", r=("DiscomfortTestRunner", {"workflow": "self"}), out=port("o", ["r", 0]))
        with pytest.raises(NodeFailed, match=r"self.json contains a DiscomfortTestRunner that runs self.json itself"):
            lab.run(prompt(r=("DiscomfortTestRunner", {"workflow": "self.json"})))
