"""Every node of the pack does what ComfyUI's own does, case by case; goldens are recorded by record.py."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders, use_folders
from discomfort.runtime.engines.embedded.pack import NODE_CLASS_MAPPINGS
from tests.runtime.pack import fixtures
from tests.runtime.pack.goldens import FILES, THEMES, Arrays, Case, cases, encode, load
from tests.runtime.pack.replay import replay

TOLERANCE = 1e-5
DECODER_TOLERANCE = 1.2 / 255
"""ComfyUI 0.33.0 reads these files with FFmpeg, which rounds colours on the way; Pillow reads what is stored."""
DECODED_BY_FFMPEG = (
    "gray.png", "gray_alpha.png", "gray16.png", "bilevel.png", "animated.gif", "gray.jpg", "lossless.webp",
)  # fmt: skip

ANIMATED_WEBP, FFMPEG_READS_IT_SINCE_PYAV = "animated.webp", 19
"""Before, ComfyUI falls back to Pillow for this file, as the golden has it: without alpha, so with an empty mask."""

RECORDED_WITH_PILLOW = 13
RESAMPLED_OTHERWISE_BEFORE = ("ImageScale-23", "ResizeImageMaskNode-8", "ResizeImageMaskNode-18")
"""Lanczos to 11 by 4 pixels: ComfyUI uses whatever Pillow is installed, and older ones give other values."""

load_goldens = functools.lru_cache(maxsize=None)(load)


def tolerance(case: Case) -> float:
    loads_image = case.class_type in ("LoadImage", "LoadImageMask")
    return DECODER_TOLERANCE if loads_image and case.inputs["image"] in DECODED_BY_FFMPEG else TOLERANCE


def ffmpeg_reads_the_animation(case: Case) -> bool:
    reads = case.class_type == "LoadImage" and case.inputs["image"] == ANIMATED_WEBP
    return reads and int(version("av").partition(".")[0]) >= FFMPEG_READS_IT_SINCE_PYAV


def assert_same_animation(found: Any, expected: Any, arrays: Arrays, recorded: Arrays) -> None:
    """Compare the pictures of a golden that was made without FFmpeg; the mask has the size of the pictures then."""
    pictures, mask = (arrays.arrays[output[0]["$tensor"]] for output in found["outputs"])
    golden = recorded.arrays[expected["outputs"][0][0]["$tensor"]]
    np.testing.assert_allclose(pictures, golden, rtol=0, atol=DECODER_TOLERANCE)
    assert mask.shape == pictures.shape[:3]
    assert mask.max() <= DECODER_TOLERANCE


def assert_same(found: Any, expected: Any, arrays: Arrays, recorded: Arrays, limit: float, place: str) -> None:
    """Compare two descriptions; tensors within `limit`, everything else exactly."""
    if isinstance(expected, dict) and "$tensor" in expected:
        assert isinstance(found, dict), place
        array, golden = arrays.arrays[found["$tensor"]], recorded.arrays[expected["$tensor"]]
        assert (array.shape, array.dtype) == (golden.shape, golden.dtype), place
        wide = np.float64 if golden.dtype.kind in "fc" else np.int64
        np.testing.assert_allclose(array.astype(wide), golden.astype(wide), rtol=limit, atol=limit, err_msg=place)
    elif isinstance(expected, dict):
        assert isinstance(found, dict), place
        assert list(found) == list(expected) or "__metadata__" in place or set(found) == set(expected), place
        for key, value in expected.items():
            assert_same(found[key], value, arrays, recorded, limit, f"{place}.{key}")
    elif isinstance(expected, list):
        assert isinstance(found, list), place
        assert len(found) == len(expected), f"{place}: {found} {expected}"
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, arrays, recorded, limit, f"{place}[{index}]")
    else:
        assert type(found) is type(expected), place
        assert found == expected, place


def resampled_here(inputs: dict[str, Any]) -> Any:
    """Return what the installed Pillow makes of the fixture that a case resizes: [batch, height, width(, channel)]."""
    (name,) = next(value["$fixture"] for value in inputs.values() if isinstance(value, dict) and "$fixture" in value)
    frames = np.clip(255.0 * fixtures.build()[name].numpy(), 0, 255).astype(np.uint8)
    resized = [Image.fromarray(frame).resize((11, 4), Image.Resampling.LANCZOS) for frame in frames]
    return np.stack([np.asarray(picture).astype(np.float32) / 255.0 for picture in resized])


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(FILES, tmp_path / "output", tmp_path / "temp", tmp_path / "models")


def lay_out(case: Case, base: Path) -> None:
    for target, source in case.files.items():
        path = base / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILES / source, path)


@pytest.fixture(autouse=True, scope="module")
def fixtures_stay_as_they_are() -> Iterator[None]:
    """No node changes what it is given: all cases share their fixtures."""
    yield
    fresh, used = (encode_all(values) for values in (fixtures.build.__wrapped__(), fixtures.build()))
    assert used == fresh


def encode_all(values: dict[str, Any]) -> str:
    arrays = Arrays()
    encoded = {name: encode(value, arrays) for name, value in values.items()}
    return repr((encoded, {key: array.tobytes() for key, array in arrays.arrays.items()}))


ALL_CASES = [case for theme in THEMES for case in cases(theme)]


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_node_does_what_comfyui_does(case: Case, folders: Folders, tmp_path: Path) -> None:
    goldens, recorded = load_goldens(case.theme)
    golden = goldens[case.name]
    assert golden["inputs"] == case.inputs, "recorded for other inputs: run record.py"
    assert "rejected" not in golden, "ComfyUI's validation refuses these inputs; nothing ran"
    lay_out(case, tmp_path)
    arrays = Arrays()
    with use_folders(folders):
        if "raised" in golden:
            with pytest.raises(Exception):  # noqa: B017, PT011 — which exception it is, is not part of the contract
                replay(case, tmp_path, arrays)
            return
        found = replay(case, tmp_path, arrays)
    if case.name in RESAMPLED_OTHERWISE_BEFORE and int(PIL.__version__.partition(".")[0]) < RECORDED_WITH_PILLOW:
        (array,) = arrays.arrays.values()
        np.testing.assert_allclose(array, resampled_here(golden["inputs"]), rtol=TOLERANCE, atol=TOLERANCE)
        return
    expected = {key: value for key, value in golden.items() if key not in ("class", "inputs")}
    if ffmpeg_reads_the_animation(case):
        assert_same_animation(found, expected, arrays, recorded)
        return
    assert_same(found, expected, arrays, recorded, tolerance(case), case.name)


def test_every_node_has_a_recorded_case_that_ran() -> None:
    ran = set()
    for theme in THEMES:
        goldens, _ = load_goldens(theme)
        ran |= {golden["class"] for golden in goldens.values() if "outputs" in golden or "ui" in golden}
        ran |= {"VAELoader"} if theme == "latents" and "VAEEncode" in ran else set()
    assert sorted(NODE_CLASS_MAPPINGS) == sorted(ran)
