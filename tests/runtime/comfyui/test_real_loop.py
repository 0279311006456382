"""The documented loop on a real ComfyUI, with a checkpoint that loads and samples: `pytest --comfyui=PATH`."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from discomfort.runtime.engines.comfyui.process.server_config import PATH_VARIABLE
from discomfort.session import Discomfort
from tests.runtime.comfyui.checkpoint import place_checkpoint
from tests.runtime.comfyui.real import Witness, real_config

LOOP = Path(__file__).parents[3] / "examples" / "loop"
MODEL = "my_model.safetensors"

pytestmark = [pytest.mark.comfyui, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """ComfyUI's base folder with the checkpoint in it."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "models" / "checkpoints").mkdir(parents=True)
    place_checkpoint(folder / "models" / "checkpoints" / MODEL)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def configured(
    comfyui_path: Path, comfyui_python: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A `comfy_serverless.json` that names the checkout, its interpreter and its arguments."""
    config = real_config(comfyui_path, comfyui_python, base)
    line = " ".join(f"'{word}'" for word in (comfyui_python, "main.py", *config.arguments))
    path = tmp_path / "comfy_serverless.json"
    path.write_text(f"// as the documentation shows it\n{json.dumps({'API_COMMAND_LINE': line})}")
    monkeypatch.setenv(PATH_VARIABLE, str(comfyui_path))
    monkeypatch.setenv("DISCOMFORT_ENGINE", "comfyui")
    monkeypatch.chdir(tmp_path)
    return path


def load_example(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("loop_example", folder / "loop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_R3_the_documented_loop_loads_the_model_once(
    configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness(monkeypatch)
    folder = Path(shutil.copytree(LOOP, tmp_path / "loop", ignore=shutil.ignore_patterns("output")))
    await load_example(folder).main(MODEL)
    executed = witness.executed()
    assert executed.count("CheckpointLoaderSimple") == 1
    assert executed.count("KSampler") == executed.count("VAEDecode") == 5
    pictures = {Image.open(folder / "output" / f"output_{number}.png").tobytes() for number in range(5)}
    assert len(pictures) == 5


async def test_R3_the_model_stays_loaded_when_two_workflows_alternate(
    configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness(monkeypatch)
    main = json.loads((LOOP / "main_workflow.json").read_text())
    other = json.loads((LOOP / "main_workflow.json").read_text())
    for node in other["nodes"]:
        if node["type"] == "EmptyLatentImage":
            node["widgets_values"][:2] = [128, 64]
            node["widgets_values_named"].update(width=128)
        if node.get("title") == "Negative prompt":
            node["widgets_values"] = [""]
            node["widgets_values_named"].update(text="")
    async with await Discomfort.create(configured) as discomfort:
        with discomfort.Context() as context:
            await discomfort.run([LOOP / "load_model.json"], inputs={"model_name": MODEL}, context=context)
            for number in range(4):
                inputs = {"prompt": f"{number}", "seed": number}
                await discomfort.run([other if number % 2 else main], inputs=inputs, context=context)
                assert list(context.load("output").shape) == [1, 64, 128 if number % 2 else 64, 3]
    executed = witness.executed()
    assert executed.count("CheckpointLoaderSimple") == 1
    assert executed.count("KSampler") == executed.count("VAEDecode") == 4
