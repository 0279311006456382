"""How values and lists of values travel between nodes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from discomfort.runtime.engines.protocol import NodeFailed
from tests.runtime.embedded.lab import ANYTHING, NUMBER, Lab, prompt, show


def test_a_node_runs_once_for_each_value_of_a_list(lab: Lab) -> None:
    assert lab.shown(prompt(l=("List", {"count": 3}), a=("Add", {"a": ["l", 0], "b": 10}), out=show("a"))) == [
        10,
        11,
        12,
    ]
    assert lab.calls.count("Add") == 3


def test_shorter_lists_repeat_their_last_value(lab: Lab) -> None:
    nodes = prompt(
        l=("List", {"count": 4}), m=("List", {"count": 2}), a=("Add", {"a": ["l", 0], "b": ["m", 0]}), out=show("a")
    )
    assert lab.shown(nodes) == [0, 2, 3, 4]


def test_INPUT_IS_LIST_gets_every_input_as_a_list(lab: Lab) -> None:
    lab.add(
        "Sum",
        lambda values, factor: (sum(values) * factor[0],),
        {"values": NUMBER, "factor": NUMBER},
        INPUT_IS_LIST=True,
    )
    assert lab.shown(prompt(l=("List", {"count": 4}), s=("Sum", {"values": ["l", 0], "factor": 2}), out=show("s"))) == [
        12
    ]


def test_outputs_declared_as_lists_are_joined_over_calls(lab: Lab) -> None:
    nodes = prompt(l=("List", {"count": 3}), m=("List", {"count": ["l", 0]}), out=show("m"))
    assert lab.shown(nodes) == [0, 0, 1]


def test_only_the_outputs_declared_as_lists_are_lists(lab: Lab) -> None:
    lab.add("Both", lambda: ([1, 2], [3, 4]), returns=("INT", "LIST"), OUTPUT_IS_LIST=(True, False))
    assert lab.shown(prompt(b=("Both", {}), out=show("b"))) == [1, 2]
    assert lab.shown(prompt(b=("Both", {}), out=show("b", 1))) == [[3, 4]]


def test_an_empty_list_is_an_error_that_names_the_input(lab: Lab) -> None:
    with pytest.raises(NodeFailed, match="input 'a' received an empty list"):
        lab.run(prompt(l=("List", {"count": 0}), a=("Add", {"a": ["l", 0], "b": 1}), out=show("a")))


def test_ui_answers_of_a_mapped_node_are_joined(lab: Lab) -> None:
    assert lab.run(prompt(l=("List", {"count": 2}), out=show("l"))).ui == {"out": {"shown": [0, 1]}}


def test_optional_inputs_that_are_absent_are_left_to_the_function(lab: Lab) -> None:
    lab.add("Maybe", lambda a, b="default": (f"{a} {b}",), {"a": NUMBER}, {"b": ANYTHING})
    assert lab.shown(prompt(m=("Maybe", {"a": 1}), out=show("m"))) == ["1 default"]


def test_links_to_undeclared_inputs_arrive_and_literals_do_not(lab: Lab) -> None:
    lab.add("Open", lambda **inputs: (sorted(inputs),), {"a": NUMBER})
    nodes = prompt(n=("Number", {"value": 1}), o=("Open", {"a": 1, "more": ["n", 0], "word": "x"}), out=show("o"))
    assert lab.shown(nodes) == [["a", "more"]]


def test_a_wrapped_list_is_a_literal_and_no_link(lab: Lab) -> None:
    lab.add("Keep", lambda value: (value,), {"value": ANYTHING})
    assert lab.shown(prompt(k=("Keep", {"value": {"__value__": ["a", 0]}}), out=show("k"))) == [["a", 0]]


def test_keys_with_a_dot_nest_under_a_growing_input(lab: Lab) -> None:
    grown = (
        "COMFY_AUTOGROW_V3",
        {"template": {"input": {"required": {"v": NUMBER}}, "prefix": "v", "min": 1, "max": 9}},
    )
    lab.add("Grow", lambda values: (values,), {"values": grown})
    nodes = prompt(n=("Number", {"value": 5}), g=("Grow", {"values.v0": ["n", 0], "values.v1": 7}), out=show("g"))
    assert lab.shown(nodes) == [{"v0": 5, "v1": 7}]


def test_keys_with_a_dot_nest_under_a_dynamic_combo_with_its_choice(lab: Lab) -> None:
    options = [{"key": "wide", "inputs": {"required": {"width": NUMBER}}}, {"key": "tall", "inputs": {"required": {}}}]
    lab.add("Shape", lambda shape: (shape,), {"shape": ("COMFY_DYNAMICCOMBO_V3", {"options": options})})
    assert lab.shown(prompt(s=("Shape", {"shape": "wide", "shape.width": "8"}), out=show("s"))) == [
        {"shape": "wide", "width": 8}
    ]


@pytest.mark.parametrize("returned", [3, "text", {1, 2}])
def test_what_is_not_an_answer_of_a_node_is_refused(lab: Lab, returned: Any) -> None:
    lab.add("Odd", lambda: returned)
    with pytest.raises(NodeFailed, match="a node returns a tuple"):
        lab.run(prompt(o=("Odd", {}), out=show("o")))


def test_what_can_be_indexed_is_an_answer(lab: Lab) -> None:
    lab.add("Bare", lambda: torch.tensor([[1, 2], [3, 4]]), returns=("*",))
    (value,) = lab.shown(prompt(b=("Bare", {}), out=show("b")))
    assert value.tolist() == [1, 2], "the comma was forgotten: the first of the batch, as in ComfyUI"


@pytest.mark.parametrize("returned", [None, {"result": None}, {"expand": {}}])
def test_an_answer_without_a_tuple_is_refused(lab: Lab, returned: Any) -> None:
    lab.add("Odd", lambda: returned, returns=(), OUTPUT_NODE=True)
    with pytest.raises(NodeFailed, match="a node returns a tuple"):
        lab.run(prompt(o=("Odd", {})))


def test_an_answer_may_show_nothing_and_give_nothing(lab: Lab) -> None:
    lab.add("Empty", dict, returns=(), OUTPUT_NODE=True)
    assert lab.run(prompt(e=("Empty", {}))).ui == {}


def test_what_is_shown_must_be_lists(lab: Lab) -> None:
    lab.add("Odd", lambda: {"ui": {"text": 5}}, returns=(), OUTPUT_NODE=True)
    with pytest.raises(NodeFailed, match="TypeError: 'int' object is not iterable"):
        lab.run(prompt(o=("Odd", {})))


def test_a_node_of_optional_inputs_runs_once_without_them_when_they_have_no_value(lab: Lab) -> None:
    lab.add("Maybe", lambda a="none": (a,), optional={"a": ANYTHING})
    lab.add("Two", lambda a="none", b=1: (a,), optional={"a": ANYTHING, "b": ANYTHING})
    empty = {"l": ("List", {"count": 0})}
    assert lab.shown(prompt(**empty, m=("Maybe", {"a": ["l", 0]}), out=show("m"))) == ["none"]
    with pytest.raises(NodeFailed, match="input 'a' received an empty list"):
        lab.run(prompt(**empty, m=("Two", {"a": ["l", 0], "b": 2}), out=show("m")))


def test_reading_an_output_that_a_node_did_not_give_is_an_error(lab: Lab) -> None:
    lab.add("Short", lambda: (1,), returns=("INT", "INT"))
    with pytest.raises(NodeFailed, match="reads output 1 of node s, which gave 1"):
        lab.run(prompt(s=("Short", {}), out=show("s", 1)))


def test_a_node_keeps_its_object_from_run_to_run(lab: Lab) -> None:
    class Counter:
        RETURN_TYPES = ("INT",)
        FUNCTION = "count"

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {"seed": NUMBER}}

        def __init__(self) -> None:
            self.times = 0

        def count(self, seed: int) -> tuple[int]:
            self.times += 1
            return (self.times,)

    lab.engine.register({"Counter": Counter})
    shown = [lab.shown(prompt(c=("Counter", {"seed": seed}), out=show("c"))) for seed in (0, 1, 1, 2)]
    assert shown == [[1], [2], [2], [3]], "also past a run in which its result was known"
    lab.shown(prompt(out=("Show", {"value": 1})))
    assert lab.shown(prompt(c=("Counter", {"seed": 3}), out=show("c"))) == [1], "a prompt without it forgets it"
