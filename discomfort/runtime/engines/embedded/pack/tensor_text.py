"""How tensors are written as text: ComfyUI has torch show more values of large ones than torch does by itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from torch._tensor_str import printoptions

SHOWN_EDGE = 6
"""Values that the text of a large tensor shows at either end of each dimension, as in ComfyUI."""


def tensors_shown_as_in_comfyui() -> AbstractContextManager[Any]:
    """Return a context manager in which texts of tensors are those of ComfyUI."""
    manager: AbstractContextManager[Any] = printoptions(edgeitems=SHOWN_EDGE)
    return manager
