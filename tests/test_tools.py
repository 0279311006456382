"""Images in and out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from discomfort.tools import WorkflowTools

tools = WorkflowTools()


def test_an_image_opens_as_comfyui_has_it(tmp_path: Path) -> None:
    Image.new("RGB", (5, 3), (255, 128, 0)).save(tmp_path / "a.png")
    tensor = tools.open_image_as_tensor(tmp_path / "a.png")
    assert tuple(tensor.shape) == (1, 3, 5, 3)
    assert tensor.dtype == torch.float32
    assert tensor[0, 0, 0].tolist() == pytest.approx([1.0, 128 / 255, 0.0])


def test_orientation_and_transparency_are_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn to the right
    Image.new("RGB", (4, 2)).save(tmp_path / "turned.jpg", exif=exif)
    assert tuple(tools.open_image_as_tensor(tmp_path / "turned.jpg").shape) == (1, 4, 2, 3)
    Image.new("RGBA", (4, 2), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert tuple(tools.open_image_as_tensor(tmp_path / "clear.png").shape) == (1, 2, 4, 3)


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    Image.new("I;16", (2, 2), 65535).save(tmp_path / "deep.png")
    assert float(tools.open_image_as_tensor(tmp_path / "deep.png").min()) == 1.0


def test_a_file_that_is_not_an_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"text\.png is not an image"):
        tools.open_image_as_tensor(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError):
        tools.open_image_as_tensor(tmp_path / "absent.png")


@pytest.mark.parametrize("kept", [2000, 60])
def test_an_image_that_was_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    noise = torch.rand(1, 64, 64, 3)
    (path,) = tools.save_comfy_image_to_disk(noise, tmp_path / "cut.png")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"cut\.png is not an image"):
        tools.open_image_as_tensor(path)


def test_an_image_too_large_for_its_own_good_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"large\.png is a picture of 4,096 pixels, and Pillow opens at most 2,000"):
        tools.open_image_as_tensor(tmp_path / "large.png")


def test_what_is_not_a_number_is_black(tmp_path: Path) -> None:
    (path,) = tools.save_comfy_image_to_disk(torch.full((1, 2, 2, 3), float("nan")), tmp_path / "nan.png")
    with Image.open(path) as image:
        assert image.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("name", ["v2.1", "out.xyz"])
def test_an_unknown_format_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"names no image format .* use \.png"):
        tools.save_comfy_image_to_disk(torch.rand(1, 2, 2, 3), tmp_path / "new" / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (1, 0, 4, 3)])
def test_an_image_has_pixels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        tools.save_comfy_image_to_disk(torch.zeros(shape), tmp_path / "a.png")


def test_saving_clamps_makes_folders_and_numbers_batches(tmp_path: Path) -> None:
    batch = torch.stack([torch.full((2, 3, 3), -1.0), torch.full((2, 3, 3), 2.0)])
    written = tools.save_comfy_image_to_disk(batch, tmp_path / "new" / "folder" / "out.png")
    assert [path.name for path in written] == ["out_00000.png", "out_00001.png"]
    pixels = []
    for path in written:
        with Image.open(path) as image:
            pixels.append(image.getpixel((0, 0)))
    assert pixels == [(0, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_number_of_channels_is_written(tmp_path: Path, channels: int) -> None:
    (path,) = tools.save_comfy_image_to_disk(torch.rand(2, 3, channels), tmp_path / "one")
    with Image.open(path) as image:
        assert (path.name, image.size, image.mode) == ("one.png", (3, 2), {1: "L", 3: "RGB", 4: "RGBA"}[channels])


def test_transparency_is_dropped_for_jpeg(tmp_path: Path) -> None:
    (path,) = tools.save_comfy_image_to_disk(torch.rand(1, 2, 3, 4), tmp_path / "one.jpg")
    with Image.open(path) as image:
        assert image.mode == "RGB"


def test_a_png_carries_its_workflow(tmp_path: Path) -> None:
    workflow: dict[str, list[str]] = {"nodes": [], "links": []}
    (path,) = tools.save_comfy_image_to_disk(torch.rand(1, 2, 2, 3), tmp_path / "a.png", workflow)
    with Image.open(path) as image:
        assert json.loads(image.info["workflow"]) == workflow
    with pytest.raises(ValueError, match="only a PNG"):
        tools.save_comfy_image_to_disk(torch.rand(1, 2, 2, 3), tmp_path / "a.jpg", workflow)


@pytest.mark.parametrize("value", [torch.rand(2, 2), torch.rand(1, 2, 2, 7), "text"])
def test_what_is_not_an_image_is_refused(tmp_path: Path, value: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="an image is a tensor"):
        tools.save_comfy_image_to_disk(value, tmp_path / "a.png")
