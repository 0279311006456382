"""Lazy inputs: what is not requested is not computed."""

from __future__ import annotations

from typing import Any

import pytest

from discomfort.runtime.engines.protocol import NodeFailed
from tests.runtime.embedded.lab import ANYTHING, Lab, Prompt, prompt, show

LAZY = ("*", {"lazy": True})


def choose(switch: int, one: Any = None, two: Any = None) -> tuple[Any]:
    return (two if switch else one,)


def needs(switch: int, one: Any = None, two: Any = None) -> list[str]:
    if switch:
        return ["two"] if two is None else []
    return ["one"] if one is None else []


def add_choose(lab: Lab, **options: Any) -> None:
    lab.add("Choose", choose, {"switch": ANYTHING, "one": LAZY, "two": LAZY}, check_lazy_status=needs, **options)


def choosing(switch: Any) -> Prompt:
    return prompt(
        s=("List", {"count": 2}),
        one=("Number", {"value": 1}),
        two=("Add", {"a": 1, "b": 1}),
        c=("Choose", {"switch": switch, "one": ["one", 0], "two": ["two", 0]}),
        out=show("c"),
    )


def test_only_the_input_requested_is_computed(lab: Lab) -> None:
    add_choose(lab)
    assert lab.shown(choosing(0)) == [1]
    assert lab.calls == ["Number", "Choose", "Show"]


def test_every_call_of_a_mapped_node_gets_what_it_asks_for(lab: Lab) -> None:
    add_choose(lab)
    assert lab.shown(choosing(["s", 0])) == [1, 2]


def test_a_node_is_asked_again_until_it_needs_nothing_more(lab: Lab) -> None:
    def one_by_one(a: Any = None, b: Any = None) -> list[str]:
        lab.seen.append((a, b))
        return ["a"] if a is None else ["b"] if b is None else []

    lab.add("Both", lambda a, b: (a + b,), {"a": LAZY, "b": LAZY}, check_lazy_status=one_by_one)
    nodes = prompt(
        x=("Number", {"value": 1}),
        y=("Number", {"value": 2}),
        c=("Both", {"a": ["x", 0], "b": ["y", 0]}),
        out=show("c"),
    )
    assert lab.shown(nodes) == [3]
    assert lab.seen == [(None, None), (1, None)]


def test_inputs_not_requested_are_None(lab: Lab) -> None:
    lab.add("Neither", lambda a, b: ((a, b),), {"a": LAZY, "b": LAZY}, check_lazy_status=lambda a, b: [])
    nodes = prompt(x=("Number", {"value": 1}), c=("Neither", {"a": ["x", 0], "b": ["x", 0]}), out=show("c"))
    assert lab.shown(nodes) == [(None, None)]
    assert "Number" not in lab.calls


def test_check_lazy_status_may_be_asynchronous(lab: Lab) -> None:
    async def later(switch: int, one: Any = None, two: Any = None) -> list[str]:
        return needs(switch, one, two)

    lab.add("Choose", choose, {"switch": ANYTHING, "one": LAZY, "two": LAZY}, check_lazy_status=later)
    assert lab.shown(choosing(1)) == [2]
    assert "Number" not in lab.calls


def test_a_lazy_literal_is_there_from_the_start(lab: Lab) -> None:
    add_choose(lab)
    assert lab.shown(prompt(c=("Choose", {"switch": 0, "one": "word", "two": "other"}), out=show("c"))) == ["word"]


def test_lazy_without_check_lazy_status_is_never_requested_as_in_comfyui(lab: Lab) -> None:
    lab.add("Plain", lambda a: (a,), {"a": LAZY})
    assert lab.shown(prompt(x=("Number", {"value": 4}), c=("Plain", {"a": ["x", 0]}), out=show("c"))) == [None]
    assert lab.calls == ["Plain", "Show"]


def test_an_input_that_is_not_requested_is_None_though_its_value_is_known(lab: Lab) -> None:
    lab.add("Neither", lambda a, b: ((a, b),), {"a": LAZY, "b": LAZY}, check_lazy_status=lambda a, b: ["b"])
    lab.run(prompt(x=("Number", {"value": 1}), out=show("x")))
    nodes = prompt(
        x=("Number", {"value": 1}),
        y=("Number", {"value": 2}),
        c=("Neither", {"a": ["x", 0], "b": ["y", 0]}),
        other=show("x"),
        out=show("c"),
    )
    assert lab.shown(nodes) == [(None, 2)]


def test_a_requested_node_arrives_at_all_inputs_from_it_as_in_comfyui(lab: Lab) -> None:
    lab.add("Two", lambda a, b: ((a, b),), {"a": LAZY, "b": LAZY}, check_lazy_status=lambda a, b: ["b"])
    nodes = prompt(x=("Number", {"value": 1}), c=("Two", {"a": ["x", 0], "b": ["x", 0]}), out=show("c"))
    assert lab.shown(nodes) == [(1, 1)]


@pytest.mark.parametrize("answer", [None, "a", ("a",), {"a"}])
def test_only_a_list_asks_for_inputs(lab: Lab, answer: Any) -> None:
    lab.add("Odd", lambda a: (a,), {"a": LAZY}, check_lazy_status=lambda a: answer)
    assert lab.shown(prompt(x=("Number", {"value": 4}), c=("Odd", {"a": ["x", 0]}), out=show("c"))) == [None]


def test_asking_for_what_is_not_an_input_fails_at_the_node(lab: Lab) -> None:
    lab.add("Odd", lambda a: (a,), {"a": LAZY}, check_lazy_status=lambda a: ["z"])
    with pytest.raises(NodeFailed, match="asks for 'z', which is not an input") as caught:
        lab.run(prompt(x=("Number", {"value": 4}), c=("Odd", {"a": ["x", 0]}), out=show("c")))
    assert caught.value.node == "c"
