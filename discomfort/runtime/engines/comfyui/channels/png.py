"""Images and masks as PNG files and back: 8 bits a channel, to which values are cut as in ComfyUI's own files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from discomfort.images import from_levels, opened_picture, to_levels

if TYPE_CHECKING:
    import torch


def is_picture(value: Any) -> TypeGuard[torch.Tensor]:
    """Return whether `value` is an IMAGE `[batch, height, width, 3]` or a MASK `[(batch,) height, width]`."""
    import torch

    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or 0 in value.shape:
        return False
    return value.ndim in (2, 3) or (value.ndim == 4 and value.shape[-1] == 3)


def png_files(value: torch.Tensor) -> list[bytes]:
    """Return the frames of an IMAGE or MASK (see `is_picture`) as PNG files."""
    from PIL import Image

    batch = value.unsqueeze(0) if value.ndim == 2 else value
    files = []
    for frame in to_levels(batch):
        stream = io.BytesIO()
        Image.fromarray(frame).convert("RGB").save(stream, "PNG", compress_level=1)
        files.append(stream.getvalue())
    return files


def picture_of(files: Sequence[bytes], is_mask: bool) -> torch.Tensor:
    """Return PNG files as an IMAGE `[batch, height, width, 3 or 4]` or MASK `[batch, height, width]`, float32 in 0..1.

    Raises:
        ValueError: they differ in size, there is none, or one has more pixels than Pillow opens.
        OSError: one is not a picture, or is cut off.
    """
    import numpy as np
    import torch

    batch = torch.from_numpy(from_levels(np.stack([*_arrays(files)])))
    return batch[..., 0].clone() if is_mask else batch


def _arrays(files: Iterable[bytes]) -> Iterable[Any]:
    import numpy as np

    for file in files:
        with opened_picture(io.BytesIO(file), "the file") as picture:
            yield np.asarray(picture if picture.mode in ("RGB", "RGBA") else picture.convert("RGB"))
