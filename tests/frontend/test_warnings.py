"""What is reported besides a prompt: where the editor itself gives less than its user drew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from discomfort.compiler.frontend import load_workflow
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.codes import Severity

GOLDENS = Path(__file__).parents[1] / "golden" / "frontend"


def _warnings(document: Any) -> list[tuple[str, str | None, str | None]]:
    found = load_workflow(document, default_catalog()).diagnostics
    assert all(each.severity is Severity.WARNING for each in found)
    return [(each.code, each.where.node, each.where.input) for each in found]


def test_DF117_names_each_link_that_a_group_node_loses() -> None:
    assert _warnings(GOLDENS / "group_inputs_of_other_names_are_lost" / "workflow.json") == [
        ("DF117", "50", "x1"),
        ("DF117", "50", "x3"),
        ("DF117", "50", "x4"),
    ]
    assert _warnings(GOLDENS / "group_primitive_without_inner_target_shows_nothing" / "workflow.json") == [
        ("DF117", "1", "width"),
        ("DF117", "4", "samples"),
    ]


@pytest.mark.parametrize("case", ["group_with_picture_stays", "group_inside_subgraph_stays"])
def test_DF116_names_a_group_node_that_stays(case: str) -> None:
    codes = {code for code, _, _ in _warnings(GOLDENS / case / "workflow.json")}
    assert codes == {"DF116"}


def test_DF118_reports_that_nothing_runs() -> None:
    node = {"id": 1, "type": "VAELoader", "mode": 2, "inputs": [], "outputs": [], "widgets_values": ["taesd"]}
    document = {"version": 0.4, "nodes": [node], "links": []}
    assert _warnings(document) == [("DF118", None, None)]
    assert _warnings({**document, "nodes": []}) == []


def _hosting(inputs: list[dict[str, Any]], root_id: Any = 2) -> dict[str, Any]:
    """Return a workflow: a PrimitiveNode whose link arrives at a subgraph's width, and a note with id `root_id`."""
    scale = {"id": 7, "type": "EmptyLatentImage", "inputs": [], "outputs": [], "widgets_values": [64, 64, 1]}
    scale["inputs"] = [{"name": "width", "type": "INT", "widget": {"name": "width"}, "link": 1}]
    width = {"id": "w", "name": "width", "type": "INT", "linkIds": [1]}
    inner = {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 7, "target_slot": 0, "type": "INT"}
    definition = {"id": "sub", "name": "Sub", "inputs": [width], "outputs": [], "nodes": [scale], "links": [inner]}
    feeding = [{"name": "INT", "type": "INT", "links": [5], "widget": {"name": "width"}}]
    nodes: list[dict[str, Any]] = [
        {"id": 1, "type": "sub", "inputs": inputs, "outputs": []},
        {"id": root_id, "type": "Note", "inputs": [], "outputs": [], "widgets_values": ["text"]},
        {"id": 3, "type": "PrimitiveNode", "inputs": [], "outputs": feeding, "widgets_values": [128, "fixed"]},
    ]
    links = [[5, 3, 0, 1, 0, "INT"]]
    return {"version": 0.4, "nodes": nodes, "links": links, "definitions": {"subgraphs": [definition]}}


def test_DF113_reports_a_primitives_link_that_its_host_does_not_have() -> None:
    width = {"name": "width", "type": "INT", "widget": {"name": "width"}, "link": 5}
    assert _warnings(_hosting([width])) == []
    assert _warnings(_hosting([])) == [("DF113", "1", "width")]


def test_DF112_reports_an_id_that_is_text_at_the_root_and_a_number_inside() -> None:
    width = {"name": "width", "type": "INT", "widget": {"name": "width"}, "link": 5}
    assert _warnings(_hosting([width], root_id=7)) == []  # renumbered
    assert _warnings(_hosting([width], root_id="7")) == [("DF112", "7", None)]
