"""The examples' workflows, which the editor saved: they lower to the prompts that it sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from discomfort.compiler.frontend import load_workflow
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog

ROOT = Path(__file__).parents[1]
WORKFLOWS = ["quickstart/load_vae", "quickstart/main_workflow", "loop/load_model", "loop/main_workflow"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_L1_the_workflows_lower_to_the_editors_prompt(name: str) -> None:
    workflow = load_workflow(ROOT / "examples" / f"{name}.json", default_catalog())
    assert workflow.diagnostics == ()
    recorded = json.loads((ROOT / "tests" / "golden" / f"{name}.json").read_text())
    assert emit_prompt(workflow.graph) == recorded
