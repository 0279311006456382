"""Some of the random damage that `fuzz_documents.py` does by the thousand, and what it found."""

from __future__ import annotations

import json

import pytest

from discomfort.compiler.frontend import load_workflow
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog
from tests.fuzz.fuzz_documents import run


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_L8_damaged_workflows_give_results_or_errors_for_people(first: int) -> None:
    assert run(range(first, first + 50)) == []


def test_a_host_that_saved_its_values_by_names_keeps_the_inner_ones() -> None:
    """A subgraph's host that holds no value for a widget that it shows: JavaScript's undefined."""
    inner = {"id": 11, "type": "CLIPTextEncode", "inputs": [], "widgets_values": ["inner"]}
    host = {"id": 1, "type": "sub", "properties": {"proxyWidgets": [["11", "text"]]}, "widgets_values": {"name": "x"}}
    save = {
        "nodes": [host],
        "links": [],
        "version": 0.4,
        "definitions": {"subgraphs": [{"id": "sub", "name": "Sub", "nodes": [inner], "links": []}]},
    }
    prompt = emit_prompt(load_workflow(save, default_catalog()).graph)
    assert json.loads(json.dumps(prompt))["1:11"]["inputs"] == {"text": "inner"}
