"""`%date:…%` in file names, which no golden can hold: what the official frontend gave, at another moment."""

from __future__ import annotations

from datetime import datetime

import pytest

from discomfort.compiler.frontend import FrontendOptions, load_workflow
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.graph import Literal, NodeId

MOMENT = datetime(2026, 3, 5, 2, 7, 9)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("a%date:yyyy-MM-dd%b", "a2026-03-05b"),
        ("%date:yy M d h m s%", "26 3 5 2 7 9"),
        ("%date:hhmmss%", "020709"),
        ("%date:dd%%date:MM%", "0503"),
        ("%date:EEE yyy yyyyy%", "EEE yyy 2026y"),
        ("%date:MMM D H%", "033 D H"),
        ("%date:d/M%", "5/3"),
        ("%date:%", ""),
        ("%date%", "%date%"),
        ("%Date:MM%", "%Date:MM%"),
        ("%date:hh.mm%", "%date:hh.mm%"),
        ("%date:hh.mm.ss%", "02"),
        ("%date:d.M.yy h:m%", "5"),
        ("%a.date:MM%", "%a.date:MM%"),
    ],
)
def test_L1_dates_are_written_as_the_editor_does(prefix: str, expected: str) -> None:
    node = {"id": 1, "type": "SaveImage", "inputs": [], "widgets_values": [prefix]}
    document = {"version": 0.4, "nodes": [node], "links": []}
    workflow = load_workflow(document, default_catalog(), FrontendOptions(clock=MOMENT))
    assert workflow.graph.nodes[NodeId("1")].inputs["filename_prefix"] == Literal(expected)


def test_L1_only_the_editors_own_savers_have_patterns() -> None:
    declared = {"input": {"required": {"filename_prefix": ["STRING", {"default": "x"}]}}, "output": []}
    catalog = Catalog({"SomebodysSaver": declared, "SaveImage": declared})
    nodes = [
        {"id": number, "type": name, "inputs": [], "widgets_values": ["%date:yyyy%"]}
        for number, name in enumerate(["SomebodysSaver", "SaveImage"])
    ]
    workflow = load_workflow({"version": 0.4, "nodes": nodes, "links": []}, catalog, FrontendOptions(clock=MOMENT))
    found = [node.inputs["filename_prefix"] for node in workflow.graph.nodes.values()]
    assert found == [Literal("%date:yyyy%"), Literal("2026")]
