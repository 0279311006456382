"""ExecutionBlocker: how a node keeps what follows it from running."""

from __future__ import annotations

from typing import Any

import pytest

from discomfort.runtime.engines.embedded.for_node_authors.blocker import ExecutionBlocker
from discomfort.runtime.engines.protocol import SAVER_CLASS, NodeFailed
from tests.runtime.embedded.lab import ANYTHING, Lab, prompt, show


def comfyui_blocker(message: str | None = None) -> Any:
    """Return what nodes written for ComfyUI return: an object of a class that we do not know, by its name."""
    theirs = type("ExecutionBlocker", (), {"__init__": lambda self, message: setattr(self, "message", message)})
    return theirs(message)


def add_gate(lab: Lab, message: str | None = None) -> None:
    def gate(value: Any, closed: Any) -> tuple[Any]:
        return (ExecutionBlocker(message) if value == closed else value,)

    lab.add("Gate", gate, {"value": ANYTHING, "closed": ANYTHING})


def test_a_silent_blocker_ends_its_branch_and_nothing_else(lab: Lab) -> None:
    add_gate(lab)
    nodes = prompt(
        g=("Gate", {"value": 1, "closed": 1}),
        a=("Add", {"a": ["g", 0], "b": 1}),
        out=show("a"),
        other=("Show", {"value": 5}),
    )
    result = lab.run(nodes)
    assert result.ui == {"other": {"shown": [5]}}
    assert lab.calls == ["Gate", "Show"]


def test_one_blocked_value_of_a_list_blocks_that_call_alone(lab: Lab) -> None:
    add_gate(lab)
    nodes = prompt(
        l=("List", {"count": 3}),
        g=("Gate", {"value": ["l", 0], "closed": 1}),
        a=("Add", {"a": ["g", 0], "b": 10}),
        out=show("a"),
    )
    assert lab.shown(nodes) == [10, 12]


def test_a_blocker_passes_through_outputs_that_are_lists(lab: Lab) -> None:
    add_gate(lab)
    lab.add("Wrap", lambda value: ([value, value],), {"value": ANYTHING}, OUTPUT_IS_LIST=(True,))
    nodes = prompt(
        l=("List", {"count": 3}),
        g=("Gate", {"value": ["l", 0], "closed": 1}),
        w=("Wrap", {"value": ["g", 0]}),
        out=show("w"),
    )
    assert lab.shown(nodes) == [0, 0, 2, 2]


def test_any_blocked_value_blocks_a_node_that_takes_lists(lab: Lab) -> None:
    add_gate(lab)
    lab.add("Sum", lambda values: (sum(values),), {"values": ANYTHING}, INPUT_IS_LIST=True)
    nodes = prompt(
        l=("List", {"count": 3}),
        g=("Gate", {"value": ["l", 0], "closed": 1}),
        s=("Sum", {"values": ["g", 0]}),
        out=show("s"),
    )
    lab.run(nodes)
    assert "Sum" not in lab.calls


def test_a_message_is_reported_at_the_node_that_was_blocked_after_the_rest_ran(lab: Lab) -> None:
    add_gate(lab, "the gate is closed")
    nodes = prompt(g=("Gate", {"value": 1, "closed": 1}), out=show("g"), later=("Show", {"value": 6}))
    for _ in range(2):
        with pytest.raises(NodeFailed, match="ExecutionBlocked: Execution Blocked: the gate is closed") as caught:
            lab.run(nodes)
        assert caught.value.node == "out"
    assert "Show" in lab.calls


def test_a_blocker_in_place_of_the_tuple_blocks_all_outputs(lab: Lab) -> None:
    lab.add("Stop", lambda: ExecutionBlocker(), returns=("INT", "INT"))
    lab.run(prompt(s=("Stop", {}), out=show("s"), two=show("s", 1)))
    assert lab.calls == ["Stop"]


def test_an_output_that_never_arrived_is_an_error(lab: Lab) -> None:
    add_gate(lab)
    nodes = prompt(g=("Gate", {"value": 1, "closed": 1}), save=(SAVER_CLASS, {"value": ["g", 0], "name": "result"}))
    with pytest.raises(NodeFailed, match="nothing arrived for 'result': an ExecutionBlocker stopped it"):
        lab.run(nodes, {"result": "save"})


def subclassed_blocker(message: str | None) -> Any:
    return type("Sub", (type(comfyui_blocker(None)),), {})(message)


@pytest.mark.parametrize("made", [comfyui_blocker, subclassed_blocker])
def test_the_blocker_of_comfyui_is_recognised_by_its_name(lab: Lab, made: Any) -> None:
    lab.add("Stop", lambda: (made(None), 1), returns=("INT", "INT"))
    lab.add("StopAll", lambda: made(None), returns=("INT", "INT"))
    nodes = prompt(s=("Stop", {}), out=show("s"), two=show("s", 1), a=("StopAll", {}), all=show("a"), more=show("a", 1))
    assert lab.run(nodes).ui == {"two": {"shown": [1]}}


def test_the_blocker_of_comfyui_in_a_list_blocks_its_item_alone(lab: Lab) -> None:
    lab.add("Items", lambda: ([0, comfyui_blocker(), 2],), returns=("INT",), OUTPUT_IS_LIST=(True,))
    assert lab.shown(prompt(l=("Items", {}), out=show("l"))) == [0, 2]


def test_the_message_of_comfyuis_blocker_is_reported(lab: Lab) -> None:
    lab.add("Stop", lambda: (comfyui_blocker("not today"),))
    with pytest.raises(NodeFailed, match="Execution Blocked: not today"):
        lab.run(prompt(s=("Stop", {}), out=show("s")))


def test_a_class_of_that_name_without_a_message_is_a_value(lab: Lab) -> None:
    value = type("ExecutionBlocker", (), {})()
    lab.add("Give", lambda: (value,))
    assert lab.shown(prompt(g=("Give", {}), out=show("g"))) == [value]
