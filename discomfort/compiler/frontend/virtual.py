"""Nodes that live only in the editor: they are gone from prompts, and some hand on what feeds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from discomfort.compiler.frontend.layout import Widget
from discomfort.compiler.frontend.models import SavedNode
from discomfort.compiler.graph import Json

REROUTES = frozenset({"Reroute", "Reroute (rgthree)", "SetNode"})
"""Types that hand on what feeds their first input. KJNodes' Set is one, seen from its own output."""

PRIMITIVE = "PrimitiveNode"
GETTER = "GetNode"
SETTER = "SetNode"

SILENT = frozenset(
    {
        "Note",
        "MarkdownNote",
        "Bookmark (rgthree)",
        "Fast Actions Button (rgthree)",
        "Fast Bypasser (rgthree)",
        "Fast Groups Bypasser (rgthree)",
        "Fast Groups Muter (rgthree)",
        "Fast Muter (rgthree)",
        "Label (rgthree)",
        "Mute / Bypass Relay (rgthree)",
        "Mute / Bypass Repeater (rgthree)",
        "Node Collector (rgthree)",
        "Random Unmuter (rgthree)",
    }
)
"""Types that feed nothing."""

VIRTUAL = REROUTES | SILENT | {PRIMITIVE, GETTER}


def first_value(node: SavedNode) -> Any:
    """Return the node's first widget value, or None."""
    values = node.values
    return values[0] if type(values) is list and values else None


def primitive_value(value: Any, widget: Widget) -> Json:
    """Return what a PrimitiveNode's value becomes in the widget it feeds: numbers are clamped and rounded."""
    if widget.kind not in ("INT", "FLOAT"):
        return value  # type: ignore[no-any-return]
    number = _as_number(value)
    if number is None:
        return value  # type: ignore[no-any-return]
    options: Mapping[str, Any] = widget.options
    low = options.get("min", 0 if widget.kind == "INT" else -math.inf)
    high = options.get("max", 2048 if widget.kind == "INT" else math.inf)
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        number = min(max(number, low), high)
    step = options.get("round")
    if widget.kind == "FLOAT" and isinstance(step, (int, float)) and not isinstance(step, bool) and step > 0:
        number = round(number / step) * step
    return number


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    try:
        return float(value) if type(value) is str and value.strip() else None
    except ValueError:
        return None
