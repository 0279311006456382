"""The documented loop where the documentation has it: Discomfort cloned into ComfyUI's `custom_nodes`.

The script lies in ComfyUI's folder and imports `custom_nodes.discomfort.discomfort`; `create()` finds what is around
it. That is the double, and with `--comfyui PATH` a copy of that checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.runtime.comfyui.checkpoint import place_checkpoint
from tests.runtime.comfyui.helpers import make_checkout

ROOT = Path(__file__).parents[3]
LOOP = ROOT / "examples" / "loop"
MODEL = "my_model.safetensors"

SCRIPT = """
import asyncio
import json
import sys

sys.path[:0] = json.loads(sys.argv[1])
from custom_nodes.discomfort.discomfort import Discomfort

sys.path.append(sys.argv[2])  # for the witness: the test's own
import pytest
from tests.runtime.comfyui.real import Witness

witness = Witness(pytest.MonkeyPatch())


async def main():
    discomfort = await Discomfort.create()
    with discomfort.Context() as context:
        context.save("model_name", "my_model.safetensors")
        await discomfort.run(["load_model.json"], context=context)
        for i in range(5):
            context.save("prompt", f"Image {i}: a quiet harbour")
            context.save("seed", 1000 + i)
            await discomfort.run(["main_workflow.json"], context=context)
            image = context.load("output")
            discomfort.Tools.save_comfy_image_to_disk(image, f"output_{i}.png")
    comfyui, package = discomfort.engine.server.config.path, sys.modules["discomfort"].__file__
    print(json.dumps([comfyui.name, package, witness.executed()]))
    await discomfort.shutdown()


asyncio.run(main())
"""


def clone(comfyui: Path) -> None:
    """Put Discomfort and the loop's workflows where a clone and a user's script are."""
    target = comfyui / "custom_nodes" / "discomfort"
    for part in ("discomfort", "comfy_nodes"):
        shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__init__.py", target)
    for name in ("load_model.json", "main_workflow.json"):
        shutil.copy(LOOP / name, comfyui)
    (comfyui / "script.py").write_text(SCRIPT)


def run_the_loop(comfyui: Path) -> None:
    packages = [path for path in sys.path if path.endswith("site-packages")]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COMFYUI_PATH")}
    done = subprocess.run(
        [sys.executable, "-S", "script.py", json.dumps(packages), str(ROOT)],
        capture_output=True,
        text=True,
        cwd=comfyui,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder, package, executed = json.loads(done.stdout.splitlines()[-1])
    assert folder == comfyui.name
    assert Path(package).resolve().is_relative_to((comfyui / "custom_nodes").resolve())
    assert executed.count("CheckpointLoaderSimple") == 1
    assert executed.count("KSampler") == executed.count("VAEDecode") == 5
    pictures = {Image.open(comfyui / f"output_{number}.png").tobytes() for number in range(5)}
    assert len(pictures) == 5


def test_R3_the_loop_runs_from_a_clone(tmp_path: Path) -> None:
    comfyui = make_checkout(tmp_path / "Comfy")
    clone(comfyui)
    run_the_loop(comfyui)


@pytest.mark.comfyui
@pytest.mark.timeout(1500)
def test_R3_the_loop_runs_from_a_clone_in_a_real_comfyui(
    comfyui_path: Path, comfyui_python: str, tmp_path: Path
) -> None:
    comfyui = tmp_path / "Comfy"
    left_out = {".git", "models", "tests", "tests-unit", "custom_nodes", "input", "output", "temp", "user"}
    shutil.copytree(comfyui_path, comfyui, ignore=lambda folder, _: left_out if Path(folder) == comfyui_path else ())
    (comfyui / "models" / "checkpoints").mkdir(parents=True)
    place_checkpoint(comfyui / "models" / "checkpoints" / MODEL)
    clone(comfyui)
    database = f"sqlite:///{tmp_path / 'comfyui.db'}"
    line = f"{comfyui_python} main.py --cpu --disable-api-nodes --database-url {database}"
    (comfyui / "comfy_serverless.json").write_text(f"// in ComfyUI's folder\n{json.dumps({'API_COMMAND_LINE': line})}")
    try:
        run_the_loop(comfyui)
    finally:
        shutil.rmtree(comfyui / "models")
