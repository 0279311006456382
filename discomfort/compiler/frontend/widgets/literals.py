"""Widget values as a prompt holds them."""

from __future__ import annotations

import json
from typing import Any

from discomfort.compiler.frontend.text.javascript import json_value
from discomfort.ir.graph import Literal


def literal(value: Any) -> Literal:
    """Return a widget's value as a prompt holds it: a list is wrapped, so that it is not read as a link."""
    if type(value) is str or type(value) is bool:
        return Literal(value)
    if type(value) is list:
        return Literal({"__value__": json_value(value)})
    return Literal(json_value(value))


def unknown_literal(value: Any) -> Literal:
    """Return a saved value of a node of an unknown class: all but plain values become JSON text."""
    if value is None or type(value) is list or type(value) is dict:
        return Literal(json.dumps(json_value(value), ensure_ascii=False, separators=(",", ":")))
    return literal(value)


def curve_literal(value: Any) -> Literal:
    """Return a curve widget's value; its list form carries its type."""
    if type(value) is list:
        return Literal({"__type__": "CURVE", "__value__": json_value(value)})
    return literal(value)
