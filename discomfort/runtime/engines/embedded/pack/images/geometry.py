"""Nodes that cut, pad, turn and join images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from discomfort.images import from_levels, to_levels
from discomfort.runtime.engines.embedded.pack.files import preview
from discomfort.runtime.engines.embedded.pack.images.resampling import resample_image
from discomfort.runtime.engines.embedded.pack.pictures import check_picture
from discomfort.runtime.engines.embedded.pack.protocol import node

SPACING_COLORS = {
    "white": (1.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
}
QUARTER_TURNS = {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}


def cut(image: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """Cut a box out of [batch, height, width, ...]; its corner is moved inside, its far sides are cut off."""
    x, y = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, y : y + height, x : x + width]


@node("ImageCrop")
def image_crop(image: Tensor, width: int, height: int, x: int, y: int) -> tuple[Tensor]:
    """Cut a box out of an image."""
    return (cut(image, x, y, width, height),)


@node("ImageCropV2")
def image_crop_box(image: Tensor, crop_region: dict[str, int]) -> dict[str, Any]:
    """Cut a bounding box out of an image and show it."""
    x, y = crop_region.get("x", 0), crop_region.get("y", 0)
    cropped = cut(image, x, y, crop_region.get("width", 512), crop_region.get("height", 512))
    return {"ui": {"images": preview(cropped), "animated": (False,)}, "result": (cropped,)}


@node("ImagePadForOutpaint")
def image_pad_for_outpaint(
    image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Tensor, Tensor]:
    """Add grey borders, and give a mask [1, height, width] that is 1 on them and fades over `feathering` pixels."""
    batch, height, width, channels = image.shape
    padded = torch.full((batch, height + top + bottom, width + left + right, channels), 0.5)
    padded[:, top : top + height, left : left + width] = image
    mask = torch.ones(height + top + bottom, width + left + right)
    inner = torch.zeros(height, width)
    if 0 < feathering * 2 < min(height, width):
        rows, columns = torch.arange(height).unsqueeze(1), torch.arange(width).unsqueeze(0)
        distances = [rows if top else height, height - rows if bottom else height]
        distances += [columns if left else width, width - columns if right else width]
        nearest = torch.full((height, width), float(max(height, width)))
        for distance in distances:
            nearest = torch.minimum(nearest, torch.as_tensor(distance, dtype=torch.float32))
        inner = ((feathering - nearest) / feathering).clamp(min=0) ** 2
    mask[top : top + height, left : left + width] = inner
    return padded, mask.unsqueeze(0)


def flipped(values: Tensor, flip_method: str, rows: int, columns: int) -> Tensor:
    """Mirror a tensor along the dimension of its rows ("x-axis…") or columns ("y-axis…")."""
    if flip_method.startswith("x"):
        return values.flip(rows)
    return values.flip(columns) if flip_method.startswith("y") else values


@node("ImageFlip")
def image_flip(image: Tensor, flip_method: str) -> tuple[Tensor]:
    """Mirror an image; "x-axis" turns it upside down."""
    return (flipped(image, flip_method, 1, 2),)


@node("ImageRotate")
def image_rotate(image: Tensor, rotation: str) -> tuple[Tensor]:
    """Turn an image clockwise in steps of 90 degrees."""
    return (torch.rot90(image, k=QUARTER_TURNS.get(rotation, 0), dims=(2, 1)),)


def in_eight_bits(image: Tensor) -> Tensor:
    """Cut values down to the steps that 8 bits a channel can hold, as on the way through pictures; gives float32."""
    check_picture(image)
    return torch.from_numpy(from_levels(to_levels(image)))


def _check_box(width: int, height: int) -> None:
    if width < 0 or height < 0:
        raise ValueError(f"a box of {width} by {height} pixels cannot be cut out")


@node("CenterCropImages")
def center_crop_images(images: Tensor, width: int, height: int) -> tuple[Tensor]:
    """Cut the middle out of an image, at most its own size; values pass through 8 bits."""
    _check_box(width, height)
    left, top = max(0, (images.shape[2] - width) // 2), max(0, (images.shape[1] - height) // 2)
    return (in_eight_bits(images[:, top : top + height, left : left + width]),)


@node("RandomCropImages")
def random_crop_images(images: Tensor, width: int, height: int, seed: int) -> tuple[Tensor]:
    """Cut a box from a random place; the generator is seeded with `seed` modulo 2³²-1. Values pass through 8 bits."""
    _check_box(width, height)
    generator = np.random.RandomState(seed % (2**32 - 1))
    left = generator.randint(0, max(0, images.shape[2] - width) + 1)
    top = generator.randint(0, max(0, images.shape[1] - height) + 1)
    return (in_eight_bits(images[:, top : top + height, left : left + width]),)


def _with_channels(image: Tensor, channels: int) -> Tensor:
    return functional.pad(image, (0, channels - image.shape[-1]), value=1.0)


def _with_batch(image: Tensor, batch: int) -> Tensor:
    """Repeat the last image until there are `batch`."""
    missing = batch - image.shape[0]
    return torch.cat([image, image[-1:].expand(missing, *image.shape[1:])]) if missing else image


def _centered(image: Tensor, axis: int, size: int, fill: float) -> Tensor:
    """Pad [batch, height, width, channel] with `fill` to `size` along `axis`, the image in the middle."""
    missing = size - image.shape[axis]
    before, after = missing // 2, missing - missing // 2
    return functional.pad(image, (0, 0, before, after) if axis == 2 else (0, 0, 0, 0, before, after), value=fill)


@node("ImageStitch")
def image_stitch(
    image1: Tensor,
    direction: str,
    match_image_size: bool,
    spacing_width: int,
    spacing_color: str,
    image2: Tensor | None = None,
) -> tuple[Tensor]:
    """Put `image2` on one side of `image1`, with a stripe of an even number of pixels between them.

    Where sizes differ and are not matched, the smaller image gets borders: white ones for white, else black ones.
    """
    if image2 is None:
        return (image1,)
    batch = max(image1.shape[0], image2.shape[0])
    image1, image2 = _with_batch(image1, batch), _with_batch(image2, batch)
    across = 1 if direction in ("left", "right") else 2
    if match_image_size:
        height, width = image1.shape[1:3]
        if across == 1:
            width = int(height * (image2.shape[2] / image2.shape[1]))
        else:
            height = int(width / (image2.shape[2] / image2.shape[1]))
        if image2.shape[-1] == 1:
            raise ValueError("ImageStitch cannot match the size of images with one channel")
        image2 = resample_image(image2, width, height, "lanczos")
    else:
        size = max(image1.shape[across], image2.shape[across])
        fill = 1.0 if spacing_color == "white" else 0.0
        image1, image2 = _centered(image1, across, size, fill), _centered(image2, across, size, fill)
    channels = max(image1.shape[-1], image2.shape[-1])
    parts = [_with_channels(image1, channels), _with_channels(image2, channels)]
    if direction in ("left", "up"):
        parts.reverse()
    if spacing_width > 0:
        shape = list(parts[0].shape)
        shape[3 - across] = spacing_width + spacing_width % 2
        color = torch.zeros(max(channels, 3))
        color[:3] = torch.tensor(SPACING_COLORS[spacing_color])
        if channels == 4:
            color[3] = 1.0
        color = color[:channels]
        parts.insert(1, color.expand(shape))
    return (torch.cat(parts, dim=3 - across),)
