"""The documented loop's workflows, without a ComfyUI: what their plans read and give."""

from __future__ import annotations

from pathlib import Path

import discomfort

LOOP = Path(__file__).parents[1] / "examples" / "loop"


def test_the_model_goes_by_reference_and_the_picture_by_value() -> None:
    load = discomfort.compile([LOOP / "load_model.json"])
    main = discomfort.compile([LOOP / "main_workflow.json"])
    assert {name: output.pass_by for name, output in load.outputs.items()} == dict.fromkeys(
        ("my_model", "my_clip", "my_vae"), "ref"
    )
    assert set(main.inputs) == {"my_model", "my_clip", "my_vae", "prompt", "seed"}
    assert {name: output.pass_by for name, output in main.outputs.items()} == {"output": "val"}
