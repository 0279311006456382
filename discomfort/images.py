"""Pictures are opened here: one with more pixels than Pillow opens is an error that says which, and how many it takes.

Pillow refuses pictures of about 179 million pixels and more, since a small file may claim them to fill up the memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import os

    from PIL import Image


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


def _too_many(words: str) -> str:
    """Return Pillow's message in plain words; as it is, should a version of it word it otherwise."""
    numbers = re.findall(r"[0-9]+", words)
    if len(numbers) != 2:
        return f"is too large a picture: {words}"
    return _too_large(*map(int, numbers))


def _too_large(size: int, limit: int) -> str:
    return (
        f"is a picture of {size:,} pixels, and Pillow opens at most {limit:,}: a small file may claim so many to fill "
        "up the memory; if you trust it, raise PIL.Image.MAX_IMAGE_PIXELS"
    )
