"""Every way from an IMAGE to a picture gives the pixels that ComfyUI's SaveImage writes, on a whole gradient."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor

import discomfort
from discomfort.runtime.engines.comfyui.channels.png import picture_of, png_files
from discomfort.runtime.engines.embedded.pack.images.geometry import in_eight_bits
from discomfort.runtime.engines.embedded.pack.images.resampling import lanczos
from discomfort.runtime.engines.embedded.pack.pictures import to_picture

Writer = Callable[[Tensor, Path], Image.Image]
DTYPES = (torch.float32, torch.float64, torch.float16)


def gradient(dtype: torch.dtype) -> Tensor:
    """[1, 384, 256, 3]: 98,304 values from -0.1 to 1.1, the first 256 of them exactly those of 8 bits."""
    values = torch.linspace(-0.1, 1.1, 384 * 256, dtype=torch.float64)
    values[:256] = torch.arange(256, dtype=torch.float64) / 255
    return values.to(dtype).reshape(1, 384, 256, 1).expand(1, 384, 256, 3).contiguous()


def as_comfyui(image: Tensor) -> npt.NDArray[numpy.uint8]:
    """The pixels that ComfyUI writes: cut, not rounded."""
    return numpy.clip(255.0 * image.numpy(), 0, 255).astype(numpy.uint8)


def with_tools(image: Tensor, folder: Path) -> Image.Image:
    (path,) = discomfort.Tools.save_comfy_image_to_disk(image, folder / "saved.png")
    return Image.open(path)


def with_export(image: Tensor, folder: Path) -> Image.Image:
    with discomfort.Context(max_ram_gb=0.1) as context:
        context.save("image", image)
        context.export_data("image", folder / "exported.png", format="png")
    return Image.open(folder / "exported.png")


def with_upload(image: Tensor, folder: Path) -> Image.Image:
    (file,) = png_files(image)
    return Image.open(io.BytesIO(file))


def with_save_image(image: Tensor, folder: Path) -> Image.Image:
    return to_picture(image[0])


def with_eight_bits(image: Tensor, folder: Path) -> Image.Image:
    return Image.fromarray((in_eight_bits(image)[0] * 255).round().to(torch.uint8).numpy())


def with_lanczos(image: Tensor, folder: Path) -> Image.Image:
    same = lanczos(image.movedim(-1, 1), image.shape[2], image.shape[1]).movedim(1, -1)
    return Image.fromarray((same[0] * 255).round().to(torch.uint8).numpy())


WRITERS = [with_tools, with_export, with_upload, with_save_image, with_eight_bits, with_lanczos]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("write", WRITERS)
def test_an_image_becomes_the_pixels_that_comfyui_writes(write: Writer, dtype: torch.dtype, tmp_path: Path) -> None:
    image = gradient(dtype)
    assert numpy.array_equal(numpy.asarray(write(image, tmp_path)), as_comfyui(image)[0])


@pytest.mark.parametrize("write", WRITERS)
def test_what_was_loaded_and_is_saved_again_stays_as_it_is(write: Writer, tmp_path: Path) -> None:
    levels = numpy.arange(256, dtype=numpy.uint8).repeat(3).reshape(1, 256, 3)
    Image.fromarray(levels).save(tmp_path / "levels.png")
    image = discomfort.Tools.open_image_as_tensor(tmp_path / "levels.png")
    assert numpy.array_equal(numpy.asarray(write(image, tmp_path)), levels)


@pytest.mark.parametrize("write", [with_tools, with_export, with_upload, with_save_image])
def test_nan_is_black_and_infinities_are_the_ends(write: Writer, tmp_path: Path) -> None:
    image = torch.tensor([torch.nan, torch.inf, -torch.inf]).reshape(1, 1, 3, 1).expand(1, 1, 3, 3).contiguous()
    assert numpy.asarray(write(image, tmp_path))[0, :, 0].tolist() == [0, 255, 0]


def test_all_readers_give_the_same_values(tmp_path: Path) -> None:
    levels = numpy.arange(256, dtype=numpy.uint8).repeat(3).reshape(1, 256, 3)
    path = tmp_path / "levels.png"
    Image.fromarray(levels).save(path)
    expected = torch.from_numpy(levels.astype(numpy.float32) / 255.0)[None]
    assert torch.equal(discomfort.Tools.open_image_as_tensor(path), expected)
    assert torch.equal(picture_of([path.read_bytes()], is_mask=False), expected)
    assert torch.equal(picture_of([path.read_bytes()], is_mask=True), expected[..., 0])
