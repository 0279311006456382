"""How much memory a value takes."""

from __future__ import annotations

from typing import Any


def bytes_of(value: Any) -> int:
    """Return the bytes of a tensor or array, 0 for other objects."""
    try:
        size = getattr(value, "nbytes", 0)
    except RuntimeError:  # of a sparse tensor, which torch leaves to whoever asks
        return sum(bytes_of(part()) for name in ("_indices", "_values") if (part := getattr(value, name, None)))
    return size if type(size) is int else 0
