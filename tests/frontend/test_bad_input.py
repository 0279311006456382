"""Bad input gives findings: never a traceback, never a hang."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler.catalog import default_catalog
from discomfort.compiler.diagnostics import has_errors
from discomfort.compiler.frontend import load_workflow

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
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
    load_workflow(save, default_catalog())


@given(st.binary(max_size=200))
def test_L8_any_bytes_give_a_workflow(content: bytes) -> None:
    assert load_workflow(content, default_catalog()).diagnostics or content


@pytest.mark.parametrize("text", ["", "{", '{"nodes": [', "[]", "null", '{"a": NaN}', "[" * 100_000, '{"a":' * 100_000])
def test_L8_broken_texts_are_findings(text: str) -> None:
    assert has_errors(load_workflow(text.encode(), default_catalog()).diagnostics)


def test_L7_a_chain_of_reroutes_is_linear() -> None:
    count = 20_000
    nodes: list[dict[str, Any]] = [{"id": 0, "type": "EmptyImage", "outputs": [{"name": "IMAGE", "type": "IMAGE"}]}]
    nodes += [{"id": n, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": n}]} for n in range(1, count)]
    nodes.append({"id": count, "type": "PreviewImage", "inputs": [{"name": "images", "type": "IMAGE", "link": count}]})
    save = {"nodes": nodes, "links": [[n, n - 1, 0, n, 0, "IMAGE"] for n in range(1, count + 1)], "version": 0.4}
    text = json.dumps(save).encode()
    begin = time.perf_counter()
    workflow = load_workflow(text, default_catalog())
    assert list(workflow.graph.nodes) == ["0", str(count)]
    assert any(node.inputs for node in workflow.graph.nodes.values() if node.class_type == "PreviewImage")
    assert time.perf_counter() - begin < 5
