"""A value as a short text, for the sentences of findings."""

from __future__ import annotations

import sys
from typing import Any

from discomfort.context.values.opaque import OpaqueValue, opaque_reason
from discomfort.printable import shortened

LONGEST_TEXT = 60
"""Characters of a value's text that are shown."""

LONGEST_SHOWN = 4096
"""Bits of the longest int that is shown by its digits; Python itself refuses to write much longer ones."""


def describe_value(value: Any) -> str:
    """Return a short text with a value's type, and its shape or text."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor {list(value.shape)}"
    if isinstance(value, int) and value.bit_length() > LONGEST_SHOWN:
        return f"an int of {value.bit_length()} bits"
    if value is None:
        return "None"
    if type(value) is OpaqueValue:
        return f"a value stored as {opaque_reason(value)[0]}"
    if isinstance(value, (bool, int, float, str)):
        return f"{type(value).__name__} {shortened(repr(value), LONGEST_TEXT)}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
