"""The documented loop's workflows, without a ComfyUI: what the editor makes of them, and what their plans read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import discomfort
from discomfort.compiler.catalog import default_catalog
from discomfort.compiler.emit import emit_prompt
from discomfort.compiler.frontend import load_workflow

ROOT = Path(__file__).parents[1]
LOOP = ROOT / "examples" / "loop"
RECORDED = ROOT / "tests" / "golden" / "loop"


@pytest.mark.parametrize("name", ["load_model", "main_workflow"])
def test_L1_the_workflows_lower_to_the_editors_prompt(name: str) -> None:
    workflow = load_workflow(LOOP / f"{name}.json", default_catalog())
    assert workflow.diagnostics == ()
    recorded = json.loads((RECORDED / f"{name}.json").read_text())
    assert without_port_titles(emit_prompt(workflow.graph)) == without_port_titles(recorded)


def without_port_titles(prompt: dict[str, Any]) -> dict[str, Any]:
    """Leave out the titles of ports that nobody named: the bundled catalog's is shorter than that of the node."""
    ports = [node for node, spec in prompt.items() if spec["class_type"] == "DiscomfortPort"]
    return {**prompt, **{node: {**prompt[node], "_meta": None} for node in ports}}


def test_the_model_goes_by_reference_and_the_picture_by_value() -> None:
    load = discomfort.compile([LOOP / "load_model.json"])
    main = discomfort.compile([LOOP / "main_workflow.json"])
    assert {name: output.pass_by for name, output in load.outputs.items()} == dict.fromkeys(
        ("my_model", "my_clip", "my_vae"), "ref"
    )
    assert set(main.inputs) == {"my_model", "my_clip", "my_vae", "prompt", "seed"}
    assert {name: output.pass_by for name, output in main.outputs.items()} == {"output": "val"}
