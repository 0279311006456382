"""What holds for the pack as a whole: declarations, files, laziness, folders, documentation."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.catalog.read import read_catalog
from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders, current_folders, use_folders
from discomfort.runtime.engines.embedded.pack import (
    NODE_CLASS_MAPPINGS,
    NODE_DISPLAY_NAME_MAPPINGS,
    THEMES,
    object_info,
    safetensors_file,
)
from discomfort.runtime.engines.embedded.pack.protocol import facts
from discomfort.runtime.engines.embedded.pack.values.mathematics import math_expression
from tests.runtime.pack.goldens import FILES

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "embedded-nodes.md"
DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
FILE_LISTS = {"LoadImage": "image", "LoadImageMask": "image", "LoadLatent": "latent"}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    shutil.copytree(FILES, tmp_path / "input")
    return Folders(tmp_path / "input", tmp_path / "output", tmp_path / "temp", tmp_path / "models")


def function_of(node_class: Any) -> Any:
    return getattr(node_class, node_class.FUNCTION)


@pytest.mark.parametrize("name", sorted(NODE_CLASS_MAPPINGS))
def test_function_takes_what_the_class_declares(name: str) -> None:
    node_class: Any = NODE_CLASS_MAPPINGS[name]
    types = node_class.INPUT_TYPES()
    parameters = inspect.signature(function_of(node_class)).parameters
    free = [key for key, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD]
    offered = {key for section in types.values() for key in section}
    assert offered <= set(parameters)
    undeclared = set(parameters) - offered - set(free)
    assert all(parameters[key].default is not inspect.Parameter.empty for key in undeclared)
    left_out_by_prompts = {*types.get("optional", {}), *types.get("hidden", {})}
    assert all(parameters[key].default is not inspect.Parameter.empty for key in left_out_by_prompts)


def test_facts_are_those_of_the_shipped_catalog() -> None:
    mine, shipped = read_catalog(facts()), default_catalog()
    for name in NODE_CLASS_MAPPINGS:
        if name in FILE_LISTS:
            continue
        assert mine[name].inputs == shipped[name].inputs, name
        assert mine[name].outputs == shipped[name].outputs, name


def test_object_info_is_json_and_lists_the_files_that_are_there(folders: Folders) -> None:
    with use_folders(folders):
        info = json.loads(json.dumps(object_info()))
    assert list(info) == list(NODE_CLASS_MAPPINGS)
    names = info["LoadImage"]["input"]["required"]["image"][0]
    assert "rgb.png" in names
    assert names == sorted(names)
    assert info["LoadLatent"]["input"]["required"]["latent"][0] == ["old.latent", "plain.latent"]


def test_input_types_follow_the_v1_protocol() -> None:
    for name, node_class in NODE_CLASS_MAPPINGS.items():
        v1: Any = node_class
        types = v1.INPUT_TYPES()
        specs = [spec for section in ("required", "optional") for spec in types.get(section, {}).values()]
        assert all(isinstance(spec, tuple) for spec in specs), name
        assert all(isinstance(kind, str) for kind in types.get("hidden", {}).values()), name
        lengths = {len(v1.RETURN_TYPES), len(v1.RETURN_NAMES), len(v1.OUTPUT_IS_LIST)}
        assert len(lengths) == 1, name
        assert NODE_DISPLAY_NAME_MAPPINGS[name]


def test_documentation_lists_the_pack_theme_by_theme() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", DOCUMENTATION.read_text(encoding="utf-8"), re.MULTILINE)
    by_theme = [
        (name, NODE_DISPLAY_NAME_MAPPINGS[name])
        for theme in THEMES
        for name, node_class in NODE_CLASS_MAPPINGS.items()
        if node_class.__module__ == theme.__name__
    ]
    assert rows == by_theme
    assert f"It has {len(NODE_CLASS_MAPPINGS)} of" in DOCUMENTATION.read_text(encoding="utf-8")


def test_switch_asks_only_for_the_side_it_needs() -> None:
    switch: Any = NODE_CLASS_MAPPINGS["ComfySwitchNode"]()
    assert switch.check_lazy_status(switch=True) == ["on_true"]
    assert switch.check_lazy_status(switch=False, on_true="x") == ["on_false"]
    assert switch.check_lazy_status(switch=True, on_true="x") == []
    types: Any = NODE_CLASS_MAPPINGS["ComfySwitchNode"]
    assert all(types.INPUT_TYPES()["required"][side][1]["lazy"] for side in ("on_false", "on_true"))


def test_load_image_notices_changed_and_missing_files(folders: Folders) -> None:
    load_image: Any = NODE_CLASS_MAPPINGS["LoadImage"]
    with use_folders(folders):
        before = load_image.IS_CHANGED(image="rgb.png")
        assert load_image.IS_CHANGED(image="rgb.png") == before
        time.sleep(0.01)
        shutil.copyfile(FILES / "rgba.png", folders.input / "rgb.png")
        assert load_image.IS_CHANGED(image="rgb.png") != before
        assert load_image.VALIDATE_INPUTS(image="rgb.png") is True
        assert "'none.png' is not there" in load_image.VALIDATE_INPUTS(image="none.png")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "folder/../../secret.png", "../secret.png [output]"])
def test_names_that_lead_out_of_their_folder_are_refused(name: str, folders: Folders) -> None:
    (folders.input.parent / "secret.png").write_bytes(b"")
    with use_folders(folders), pytest.raises(ValueError, match="outside of"):
        NODE_CLASS_MAPPINGS["LoadImage"].VALIDATE_INPUTS(image=name)  # type: ignore[attr-defined]


def test_folders_are_those_of_the_innermost_block_and_of_the_task(folders: Folders, tmp_path: Path) -> None:
    other = Folders(tmp_path / "a", tmp_path / "b", tmp_path / "c", tmp_path / "d")

    async def look(wait: float, mine: Folders) -> Folders:
        with use_folders(mine):
            await asyncio.sleep(wait)
            return current_folders()

    async def both() -> list[Folders]:
        return list(await asyncio.gather(look(0.02, folders), look(0.0, other)))

    assert asyncio.run(both()) == [folders, other]
    with use_folders(folders), use_folders(other):
        assert current_folders() == other
    default = current_folders()
    assert (default.input, default.output) == (Path.cwd() / "input", Path.cwd() / "output")
    assert default.temp.is_dir()
    assert default == current_folders()


def test_folders_import_no_torch_and_leave_no_temp_behind() -> None:
    code = (
        "import sys; from discomfort.runtime.engines.embedded.for_node_authors.folders import current_folders; "
        "assert 'torch' not in sys.modules; print(current_folders().temp)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not Path(answer.stdout.strip()).exists()


def test_saved_images_count_on_over_runs(folders: Folders) -> None:
    save: Any = NODE_CLASS_MAPPINGS["SaveImage"]()
    image = torch.zeros(2, 4, 4, 3)
    with use_folders(folders):
        names = [entry["filename"] for _ in range(2) for entry in save.execute(image, "deep/x")["ui"]["images"]]
    assert names == [f"x_{number:05}_.png" for number in (1, 2, 3, 4)]
    assert sorted(path.name for path in (folders.output / "deep").iterdir()) == names


@pytest.mark.parametrize(
    "expression",
    ["().__class__", "a.__class__", "9 ** 9 ** 9", "1 << 10 ** 9", "'x' * 10 ** 9", "print(a)", "(x := 3)"],
)
def test_expressions_neither_reach_out_nor_run_away(expression: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        math_expression(expression, {"a": 1})


@pytest.mark.parametrize("dtype", DTYPES)
def test_safetensors_files_are_those_of_the_library(dtype: torch.dtype, tmp_path: Path) -> None:
    values = {"odd": torch.arange(3).to(dtype), "table": torch.ones(2, 5).to(dtype), "none": torch.tensor([]).to(dtype)}
    safetensors_file.write(tmp_path / "mine", values, {"note": "ü"})
    safetensors.torch.save_file(values, tmp_path / "theirs")
    for read in (safetensors.torch.load_file(tmp_path / "mine"), safetensors_file.read(tmp_path / "theirs")):
        assert all(torch.equal(read[name], value) and read[name].dtype == dtype for name, value in values.items())


def test_a_file_that_is_not_a_safetensors_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.latent").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="not a safetensors file"):
        safetensors_file.read(tmp_path / "x.latent")
