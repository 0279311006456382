"""What is told beside a prompt: where the editor itself gives less than its user drew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from discomfort.compiler.catalog import default_catalog
from discomfort.compiler.diagnostics import Severity
from discomfort.compiler.frontend import load_workflow

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


def test_DF118_tells_that_nothing_runs() -> None:
    node = {"id": 1, "type": "VAELoader", "mode": 2, "inputs": [], "outputs": [], "widgets_values": ["taesd"]}
    document = {"version": 0.4, "nodes": [node], "links": []}
    assert _warnings(document) == [("DF118", None, None)]
    assert _warnings({**document, "nodes": []}) == []
