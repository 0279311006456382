"""Pictures and masks as tensors: which of them become a picture of Pillow, and how."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from discomfort import images

PICTURE_CHANNELS = (2, 3, 4)
"""How many channels of an IMAGE make a picture, as in ComfyUI: one alone does not."""


def as_batch(mask: Tensor) -> Tensor:
    """Return [batch, height, width] for a mask with or without batch."""
    return mask.reshape(-1, *mask.shape[-2:])


def check_picture(image: Tensor) -> None:
    """Raise where [..., channel] cannot become pictures, in ComfyUI or here.

    Raises:
        ValueError: there are other than 2, 3 or 4 channels.
        TypeError: the values are bfloat16, which numpy does not have.
    """
    if image.shape[-1] not in PICTURE_CHANNELS:
        raise ValueError(f"pictures have 2, 3 or 4 channels (grey and alpha, RGB, RGBA), not {image.shape[-1]}")
    if image.dtype == torch.bfloat16:
        raise TypeError("values in bfloat16 cannot become pictures")


def to_picture(image: Tensor) -> Image.Image:
    """Turn [height, width, channel] in 0 to 1 into a picture of 8 bits a channel; see `discomfort.images`.

    Raises as `check_picture` does.
    """
    check_picture(image)
    return images.to_picture(image)
