"""Nodes that decide."""

from __future__ import annotations

from typing import Any

from discomfort.runtime.engines.embedded.pack.protocol import in_order, node


def _needed_side(switch: bool, on_false: Any = None, on_true: Any = None) -> list[str]:
    """Name the side that has to be computed."""
    name, value = ("on_true", on_true) if switch else ("on_false", on_false)
    return [name] if value is None else []


@node("ComfySwitchNode", check_lazy_status=_needed_side)
def switch(switch: bool, on_false: Any = None, on_true: Any = None) -> tuple[Any]:
    """Give one of two values; the other one is not computed."""
    return (on_true if switch else on_false,)


@node("ComfyNotNode")
def logical_not(value: Any) -> tuple[bool]:
    """Return whether a value counts as false in Python."""
    return (not value,)


@node("ComfyAndNode")
def logical_and(values: dict[str, Any]) -> tuple[bool]:
    """Return whether all values count as true in Python."""
    return (all(in_order(values)),)


@node("ComfyOrNode")
def logical_or(values: dict[str, Any]) -> tuple[bool]:
    """Return whether any value counts as true in Python."""
    return (any(in_order(values)),)
