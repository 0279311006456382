"""Bad input gives findings: never a traceback, never a hang."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler.frontend import Workflow, load_workflow
from discomfort.compiler.frontend.text.javascript import number as as_written
from discomfort.compiler.frontend.text.javascript import to_number
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.codes import CODES
from discomfort.ir.diagnostics import has_errors
from discomfort.ir.graph import Literal, NodeId
from discomfort.ir.soundness import graph_problems

_HUGE = st.sampled_from([10**400, -(10**400), 2**1024 - 1, "0x" + "f" * 300])
"""Numbers beyond the doubles of JavaScript, which JSON can hold."""
_SCALARS = _HUGE | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
_TYPES = st.sampled_from(["KSampler", "Reroute", "PrimitiveNode", "LoadImage", "sub", "GetNode", "workflow>G", "Nope"])
_INPUT = st.fixed_dictionaries(
    {"name": st.sampled_from(["model", "seed", "image", ""]), "type": _JSON, "link": _JSON | st.integers(0, 4)}
)
_NODE = st.fixed_dictionaries(
    {"id": st.integers(0, 5) | _JSON, "type": _TYPES | _JSON},
    optional={
        "mode": st.sampled_from([0, 2, 4]) | _JSON,
        "inputs": st.lists(_INPUT, max_size=3) | _JSON,
        "outputs": _JSON,
        "widgets_values": _JSON,
        "properties": _JSON | st.fixed_dictionaries({"proxyWidgets": _JSON}),
        "title": _JSON,
    },
)
_LINK = st.tuples(
    st.integers(0, 4), st.integers(-1, 5), st.integers(-1, 2), st.integers(0, 5), st.integers(-1, 2), st.just("X")
)
_SAVE = st.fixed_dictionaries(
    {"nodes": st.lists(_NODE, max_size=6), "links": st.lists(_LINK.map(list) | _JSON, max_size=5) | _JSON},
    optional={
        "version": st.sampled_from([0.4, 1]) | _JSON,
        "extra": _JSON | st.fixed_dictionaries({"groupNodes": _JSON}),
        "definitions": st.fixed_dictionaries(
            {
                "subgraphs": st.lists(
                    st.fixed_dictionaries({"id": st.just("sub"), "nodes": st.lists(_NODE, max_size=3)}), max_size=2
                )
            }
        )
        | _JSON,
    },
)


@given(_SAVE)
def test_L8_any_save_gives_a_workflow(save: dict[str, Any]) -> None:
    assert_usable(load_workflow(save, default_catalog()))


@given(st.binary(max_size=200))
def test_L8_any_bytes_give_a_workflow(content: bytes) -> None:
    workflow = load_workflow(content, default_catalog())
    assert_usable(workflow)
    try:
        is_object = isinstance(json.loads(content), dict)
    except ValueError:
        is_object = False
    assert is_object or has_errors(workflow.diagnostics)


def assert_usable(workflow: Workflow) -> None:
    """Whatever was loaded, its graph is sound, and its findings can be shown and looked up."""
    assert graph_problems(workflow.graph) == []
    for finding in workflow.diagnostics:
        assert finding.code in CODES
        assert finding.message.strip()
        assert all(line.isprintable() for line in str(finding).splitlines())


@pytest.mark.parametrize("text", ["", "{", '{"nodes": [', "[]", "null", '{"a": NaN}', "[" * 100_000, '{"a":' * 100_000])
def test_L8_broken_texts_are_findings(text: str) -> None:
    assert has_errors(load_workflow(text.encode(), default_catalog()).diagnostics)


def test_L7_a_chain_of_reroutes_is_linear() -> None:
    """Twice the nodes take twice the calls of functions, which are the same on every machine."""
    few, many = (count_calls(partial(load_chain_of_reroutes, count)) for count in (5_000, 10_000))
    assert many < few * 2.1


def count_calls(run: Callable[[], object]) -> int:
    """Return how many functions are called while `run` runs."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(before)
    return calls


def load_chain_of_reroutes(count: int) -> None:
    nodes: list[dict[str, Any]] = [{"id": 0, "type": "EmptyImage", "outputs": [{"name": "IMAGE", "type": "IMAGE"}]}]
    nodes += [{"id": n, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": n}]} for n in range(1, count)]
    nodes.append({"id": count, "type": "PreviewImage", "inputs": [{"name": "images", "type": "IMAGE", "link": count}]})
    save = {"nodes": nodes, "links": [[n, n - 1, 0, n, 0, "IMAGE"] for n in range(1, count + 1)], "version": 0.4}
    text = json.dumps(save).encode()
    workflow = load_workflow(text, default_catalog())
    assert list(workflow.graph.nodes) == ["0", str(count)]
    assert any(node.inputs for node in workflow.graph.nodes.values() if node.class_type == "PreviewImage")


def _encode(text: str) -> dict[str, Any]:
    return {"nodes": [{"id": 1, "type": "CLIPTextEncode", "widgets_values": [text]}], "links": [], "version": 0.4}


def test_L7_comments_that_never_close_are_read_in_linear_time() -> None:
    text = "/* " * 300_000
    workflow = load_workflow(_encode(text + " a // b\nc"), default_catalog())
    assert workflow.graph.nodes[NodeId("1")].inputs["text"] == Literal(text + " a \nc")


def test_L8_too_many_choices_are_a_finding() -> None:
    workflow = load_workflow(_encode("{a|" * 100_001), default_catalog())
    assert [found.code for found in workflow.diagnostics] == ["DF144"]


def test_L7_many_definitions_load_in_linear_time() -> None:
    count = 20_000
    subgraphs = [
        {"id": f"s{n}", "name": f"s{n}", "nodes": [{"id": 1, "type": f"s{n + 1}"}], "links": []} for n in range(count)
    ]
    save = {"nodes": [{"id": 1, "type": "s0"}], "links": [], "version": 0.4, "definitions": {"subgraphs": subgraphs}}
    assert "DF122" in [found.code for found in load_workflow(save, default_catalog()).diagnostics]


def test_L8_a_million_wrong_nodes_end_the_reading_early() -> None:
    workflow = load_workflow({"nodes": [7] * 1_000_000, "links": [5] * 1_000_000, "version": 0.4}, default_catalog())
    assert len(workflow.diagnostics) == 2000


@pytest.mark.parametrize("names", [["A"], ["B", "A"], [str(number) for number in range(1, 200)] + ["0"]])
def test_DF145_patterns_that_come_back_to_themselves(names: list[str]) -> None:
    nodes: list[dict[str, Any]] = []
    links = []
    titles = sorted(names) if len(names) < 3 else [str(number) for number in range(200)]
    for number, (title, named) in enumerate(zip(titles, names, strict=True)):
        slot = {"name": "text", "type": "STRING", "link": number, "widget": {"name": "text"}}
        nodes.append({"id": 2 * number, "type": "CLIPTextEncode", "title": title, "inputs": [slot]})
        output = {"name": "STRING", "type": "STRING", "links": [number]}
        text = {"widgets_values": [f"%{named}.text%!"], "properties": {"Run widget replace on values": True}}
        nodes.append({"id": 2 * number + 1, "type": "PrimitiveNode", "outputs": [output], **text})
        links.append([number, 2 * number + 1, 0, 2 * number, 0, "STRING"])
    found = load_workflow({"version": 0.4, "nodes": nodes, "links": links}, default_catalog()).diagnostics
    assert {each.code for each in found} == {"DF145"}
    assert all(each.where.node is not None for each in found)


@pytest.mark.parametrize(
    ("written", "expected"), [(10**400, math.inf), (-(10**400), -math.inf), (2**1024 - 1, math.inf), (2**50, 2**50)]
)
def test_numbers_beyond_doubles_are_infinite_as_in_javascript(written: int, expected: float) -> None:
    assert to_number(written) == to_number(hex(written) if written > 0 else written) == expected
    assert as_written(written) == (None if math.isinf(expected) else expected)


def test_a_primitive_that_holds_a_huge_number_is_not_a_traceback() -> None:
    path = Path(__file__).parents[2] / "examples" / "quickstart" / "main_workflow.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    primitives = [node for node in document["nodes"] if node["type"] == "PrimitiveNode"]
    assert primitives
    for node in primitives:
        node["widgets_values"][0] = 10**400
    assert load_workflow(json.dumps(document), default_catalog()).graph.nodes
