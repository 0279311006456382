"""Changing the size of tensors the way ComfyUI's nodes do: the methods they offer and how they cut to a shape."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from discomfort.images import from_picture, to_picture
from discomfort.runtime.engines.embedded.pack.sizes import require_tensor


def crop_to_aspect(samples: Tensor, width: int, height: int) -> Tensor:
    """Cut the middle out of [..., height, width] so that it has the proportions of `width` to `height`."""
    old_height, old_width = samples.shape[-2:]
    old_aspect, aspect = old_width / old_height, width / height
    left = top = 0
    if old_aspect > aspect:
        left = round((old_width - old_width * (aspect / old_aspect)) / 2)
    elif old_aspect < aspect:
        top = round((old_height - old_height * (old_aspect / aspect)) / 2)
    return samples[..., top : old_height - top, left : old_width - left]


def lanczos(samples: Tensor, width: int, height: int) -> Tensor:
    """Resample [batch, channel, height, width] with Pillow's Lanczos filter; values pass through 8 bits a channel.

    Gives float32.
    """
    resized = []
    for sample in samples:
        picture = to_picture(sample.movedim(0, -1)).resize((width, height), Image.Resampling.LANCZOS)
        array = from_picture(picture)
        resized.append(torch.from_numpy(np.atleast_3d(array)).movedim(-1, 0))
    return torch.stack(resized).to(samples.device)


def _slerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Interpolate between vectors in the last dimension on the sphere, and their lengths linearly.

    Vectors in (nearly) the same direction give the first one, vectors in opposite directions mix linearly.
    """
    start_norm, end_norm = start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True)
    start_unit = torch.where(start_norm == 0, 0.0, start / start_norm)
    end_unit = torch.where(end_norm == 0, 0.0, end / end_norm)
    cosine = (start_unit * end_unit).sum(dim=-1, keepdim=True)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    unit = torch.sin((1.0 - weight) * angle) / sine * start_unit + torch.sin(weight * angle) / sine * end_unit
    mixed = unit * (start_norm * (1.0 - weight) + end_norm * weight)
    mixed = torch.where(cosine > 1 - 1e-5, start, mixed)
    return torch.where(cosine < 1e-5 - 1, start * (1.0 - weight) + end * weight, mixed)


def _neighbours(old: int, new: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each of `new` positions the indices left and right of it among `old`, and how far it is between.

    The right index and the weight are sampled bilinearly like values are, so that both stay at the edges.
    """
    places = torch.arange(old, dtype=torch.float32).reshape(1, 1, 1, old)
    position = torch.nn.functional.interpolate(places, size=(1, new), mode="bilinear").flatten()
    left = position.floor()
    return left.long(), (left + 1).clamp(max=old - 1).long(), position - left


def bislerp(samples: Tensor, width: int, height: int) -> Tensor:
    """Resample [batch, channel, height, width] like bilinear does, but turn channel vectors instead of mixing them."""
    values = samples.float()
    for dimension, size in ((3, width), (2, height)):
        left, right, weight = _neighbours(values.shape[dimension], size)
        shape = [1, 1, 1, 1]
        shape[dimension - 1] = size
        ends = [_channels_last(values.index_select(dimension, index)) for index in (left, right)]
        values = _slerp(ends[0], ends[1], weight.reshape(shape)).movedim(-1, 1)
    return values.to(samples.dtype)


def _channels_last(samples: Tensor) -> Tensor:
    """Move channels to the end; one sample alone stays as it is in memory, as in ComfyUI, for sums round as there."""
    moved = samples.movedim(1, -1)
    return moved if samples.shape[0] == 1 else moved.contiguous()


def resample(samples: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """Resample [batch, channel, ..., height, width] to `width` and `height`; frames of video one by one.

    Args:
        samples: the values; for `lanczos` in 0 to 1.
        width: the new width, at least 1.
        height: the new height, at least 1.
        method: nearest-exact, bilinear, area, bicubic, lanczos or bislerp.
        crop: "center" cuts the middle out first so that proportions stay, "disabled" stretches.
    """
    require_tensor((*samples.shape[:-2], height, width), 12, "resampling")
    if samples.ndim > 4:
        if width == 0 or height == 0:
            raise ValueError(f"frames of video cannot be made {width} by {height}")
        frames = samples.movedim(1, -3)
        flat = frames.reshape(-1, *frames.shape[-3:])
        resized = resample(flat, width, height, method, crop)
        return resized.reshape(*frames.shape[:-2], height, width).movedim(-3, 1)
    if crop == "center":
        samples = crop_to_aspect(samples, width, height)
    if method == "lanczos":
        return lanczos(samples, width, height).to(samples.dtype)
    if method == "bislerp":
        return bislerp(samples, width, height)
    return torch.nn.functional.interpolate(samples, size=(height, width), mode=method)


def resample_image(image: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """Resample an image [batch, height, width, channel]; see `resample`."""
    return resample(image.movedim(-1, 1), width, height, method, crop).movedim(1, -1)


def resample_mask(mask: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """Resample a mask [batch, height, width]; see `resample`."""
    return resample(mask.unsqueeze(1), width, height, method, crop).squeeze(1)


def missing_size(width: int, height: int, old_width: int, old_height: int) -> tuple[int, int]:
    """Fill in a width or height of 0 from the other one, keeping proportions."""
    if width == 0:
        return max(1, round(old_width * height / old_height)), height
    if height == 0:
        return width, max(1, round(old_height * width / old_width))
    return width, height
