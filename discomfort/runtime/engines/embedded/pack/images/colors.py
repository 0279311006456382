"""Nodes that change colours pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from discomfort.runtime.engines.embedded.pack.protocol import node


@node("ImageInvert")
def image_invert(image: Tensor) -> tuple[Tensor]:
    """Turn every value v into 1 - v."""
    return (1.0 - image,)


@node("ImageRGBToYUV")
def image_rgb_to_yuv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split into luma and two chroma images, each grey in 3 channels (ITU-R BT.601, full range, chroma around 0.5)."""
    if image.shape[-1] != 3:
        raise ValueError(f"ImageRGBToYUV takes images with 3 channels; this one has {image.shape[-1]}")
    red, green, blue = image.unbind(-1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    first = (blue - luma) * 0.564 + 0.5
    second = (red - luma) * 0.713 + 0.5
    return _gray(luma), _gray(first), _gray(second)


def _gray(channel: Tensor) -> Tensor:
    return channel.unsqueeze(-1).expand(*channel.shape, 3).contiguous()


@node("ImageYUVToRGB")
def image_yuv_to_rgb(Y: Tensor, U: Tensor, V: Tensor) -> tuple[Tensor]:  # noqa: N803 — the inputs' own names
    """Join luma and chroma (the mean of each image's channels) to RGB, kept in 0 to 1: what ImageRGBToYUV undoes."""
    luma, first, second = torch.stack([image.mean(dim=-1) for image in (Y, U, V)])
    first, second = first - 0.5, second - 0.5
    red, blue = luma + second / 0.713, luma + first / 0.564
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return (torch.stack([red, green, blue], dim=-1).clamp(0, 1),)


@node("NormalizeImages")
def normalize_images(images: Tensor, mean: float, std: float) -> tuple[Tensor]:
    """Subtract `mean` and divide by `std`."""
    return ((images - mean) / std,)


@node("AdjustBrightness")
def adjust_brightness(images: Tensor, factor: float) -> tuple[Tensor]:
    """Multiply values, kept in 0 to 1."""
    return ((images * factor).clamp(0, 1),)


@node("AdjustContrast")
def adjust_contrast(images: Tensor, factor: float) -> tuple[Tensor]:
    """Multiply distances from 0.5, kept in 0 to 1."""
    return (((images - 0.5) * factor + 0.5).clamp(0, 1),)
