"""Nodes that answer with a graph."""

from __future__ import annotations

from typing import Any

import pytest

from discomfort.runtime.engines.embedded.for_node_authors.expansion import GraphBuilder
from discomfort.runtime.engines.protocol import NodeFailed, NodePlace
from tests.runtime.embedded.lab import ANYTHING, NUMBER, Lab, prompt, show


def twice(value: Any) -> dict[str, Any]:
    graph = GraphBuilder()
    one = graph.node("Add", a=value, b=1)
    return graph.expand(graph.node("Add", a=one.out(0), b=1).out(0))


def test_the_graph_runs_and_gives_the_result(lab: Lab) -> None:
    lab.add("Twice", twice, {"value": NUMBER})
    result = lab.run(prompt(t=("Twice", {"value": 5}), out=show("t")))
    assert result.ui == {"out": {"shown": [7]}}
    assert result.executed == ("t", "out")


def test_an_expanded_node_is_cached_as_a_whole(lab: Lab) -> None:
    lab.add("Twice", twice, {"value": NUMBER})
    for _ in range(2):
        lab.run(prompt(t=("Twice", {"value": 5}), out=show("t")))
    assert lab.calls == ["Twice", "Add", "Add", "Show"]


def test_a_mapped_node_expands_for_each_value(lab: Lab) -> None:
    lab.add("Twice", twice, {"value": NUMBER})
    assert lab.shown(prompt(l=("List", {"count": 3}), t=("Twice", {"value": ["l", 0]}), out=show("t"))) == [2, 3, 4]


def test_values_and_links_may_be_mixed(lab: Lab) -> None:
    def mixed(value: int) -> Any:
        if value == 0:
            return ("plain", "second")
        graph = GraphBuilder()
        return graph.expand(graph.node("Number", value=value).out(0), "second")

    lab.add("Mixed", mixed, {"value": NUMBER}, returns=("*", "*"))
    nodes = prompt(l=("List", {"count": 2}), m=("Mixed", {"value": ["l", 0]}), out=show("m"), other=show("m", 1))
    ui = lab.run(nodes).ui
    assert (ui["out"]["shown"], ui["other"]["shown"]) == (["plain", 1], ["second", "second"])


def test_a_graph_may_expand_again(lab: Lab) -> None:
    def countdown(value: int) -> Any:
        graph = GraphBuilder()
        return ("done",) if value == 0 else graph.expand(graph.node("Countdown", value=value - 1).out(0))

    lab.add("Countdown", countdown, {"value": NUMBER})
    assert lab.shown(prompt(c=("Countdown", {"value": 50}), out=show("c"))) == ["done"]
    assert lab.calls.count("Countdown") == 51


def test_live_objects_may_be_literals_of_the_graph(lab: Lab) -> None:
    marker = object()

    def wrap(value: Any) -> Any:
        graph = GraphBuilder()
        return graph.expand(graph.node("Pass", value=marker).out(0))

    lab.add("Wrap", wrap, {"value": ANYTHING})
    lab.add("Pass", lambda value: (value,), {"value": ANYTHING})
    assert lab.shown(prompt(w=("Wrap", {"value": 1}), out=show("w"))) == [marker]


def test_output_nodes_of_the_graph_run_and_show_at_the_node(lab: Lab) -> None:
    def showing(value: Any) -> Any:
        graph = GraphBuilder()
        graph.node("Show", value=value)
        return graph.expand(value)

    lab.add("Showing", showing, {"value": NUMBER})
    assert lab.run(prompt(s=("Showing", {"value": 3}), out=show("s"))).ui == {
        "s": {"shown": [3]},
        "out": {"shown": [3]},
    }


def test_a_failure_in_the_graph_is_at_the_node_that_expanded(lab: Lab) -> None:
    def fail(value: Any) -> Any:
        raise ValueError("inside")

    def expand(value: Any) -> Any:
        graph = GraphBuilder()
        return graph.expand(graph.node("Fail", value=value).out(0))

    lab.add("Fail", fail, {"value": ANYTHING})
    lab.add("Expand", expand, {"value": ANYTHING})
    place = NodePlace("main.json", "9", "my loop", "Expand")
    with pytest.raises(NodeFailed, match=r"main.json, node 9 \(my loop\), class Expand: ValueError: inside"):
        lab.run(prompt(e=("Expand", {"value": 1}), out=show("e")), places={"e": place})


@pytest.mark.parametrize("broken", ["cycle", "own result", "unknown class", "taken id", "no such node"])
def test_a_graph_that_cannot_run_fails_at_the_node_that_made_it(lab: Lab, broken: str) -> None:
    graphs: dict[str, Any] = {
        "cycle": {"x": ("Add", {"a": ["y", 0], "b": 1}), "y": ("Add", {"a": ["x", 0], "b": 1})},
        "own result": {"x": ("Add", {"a": ["out", 0], "b": 1})},
        "unknown class": {"x": ("Unknown", {})},
        "taken id": {"x": ("Number", {"value": 1}), "out": ("Number", {"value": 1})},
        "no such node": {"other": ("Number", {"value": 1})},
    }
    lab.add("Bad", lambda: {"result": (["x", 0],), "expand": prompt(**graphs[broken])})
    lab.add("Pass", lambda value: (value,), {"value": ANYTHING})
    nodes = prompt(b=("Bad", {}), out=("Pass", {"value": ["b", 0]}), show=show("out"))
    with pytest.raises(NodeFailed) as caught:
        lab.run(nodes)
    assert caught.value.node == "b"


def test_the_graph_may_link_to_nodes_of_the_prompt(lab: Lab) -> None:
    lab.add(
        "Raw",
        lambda value: {"result": (["new", 0],), "expand": prompt(new=("Add", {"a": value, "b": 5}))},
        {"value": ("*", {"rawLink": True})},
    )
    assert lab.shown(prompt(n=("Number", {"value": 1}), r=("Raw", {"value": ["n", 0]}), out=show("r"))) == [6]


def test_an_expansion_links_to_outputs_that_a_class_does_not_declare(lab: Lab) -> None:
    def expand(value: int) -> dict[str, Any]:
        graph = GraphBuilder()
        return graph.expand(graph.node("More", value=value).out(1))

    lab.add("More", lambda value: (value, value + 1), {"value": NUMBER}, returns=("INT",))
    lab.add("Expand", expand, {"value": NUMBER})
    assert lab.shown(prompt(e=("Expand", {"value": 4}), out=show("e"))) == [5]
