"""Nodes that make and change masks [batch, height, width]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from discomfort.runtime.engines.embedded.for_node_authors.node_api import raise_if_interrupted
from discomfort.runtime.engines.embedded.pack.pictures import as_batch
from discomfort.runtime.engines.embedded.pack.protocol import node

CHANNELS = ("red", "green", "blue", "alpha")


@node("SolidMask")
def solid_mask(value: float, width: int, height: int) -> tuple[Tensor]:
    """Fill a mask with one value."""
    return (torch.full((1, height, width), value, dtype=torch.float32),)


@node("InvertMask")
def invert_mask(mask: Tensor) -> tuple[Tensor]:
    """Turn every value v into 1 - v."""
    return (1.0 - mask,)


@node("CropMask")
def crop_mask(mask: Tensor, x: int, y: int, width: int, height: int) -> tuple[Tensor]:
    """Cut a box out of a mask."""
    return (as_batch(mask)[:, y : y + height, x : x + width],)


def _combine(below: Tensor, above: Tensor, operation: str) -> Tensor:
    if operation == "multiply":
        return below * above
    if operation == "add":
        return below + above
    if operation == "subtract":
        return below - above
    first, second = below.round().bool(), above.round().bool()
    logical = {"and": first & second, "or": first | second, "xor": first ^ second}
    return logical[operation].float()


OPERATIONS = ("multiply", "add", "subtract", "and", "or", "xor")


@node("MaskComposite")
def mask_composite(destination: Tensor, source: Tensor, x: int, y: int, operation: str) -> tuple[Tensor]:
    """Combine `source` with the part of `destination` that it covers with its corner at `x`, `y`."""
    result, above = as_batch(destination).clone(), as_batch(source)
    bottom, right = min(y + above.shape[1], result.shape[1]), min(x + above.shape[2], result.shape[2])
    if operation in OPERATIONS:
        below = result[:, y:bottom, x:right]
        result[:, y:bottom, x:right] = _combine(below, above[:, : bottom - y, : right - x], operation)
    return (result.clamp(0, 1),)


@node("FeatherMask")
def feather_mask(mask: Tensor, left: int, top: int, right: int, bottom: int) -> tuple[Tensor]:
    """Fade a mask out towards its sides, over as many pixels as given."""
    result = as_batch(mask).clone()
    height, width = result.shape[-2:]
    for size, limit, far, axis in (
        (left, width, 0, 2),
        (right, width, 1, 2),
        (top, height, 0, 1),
        (bottom, height, 1, 1),
    ):
        count = min(size, limit)
        if count > 0:
            ramp = torch.arange(1, count + 1, dtype=torch.float64) / count
            positions = limit - 1 - torch.arange(count) if far else torch.arange(count)
            factors = torch.ones(limit, dtype=torch.float64)
            factors[positions] = ramp
            result = (result * (factors if axis == 2 else factors.unsqueeze(-1))).to(mask.dtype)
    return (result,)


def _spread(mask: Tensor, tapered: bool) -> Tensor:
    """Give each pixel the largest value among itself and its neighbours: 4 of them (tapered) or 8."""
    padded = functional.pad(mask, (1, 1, 1, 1), value=-float("inf"))
    if not tapered:
        return functional.max_pool2d(padded, 3, stride=1)
    rows = functional.max_pool2d(padded[..., 1:-1], (3, 1), stride=1)
    return torch.maximum(rows, functional.max_pool2d(padded[..., 1:-1, :], (1, 3), stride=1))


@node("GrowMask")
def grow_mask(mask: Tensor, expand: int, tapered_corners: bool) -> tuple[Tensor]:
    """Grow a mask by so many pixels, or shrink it where `expand` is negative."""
    if mask.dtype == torch.bfloat16 or (mask.dtype == torch.float16 and expand):
        raise TypeError(f"GrowMask computes with numpy and SciPy in ComfyUI, which cannot with {mask.dtype}")
    grown = as_batch(mask).unsqueeze(1)
    for _ in range(min(abs(expand), sum(grown.shape[-2:]))):
        raise_if_interrupted()
        grown = _spread(grown, tapered_corners) if expand > 0 else -_spread(-grown, tapered_corners)
    return (grown.squeeze(1),)


@node("ThresholdMask")
def threshold_mask(mask: Tensor, value: float) -> tuple[Tensor]:
    """Give 1 where the mask is above `value`, else 0."""
    return ((mask > value).float(),)


@node("MaskToImage")
def mask_to_image(mask: Tensor) -> tuple[Tensor]:
    """Give a grey image of a mask."""
    return (as_batch(mask).unsqueeze(-1).expand(-1, -1, -1, 3),)


@node("ImageToMask")
def image_to_mask(image: Tensor, channel: str) -> tuple[Tensor]:
    """Give one channel as mask."""
    return (image[..., CHANNELS.index(channel)],)


@node("ImageColorToMask")
def image_color_to_mask(image: Tensor, color: int) -> tuple[Tensor]:
    """Give 1 where the image has exactly the colour 0xRRGGBB, else 0."""
    levels = (image[..., :3].clamp(0, 1) * 255.0).round().to(torch.int)
    packed = (levels[..., 0] << 16) + (levels[..., 1] << 8) + levels[..., 2]
    return ((packed == color).float(),)
