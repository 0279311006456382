"""What a caller hands in stays as it is, and so do the nodes of a graph once they are made."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import discomfort
from discomfort.compiler.frontend import load_workflow
from discomfort.compiler.frontend.lower import without_dangling
from discomfort.compiler.frontend.text import prompt_text
from discomfort.compiler.subworkflow import compile_subworkflow, expand_subworkflow
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.catalog.checked import checked_catalog
from discomfort.ir.graph import Input, Link, Literal, Node, NodeId, Origin
from discomfort.plan import Plan

GOLDEN = Path(__file__).parents[1] / "golden"
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
EXAMPLE = [str(QUICKSTART / name) for name in ("load_vae.json", "main_workflow.json")]
SAVED = [
    *sorted((GOLDEN / "frontend").glob("*/workflow.json")),
    *sorted((GOLDEN / "diagnostics").glob("*/*.json")),
]


def documents() -> list[Any]:
    cases = []
    for path in SAVED:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:  # the goldens of broken JSON
            continue
        if isinstance(document, dict):
            cases.append(pytest.param(document, id=f"{path.parent.name}-{path.stem}"))
    return cases


@pytest.fixture
def nodes_that_cannot_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the inputs of every node be a mapping that raises when it is changed."""
    make = Node.__init__

    def made(
        self: Node, id: Any, class_type: str | None, inputs: Mapping[str, Input], *rest: Any, **named: Any
    ) -> None:
        make(self, id, class_type, MappingProxyType(dict(inputs)), *rest, **named)

    monkeypatch.setattr(Node, "__init__", made)


@pytest.mark.usefixtures("nodes_that_cannot_change")
@pytest.mark.parametrize("document", documents())
def test_loading_and_compiling_change_neither_the_document_nor_a_node(document: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    emit_prompt(load_workflow(document, default_catalog()).graph)
    with suppress(discomfort.CompileError):
        discomfort.compile([document])
    assert document == before
    assert json.dumps(document) == json.dumps(before)  # the order of keys, too, and 1 is not 1.0


@pytest.mark.usefixtures("nodes_that_cannot_change")
def test_links_to_nodes_that_are_not_there_are_dropped_from_a_copy() -> None:
    there, gone = NodeId("1"), NodeId("2")
    node = Node(there, "Sum", {"a": Link(gone, 0), "b": Link(there, 1), "c": Literal(1)}, "", Origin("w", "1"))
    kept = without_dangling({there: node})
    assert kept[there].inputs == {"b": Link(there, 1), "c": Literal(1)}
    assert list(node.inputs) == ["a", "b", "c"]


def test_a_catalog_leaves_the_entries_that_it_was_made_of_as_they_are() -> None:
    entries = {name: copy.deepcopy(dict(info)) for name, info in default_catalog().entries()}
    entries["Broken"] = {"input": 7}
    before = json.dumps(entries)
    usable = checked_catalog(entries, "test")
    discomfort.compile(EXAMPLE, catalog=usable)
    Catalog(entries).merged(usable)
    assert json.dumps(entries) == before


def test_compile_leaves_its_arguments_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_text, "choose", lambda count, seed: 0)
    workflows: list[Any] = [json.loads(Path(path).read_text(encoding="utf-8")) for path in EXAMPLE]
    outputs = list(discomfort.compile(workflows).outputs)
    rules = {"IMAGE": "ref", "VAE": "val"}
    before = copy.deepcopy((workflows, outputs, rules))
    plan = discomfort.compile(workflows, outputs=outputs, rules=rules, order="auto")
    assert (workflows, outputs, rules) == before
    data = plan.to_json()
    kept = copy.deepcopy(data)
    Plan.from_json(data)
    assert data == kept


def test_a_run_leaves_its_inputs_as_they_are() -> None:
    plan = discomfort.compile(EXAMPLE)
    photo = discomfort.Tools.open_image_as_tensor(Path(EXAMPLE[0]).parent / "coffee.png")
    inputs: dict[str, Any] = {"photo": photo, "width": 64, "strength": 0.5}
    before = {**inputs, "photo": photo.clone()}
    with discomfort.Context(max_ram_gb=0.1) as context:
        plan.run(context, inputs=inputs)
    assert inputs.keys() == before.keys()
    assert inputs["photo"] is photo
    assert bool((photo == before["photo"]).all())
    assert {name: value for name, value in inputs.items() if name != "photo"} == {"width": 64, "strength": 0.5}


def test_expanding_a_workflow_leaves_plan_and_inputs_as_they_are() -> None:
    plan = compile_subworkflow(Path(EXAMPLE[-1]), default_catalog())
    kept, given = copy.deepcopy(plan.graph), {name: ["1", 0] for name in plan.inputs}
    before = copy.deepcopy(given)
    expand_subworkflow(plan, default_catalog(), given, "x.")
    assert (plan.graph, given) == (kept, before)


def test_the_tools_leave_documents_as_they_are() -> None:
    workflows: list[Any] = [json.loads(Path(path).read_text(encoding="utf-8")) for path in EXAMPLE]
    before = copy.deepcopy(workflows)
    tools = discomfort.Tools
    tools.stitch_workflows(workflows)
    for workflow in workflows:
        tools.discover_port_nodes(workflow)
        tools.validate_workflow(workflow)
        tools.remove_reroute_nodes({node["id"]: node for node in workflow["nodes"]}, workflow["links"])
    assert workflows == before
