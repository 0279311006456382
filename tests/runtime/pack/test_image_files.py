"""Files of images: how much memory they may take, and that results of one decoder are not those of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.input_files import fingerprints
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders
from discomfort.runtime.engines.embedded.pack import image_files, sizes
from discomfort.runtime.engines.protocol import NodeFailed
from tests.runtime.pack.fixtures import gradient, noise

SIDE = 24
FRAMES = 40
STACKED = 16
"""Bytes of a pixel: three colours and a mask."""


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    (tmp_path / "input").mkdir()
    return Folders(tmp_path / "input", tmp_path / "output", tmp_path / "temp", tmp_path / "models")


@pytest.fixture(params=["installed", "Pillow"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Pillow":
        monkeypatch.setattr(image_files, "_pyav", lambda: None)


def animation(path: Path, kind: str, **options: bool) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), (number, 0, 0)) for number in range(FRAMES)]
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], **options)


def loaded(name: str, context: WorkflowContext, folders: Folders) -> torch.Tensor:
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "out", "tags": "", "input": ["1", 0]}},
    }
    result = discomfort.compile([workflow]).run(context, engine=EmbeddedEngine(folders))["out"]
    assert isinstance(result, torch.Tensor)
    return result


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_read_as_long_as_there_is_room(
    kind: str, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"long.{kind.lower()}"
    animation(folders.input / name, kind, **({"lossless": True} if kind == "WEBP" else {}))
    monkeypatch.setattr(sizes, "_SMALL", 0)
    monkeypatch.setattr(sizes, "available_ram", lambda: STACKED * FRAMES * SIDE**2 // 2)
    with (
        WorkflowContext(max_ram_gb=0.01) as context,
        pytest.raises(NodeFailed, match=rf"{name}: its first [0-9]+ frames alone take .* GiB of memory"),
    ):
        loaded(name, context, folders)


@pytest.mark.usefixtures("decoder")
def test_an_animation_that_fits_is_read_whole(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    animation(folders.input / "fits.gif", "GIF")
    monkeypatch.setattr(sizes, "_SMALL", 0)
    monkeypatch.setattr(sizes, "available_ram", lambda: 40 * FRAMES * SIDE**2)
    assert image_files.read_image(folders.input / "fits.gif")[0].shape == (FRAMES, SIDE, SIDE, 3)


@pytest.mark.skipif(image_files._pyav() is None, reason="without PyAV such a file is an error")
def test_frames_before_the_damage_of_an_animation_are_read(folders: Folders) -> None:
    whole, cut = folders.input / "whole.png", folders.input / "cut.png"
    frames = [Image.fromarray((noise(6, 10, 3, seed=seed).numpy() * 255).astype(np.uint8)) for seed in range(3)]
    frames[0].save(whole, save_all=True, append_images=frames[1:])
    content = whole.read_bytes()
    cut.write_bytes(content[: content.index(b"fdAT") + 100])
    assert torch.equal(image_files.read_image(cut)[0][0], image_files.read_image(whole)[0][0])


@pytest.mark.skipif(image_files._pyav() is None, reason="needs both decoders")
def test_what_one_decoder_read_is_not_taken_for_what_another_reads(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "YOUNG_SECONDS", -1e9)
    picture = Image.fromarray((gradient(48, 48)[0].numpy() * 255).astype(np.uint8)[::3, ::5])
    picture.save(folders.input / "x.jpg", quality=60, subsampling=2)
    with WorkflowContext(max_ram_gb=0.01) as context:
        with_ffmpeg = loaded("x.jpg", context, folders)
        monkeypatch.setattr(image_files, "_pyav", lambda: None)
        with_pillow = loaded("x.jpg", context, folders)
    assert torch.equal(with_pillow, image_files.read_image(folders.input / "x.jpg")[0])
    assert not torch.equal(with_ffmpeg, with_pillow)
