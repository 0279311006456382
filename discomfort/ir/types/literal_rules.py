"""Would a ComfyUI server take a written value for an input? The rules are those of its validation (0.33.0, observed).

It converts for INT, FLOAT, STRING and BOOLEAN, then compares with min, max and the options of a combo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from discomfort.ir.api_prompt import plain_value
from discomfort.ir.catalog.catalog import InputSpec
from discomfort.ir.graph import Json
from discomfort.printable import counted

CONVERTERS: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
"""ComfyUI's type → what it makes of a literal for an input of that type."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value does not fit: a code of `codes.CODES`, the value found and the one expected, and the value meant."""

    code: str
    message: str
    value: Json


def literal_problem(spec: InputSpec, value: Json) -> Problem | None:
    """Return why the server would refuse `value` (as a prompt holds it) for an input, None where it takes it."""
    kind = spec.type
    if kind == "INT" or kind == "FLOAT":
        return _number_problem(spec, plain_value(value))
    if spec.choices is not None:
        return _choice_problem(spec, plain_value(value))
    return None


def _number_problem(spec: InputSpec, value: Json) -> Problem | None:
    try:
        number = int(value) if spec.type == "INT" else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return Problem("DF308", f"is {value!r}, expected {spec.type}", value)
    low, high = spec.options.get("min"), spec.options.get("max")
    if isinstance(low, (int, float)) and number < low:
        return Problem("DF309", f"is {value!r}, below its minimum {low}", value)
    if isinstance(high, (int, float)) and (number > high or math.isnan(number)):
        return Problem("DF310", f"is {value!r}, above its maximum {high}", value)
    return None


def _choice_problem(spec: InputSpec, value: Json) -> Problem | None:
    choices = spec.choices or ()
    several = isinstance(value, list) and bool(spec.options.get("multiselect"))
    wrong = [item for item in (value if several and isinstance(value, list) else [value]) if item not in choices]
    if not wrong:
        return None
    if not choices or names_file(wrong[0]) or any(key.endswith("_upload") for key in spec.options):
        return Problem("DF312", f"names {wrong[0]!r}, which is not among those installed", wrong[0])
    return Problem("DF311", f"is {wrong[0]!r}, which is not among its {counted(len(choices), 'option')}", wrong[0])


def names_file(value: Json) -> bool:
    """Return whether a combo's value looks like the name of a file: it ends in a dot and letters."""
    return isinstance(value, str) and "." in value.rsplit("/", 1)[-1].strip(".")
