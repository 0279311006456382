"""Pictures are opened here, and values become pixels and pixels values: as ComfyUI does it, and nowhere else.

Pillow refuses pictures of about 179 million pixels and more, since a small file may claim them to fill up the memory:
opening one is an error that says which, and how many pixels Pillow takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import os

    import numpy
    import numpy.typing as npt
    from PIL import Image
    from torch import Tensor

LEVELS = 255
"""The highest level of 8 bits, which is the value 1."""


def to_levels(values: Tensor | npt.NDArray[Any]) -> npt.NDArray[numpy.uint8]:
    """Return floats in 0 to 1 as levels of 8 bits: cut, not rounded, as ComfyUI's SaveImage does; NaN is 0.

    The arithmetic is that of the dtype of `values`; of tensors in dtypes that numpy does not have, that of float32.
    """
    import numpy

    array = values if isinstance(values, numpy.ndarray) else _as_array(values)
    scaled = float(LEVELS) * array
    numpy.fmax(scaled, 0, out=scaled)  # of a number and NaN it takes the number
    numpy.fmin(scaled, LEVELS, out=scaled)
    return scaled.astype(numpy.uint8)


def from_levels(levels: npt.NDArray[numpy.uint8]) -> npt.NDArray[numpy.float32]:
    """Return levels of 8 bits as float32 in 0 to 1; `to_levels` gives the same levels back."""
    import numpy

    shares: npt.NDArray[numpy.float32] = levels.astype(numpy.float32) / numpy.float32(LEVELS)
    return shares


def to_picture(image: Tensor | npt.NDArray[Any]) -> Image.Image:
    """Return floats `[height, width, channel]` with 1 to 4 channels (grey, grey and alpha, RGB, RGBA) as a picture."""
    from PIL import Image

    levels = to_levels(image)
    return Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def from_picture(picture: Image.Image) -> npt.NDArray[numpy.float32]:
    """Return the pixels of a picture of 8 bits a channel as float32 in 0 to 1, `[height, width, channel]`.

    A picture in grey alone gives `[height, width]`.
    """
    import numpy

    return from_levels(numpy.asarray(picture))


def _as_array(tensor: Tensor) -> npt.NDArray[Any]:
    plain = tensor.detach().cpu()
    try:
        return plain.numpy()
    except TypeError:  # numpy has no bfloat16 and no float8
        return plain.float().numpy()


class TooManyPixels(ValueError):
    """A picture that Pillow does not open for its size."""


@contextmanager
def opened_picture(source: str | os.PathLike[str] | BinaryIO, name: str) -> Iterator[Image.Image]:
    """Open a picture for the time of a `with` block; `name` is what errors call it.

    Raises:
        TooManyPixels: it, or one of its frames, has more pixels than Pillow opens; says how many, and what to set.
        OSError, SyntaxError: as Pillow raises them for files that it cannot read.
    """
    from PIL import Image

    try:
        with Image.open(source) as picture:
            yield picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"{name} {_too_many(str(error))}") from error


def check_pixels(width: int, height: int, name: str) -> None:
    """Refuse a picture that another reader is about to decode where Pillow would refuse it, too.

    Raises:
        TooManyPixels: it has more pixels than Pillow opens.
    """
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > 2 * limit:  # Pillow warns at one limit, and refuses at two
        raise TooManyPixels(f"{name} {_too_large(width * height, 2 * limit)}")


def _too_many(message: str) -> str:
    """Return Pillow's message as a plain sentence; the message itself, should a version of Pillow change it."""
    numbers = re.findall(r"[0-9]+", message)
    if len(numbers) != 2:
        return f"is too large a picture: {message}"
    return _too_large(*map(int, numbers))


def _too_large(size: int, limit: int) -> str:
    return (
        f"is a picture of {size:,} pixels, and Pillow opens at most {limit:,}: a small file may claim so many to fill "
        "up the memory; if you trust it, raise PIL.Image.MAX_IMAGE_PIXELS"
    )
