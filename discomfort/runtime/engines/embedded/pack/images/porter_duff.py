"""Porter and Duff's compositing operators (and Android's additions to them) on images that are not premultiplied.

Formulas: T. Porter, T. Duff, "Compositing Digital Images", SIGGRAPH 1984; https://developer.android.com/reference/android/graphics/PorterDuff.Mode
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from discomfort.runtime.engines.embedded.pack.images.resampling import resample_image, resample_mask
from discomfort.runtime.engines.embedded.pack.protocol import node

Operator = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(source, source alpha, destination, destination alpha), colours premultiplied, to the colour and its alpha."""


def _overlay(source: Tensor, source_alpha: Tensor, below: Tensor, alpha: Tensor) -> Tensor:
    dark = 2 * source * below
    light = source_alpha * alpha - 2 * (alpha - source) * (source_alpha - below)
    return torch.where(2 * below < alpha, dark, light)


def _union(first: Tensor, second: Tensor) -> Tensor:
    return first + second - first * second


OPERATORS: dict[str, Operator] = {
    "ADD": lambda s, sa, d, da: ((s + d).clamp(0, 1), (sa + da).clamp(0, 1)),
    "CLEAR": lambda s, sa, d, da: (torch.zeros_like(d), torch.zeros_like(da)),
    "DARKEN": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d + torch.min(s, d), _union(sa, da)),
    "DST": lambda s, sa, d, da: (d, da),
    "DST_ATOP": lambda s, sa, d, da: (sa * d + (1 - da) * s, sa),
    "DST_IN": lambda s, sa, d, da: (d * sa, sa * da),
    "DST_OUT": lambda s, sa, d, da: ((1 - sa) * d, (1 - sa) * da),
    "DST_OVER": lambda s, sa, d, da: (d + (1 - da) * s, da + (1 - da) * sa),
    "LIGHTEN": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d + torch.max(s, d), _union(sa, da)),
    "MULTIPLY": lambda s, sa, d, da: (s * d, sa * da),
    "OVERLAY": lambda s, sa, d, da: (_overlay(s, sa, d, da), _union(sa, da)),
    "SCREEN": lambda s, sa, d, da: (s + d - s * d, _union(sa, da)),
    "SRC": lambda s, sa, d, da: (s, sa),
    "SRC_ATOP": lambda s, sa, d, da: (da * s + (1 - sa) * d, da),
    "SRC_IN": lambda s, sa, d, da: (s * da, sa * da),
    "SRC_OUT": lambda s, sa, d, da: ((1 - da) * s, (1 - da) * sa),
    "SRC_OVER": lambda s, sa, d, da: (s + (1 - sa) * d, sa + (1 - sa) * da),
    "XOR": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d, (1 - da) * sa + (1 - sa) * da),
}


@node("PorterDuffImageComposite")
def porter_duff_image_composite(
    source: Tensor, source_alpha: Tensor, destination: Tensor, destination_alpha: Tensor, mode: str
) -> tuple[Tensor, Tensor]:
    """Combine two images with their masks (1 is transparent); the result is as large as `destination`.

    The shortest batch of the four says how many images come out.
    """
    if source.shape[-1] != destination.shape[-1]:
        raise ValueError("PorterDuffImageComposite takes images with the same number of channels")
    height, width = destination.shape[1:3]
    batch = min(len(source), len(source_alpha), len(destination), len(destination_alpha))
    if source.shape[1:3] != (height, width):
        source = resample_image(source, width, height, "bicubic", "center")
    alphas = []
    for mask in (source_alpha, destination_alpha):
        if mask.shape[1:3] != (height, width):
            if mask.ndim != 3:
                raise ValueError("PorterDuffImageComposite changes the size of masks [batch, height, width] only")
            mask = resample_mask(mask, width, height, "bicubic", "center")
        alphas.append((1.0 - mask[:batch]).unsqueeze(-1))
    combined = [
        _combined(*layers, mode)
        for layers in zip(source[:batch], alphas[0], destination[:batch], alphas[1], strict=True)
    ]
    colors, transparencies = zip(*combined, strict=True)
    return torch.stack(colors), torch.stack(transparencies)


def _combined(source: Tensor, source_alpha: Tensor, below: Tensor, alpha: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """Combine one image [height, width, channel] with one below it; alphas are [height, width, 1]."""
    color, alpha = OPERATORS[mode](source * source_alpha, source_alpha, below * alpha, alpha)
    color = torch.where(alpha <= 1e-5, 0.0, color / alpha)
    return color.clamp(0, 1), 1.0 - alpha.squeeze(-1)
