"""How JavaScript writes numbers and keys: the frontend is a JavaScript program, and its prompts show it."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from discomfort.ir.graph import Json

EXACT = 2**53
"""Integers up to this size are exact as IEEE 754 doubles (ECMA-262, Number.MAX_SAFE_INTEGER + 1)."""

_INFINITY = float("inf")


def number(value: float) -> float | None:
    """Return a number as JSON.stringify would write it, read back: doubles, whole ones below 1e21 as integers.

    Infinities and NaN become None, as JSON.stringify writes them `null`.
    """
    if type(value) is int:
        if -EXACT <= value <= EXACT:
            return value
        value = _double(value)
    if value != value or value in (_INFINITY, -_INFINITY):
        return None
    if abs(value) >= 1e21 or not value.is_integer():
        return value
    return int(value) if abs(value) <= EXACT else int(Decimal(repr(value)))


def _double(value: float) -> float:
    """Return the double nearest to a number; the infinities for those beyond all doubles."""
    try:
        return float(value)
    except OverflowError:
        return _INFINITY if value > 0 else -_INFINITY


def json_value(value: Any) -> Json:
    """Return a value read from JSON as the frontend would write it again; see `number`. Does not recurse."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is float:
        return number(value)
    root: list[Any] = [value]
    stack: list[tuple[Any, Any]] = [(root, 0)]
    while stack:
        holder, key = stack.pop()
        item = holder[key]
        kind = type(item)
        if kind is int or kind is float:
            holder[key] = number(item)
        elif kind is list:
            copy = holder[key] = list(item)
            stack.extend((copy, index) for index in range(len(copy)))
        elif kind is dict:
            copied = holder[key] = dict(item)
            stack.extend((copied, name) for name in copied)
    return root[0]  # type: ignore[no-any-return]


def text(value: object) -> str:
    """Return the key or text that JavaScript's String() makes of a scalar."""
    if type(value) is str:
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        written = number(value)
        if written is None:
            return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")
        return _float_text(written) if type(written) is float else str(written)
    if isinstance(value, (list, tuple)):
        return ",".join("" if item is None else text(item) for item in value)
    return "[object Object]"


def to_number(value: object) -> float:
    """Return what JavaScript's Number() makes of a JSON value; NaN where it is not a number."""
    if isinstance(value, (int, float)):
        return value if math.isfinite(_double(value)) and not isinstance(value, bool) else _double(value)
    if isinstance(value, list):
        value = text(value)
    if value is None:
        return 0
    if not isinstance(value, str):
        return math.nan
    digits = value.strip()
    if not digits:
        return 0
    try:
        if digits[:2].lower() in ("0x", "0o", "0b"):
            return to_number(int(digits, 0))
        return math.nan if "_" in digits or digits.lower() in _NOT_NUMBERS else float(digits)
    except ValueError:
        return math.inf if digits in ("Infinity", "+Infinity") else math.nan


_NOT_NUMBERS = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", "+nan", "-nan"})


def to_fixed(value: float, digits: int) -> float:
    """Return what Number(value.toFixed(digits)) is: the exact binary value, halves rounded up in size."""
    if not abs(value) < 1e21:
        return value
    return float(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _DIGITS))


_DIGITS = Context(prec=130)
"""Enough for numbers below 1e21 with the hundred digits that toFixed allows."""


def math_round(value: float) -> float:
    """Return what Math.round gives: halves go up; infinities and NaN stay."""
    return math.floor(value + 0.5) if math.isfinite(value) else value


def _float_text(value: float) -> str:
    """Return a double as ECMA-262's Number::toString writes it: exponents only below 1e-6 or from 1e21."""
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f")
    digits = repr(value)
    mantissa, _, exponent = digits.partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
