"""The small values that golden cases feed to nodes, the same on every machine, and how cases name them.

Values come from an integer generator and are exact in float32: recorded and replayed runs start from equal bits.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


def noise(*shape: int, seed: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return float32 noise in [low, high) of 16 bits a value from a linear congruential generator."""
    count = 1
    for size in shape:
        count *= size
    state, values = seed * 2654435761 % 2**32, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append((state >> 16) / 65536)
    return torch.tensor(values, dtype=torch.float32).reshape(shape) * (high - low) + low


def gradient(height: int, width: int) -> Tensor:
    """Return a smooth [1, height, width, 3] image: red grows to the right, green downwards, blue along both."""
    rows = torch.arange(height, dtype=torch.float32).reshape(-1, 1).expand(height, width) / max(height - 1, 1)
    columns = torch.arange(width, dtype=torch.float32).reshape(1, -1).expand(height, width) / max(width - 1, 1)
    return torch.stack([columns, rows, (rows + columns) / 2], dim=-1).unsqueeze(0)


def latent(*shape: int, seed: int, **extra: Any) -> dict[str, Any]:
    """Return a LATENT with noise of about unit size."""
    return {"samples": noise(*shape, seed=seed, low=-2.0, high=2.0), **extra}


@functools.cache
def build() -> dict[str, Any]:
    """Return all fixtures by name, shared by all who ask.

    Images are [batch, height, width, channel], masks [batch, height, width].
    """
    dots = torch.zeros(1, 9, 11)
    dots[0, 4, 5] = 1.0
    dots[0, 0, 0] = 0.5
    dots[0, 7, 2:4] = 0.75
    return {
        "rgb": noise(1, 5, 7, 3, seed=1),
        "rgb_other": noise(1, 5, 7, 3, seed=2),
        "rgb2": noise(2, 5, 7, 3, seed=3),
        "rgb2_other": noise(2, 5, 7, 3, seed=9),
        "rgb3": noise(3, 5, 7, 3, seed=4),
        "rgba": noise(1, 5, 7, 4, seed=5),
        "rgba2": noise(2, 5, 7, 4, seed=6),
        "gray": noise(1, 5, 7, 1, seed=7),
        "tall": noise(1, 9, 4, 3, seed=8),
        "wide": noise(1, 3, 8, 3, seed=10),
        "wide2": noise(2, 3, 8, 3, seed=11),
        "big": noise(1, 33, 47, 3, seed=12),
        "even": noise(1, 8, 10, 3, seed=13),
        "pixel": noise(1, 1, 1, 3, seed=14),
        "smooth": gradient(16, 20),
        "tiles": gradient(70, 100),
        "hdr": noise(1, 5, 7, 3, seed=15, low=-0.75, high=1.75),
        "colors": torch.tensor(
            [[[[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], [[1.0, 1, 1], [0, 0, 0], [0.5, 0.25, 0.125]]]]
        ),
        "mask": noise(1, 5, 7, seed=21),
        "mask_other": noise(1, 5, 7, seed=22),
        "mask2": noise(2, 5, 7, seed=23),
        "mask3": noise(3, 5, 7, seed=28),
        "mask_flat": noise(5, 7, seed=24),
        "mask_small": noise(1, 3, 4, seed=25),
        "mask_big": noise(1, 24, 40, seed=26),
        "mask_dots": dots,
        "mask_thirds": torch.tensor([[[0.0, 0.25, 0.5, 0.75, 1.0]]]),
        "latent": latent(1, 4, 6, 8, seed=31),
        "latent_other": latent(1, 4, 6, 8, seed=32),
        "latent2": latent(2, 4, 6, 8, seed=33),
        "latent3": latent(3, 4, 6, 8, seed=34),
        "latent_small": latent(1, 4, 3, 5, seed=35),
        "latent_small2": latent(2, 4, 3, 5, seed=36),
        "latent_big": latent(1, 4, 12, 16, seed=37),
        "latent16": latent(1, 16, 6, 8, seed=38),
        "latent_zero": {"samples": torch.zeros(1, 4, 6, 8)},
        "latent_masked": latent(1, 4, 6, 8, seed=39, noise_mask=noise(1, 48, 64, seed=40)),
        "latent_masked2": latent(2, 4, 6, 8, seed=41, noise_mask=noise(2, 48, 64, seed=42)),
        "latent_masked4d": latent(2, 4, 6, 8, seed=43, noise_mask=noise(2, 1, 48, 64, seed=44)),
        "latent_masked_one": latent(2, 4, 6, 8, seed=45, noise_mask=noise(1, 1, 48, 64, seed=46)),
        "latent_indexed": latent(3, 4, 6, 8, seed=47, batch_index=[4, 5, 6]),
        "latent_video": latent(1, 4, 5, 6, 8, seed=48),
        "latent_video_other": latent(1, 4, 2, 6, 8, seed=49),
        "latent_pixels": {"samples": noise(1, 3, 5, 7, seed=50, low=-1.25, high=1.25)},
        "latent_pixels2": {"samples": noise(2, 3, 8, 6, seed=51, low=-1.25, high=1.25)},
        "latent_downscaled": latent(1, 128, 4, 4, seed=52, downscale_ratio_spacial=16),
        "sigmas": torch.tensor([14.614642, 7.5, 3.25, 1.5, 0.75, 0.0291675, 0.0]),
        "sigmas_one": torch.tensor([3.0]),
        "sigmas_none": torch.tensor([]),
        "int": 7,
        "zero": 0,
        "negative": -3,
        "float": 2.75,
        "true": True,
        "false": False,
        "text": "Grüße, Welt 123",
        "empty_text": "",
        "none": None,
        "list": [1, "two", 3.5, None, True],
        "empty_list": [],
        "dict": {"name": "wölf", "size": [1, 2.5], "deep": {"flag": True, "nothing": None}},
        "empty_dict": {},
        "box": {"x": 1, "y": 2, "width": 3, "height": 2},
        "box_list": [{"x": 0, "y": 0, "width": 2, "height": 2}, {"x": 3, "y": 1, "width": 4, "height": 3}],
    }


def fixture(*names: str) -> dict[str, Any]:
    """A placeholder for the named fixture; several names arrive as a ComfyUI list, one after the other."""
    return {"$fixture": list(names)}


def output(class_type: str, slot: int = 0, **inputs: Any) -> dict[str, Any]:
    """A placeholder for output `slot` of another node of the pack."""
    return {"$node": class_type, "$slot": slot, "$inputs": inputs}
