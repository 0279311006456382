"""Nodes that lay images over each other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from discomfort.runtime.engines.embedded.pack.images.resampling import resample, resample_image
from discomfort.runtime.engines.embedded.pack.protocol import node
from discomfort.runtime.engines.embedded.pack.sizes import require_tensor


def _soft_light(lower: Tensor, upper: Tensor) -> Tensor:
    """Blend as W3C's compositing specification defines soft-light."""
    root = torch.where(lower <= 0.25, ((16 * lower - 12) * lower + 4) * lower, torch.sqrt(lower))
    darker = lower - (1 - 2 * upper) * lower * (1 - lower)
    return torch.where(upper <= 0.5, darker, lower + (2 * upper - 1) * (root - lower))


BLEND_MODES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "normal": lambda lower, upper: upper,
    "multiply": lambda lower, upper: lower * upper,
    "screen": lambda lower, upper: 1 - (1 - lower) * (1 - upper),
    "overlay": lambda lower, upper: torch.where(lower <= 0.5, 2 * lower * upper, 1 - 2 * (1 - lower) * (1 - upper)),
    "soft_light": _soft_light,
    "difference": lambda lower, upper: lower - upper,
}


def with_channels_of(image: Tensor, like: Tensor) -> Tensor:
    """Cut surplus channels of `image` off, or give it an opaque alpha channel, so that it has those of `like`."""
    missing = like.shape[-1] - image.shape[-1]
    return functional.pad(image, (0, 1), value=1.0) if missing > 0 else image[..., : like.shape[-1]]


@node("ImageBlend")
def image_blend(image1: Tensor, image2: Tensor, blend_factor: float, blend_mode: str) -> tuple[Tensor]:
    """Blend `image2` (made as large as `image1`) into `image1`."""
    image2 = with_channels_of(image2, image1)
    if image1.shape[1:] != image2.shape[1:]:
        image2 = resample_image(image2, image1.shape[2], image1.shape[1], "bicubic", "center")
    blended = BLEND_MODES[blend_mode](image1, image2)
    return ((image1 * (1 - blend_factor) + blended * blend_factor).clamp(0, 1),)


def repeat_to_batch(values: Tensor, batch: int) -> Tensor:
    """Repeat or cut [batch, ...] to `batch`."""
    count = values.shape[0]
    if count < batch:
        require_tensor((batch + count, *values.shape[1:]), values.element_size(), "repeating")
        values = values.repeat(-(-batch // count), *[1] * (values.ndim - 1))
    return values[:batch]


def paste(
    destination: Tensor, source: Tensor, x: int, y: int, mask: Tensor | None, unit: int, resize_source: bool
) -> Tensor:
    """Lay `source` over `destination` (both [batch, channel, ..., height, width]) with its corner at `x`, `y`.

    Args:
        destination: what is below; not changed.
        source: what is above; repeated to the batch of `destination`.
        x: the left side in pixels.
        y: the upper side in pixels.
        mask: [batch, height, width], made as large as `source`; None is 1 everywhere.
        unit: pixels a position of these tensors is wide: 8 for latents.
        resize_source: whether to make `source` as large as `destination` first.
    """
    height, width = destination.shape[-2:]
    if resize_source:
        source = functional.interpolate(source, size=(height, width), mode="bilinear")
    source = repeat_to_batch(source, destination.shape[0])
    rows, columns = source.shape[-2:]
    x, y = max(-columns * unit, min(x, width * unit)), max(-rows * unit, min(y, height * unit))
    left, top = x // unit, y // unit
    if mask is None:
        weight = torch.ones_like(source[:, :1])
    else:
        weight = functional.interpolate(mask.reshape(-1, 1, *mask.shape[-2:]), size=(rows, columns), mode="bilinear")
        weight = repeat_to_batch(weight, source.shape[0])
    rows, columns = height - top + min(0, y), width - left + min(0, x)
    source, weight = (
        source[..., :rows, :columns],
        weight[:, :, :rows, :columns],
    )  # as ComfyUI, of video without mask too
    if weight.ndim < source.ndim:
        weight = weight.unsqueeze(2)
    rows, columns = source.shape[-2:]
    result = destination.clone()
    below = result[..., top : top + rows, left : left + columns]
    result[..., top : top + rows, left : left + columns] = source * weight + below * (1 - weight)
    return result


@node("ImageCompositeMasked")
def image_composite_masked(
    destination: Tensor, source: Tensor, x: int, y: int, resize_source: bool, mask: Tensor | None = None
) -> tuple[Tensor]:
    """Lay `source` over `destination` where `mask` is 1."""
    source = with_channels_of(source, destination)
    pasted = paste(destination.movedim(-1, 1), source.movedim(-1, 1), x, y, mask, 1, resize_source)
    return (pasted.movedim(1, -1),)


@node("JoinImageWithAlpha")
def join_image_with_alpha(image: Tensor, alpha: Tensor) -> tuple[Tensor]:
    """Add 1 - `alpha` (made as large as the image) as fourth channel."""
    batch = max(image.shape[0], alpha.shape[0])  # of a mask without batch its height, as in ComfyUI
    masks = alpha.reshape(-1, 1, *alpha.shape[-2:]).to(image.dtype)
    opacity = 1.0 - resample(masks, image.shape[2], image.shape[1], "bilinear").movedim(1, -1)
    return (torch.cat([repeat_to_batch(image[..., :3], batch), repeat_to_batch(opacity, batch)], dim=-1),)


@node("SplitImageWithAlpha")
def split_image_with_alpha(image: Tensor) -> tuple[Tensor, Tensor]:
    """Give the first three channels, and 1 - alpha as mask (0 where there is no alpha)."""
    alpha = image[..., 3] if image.shape[-1] > 3 else torch.ones_like(image[..., 0])
    return image[..., :3], 1.0 - alpha
