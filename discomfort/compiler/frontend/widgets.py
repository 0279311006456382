"""The values of a node's widgets, from what the save holds by position."""

from __future__ import annotations

from typing import Any

from discomfort.compiler.frontend.javascript import text
from discomfort.compiler.frontend.layout import UNDEFINED, Layout, Socket, Widget
from discomfort.compiler.frontend.models import SavedNode

UNSET: Any = object()
"""A position at which the save holds no value."""


def saved_value(values: Any, position: int) -> Any:
    """Return `widgets_values[position]`: UNSET beyond the end, UNDEFINED for a key that a dict does not have."""
    kind = type(values)
    if kind is list or kind is str:
        return values[position] if position < len(values) else UNSET
    if kind is dict:
        return values.get(str(position), UNDEFINED)
    return UNSET


def widget_values(layout: Layout, node: SavedNode) -> list[tuple[Widget, Any]]:
    """Return each widget of the node with its raw value; dynamic combos add the widgets of the choice they hold."""
    values = node.values
    if node.type in _BY_CLASS:
        return _BY_CLASS[node.type](layout, values)
    if layout.fixed and type(values) is list and len(values) >= len(layout.widgets):
        return list(zip(layout.widgets, values, strict=False))
    found: list[tuple[Widget, Any]] = []
    waiting = list(reversed(layout.widgets))
    position = 0
    while waiting:
        widget = waiting.pop()
        value = saved_value(values, position) if widget.saved else UNSET
        if value is UNSET or (value is UNDEFINED and widget.kind == "COMBO"):
            value = widget.default
        position += widget.saved
        found.append((widget, value))
        if widget.branches is not None:
            branch = widget.branches.get(text(value))
            if branch is not None:
                waiting.extend(reversed(branch.widgets))
    return found


def input_slots(layout: Layout, values: list[tuple[Widget, Any]]) -> list[Socket]:
    """Return the declared input slots as the editor lists them: what a dynamic combo adds stands before it."""
    chosen = {widget.name: value for widget, value in values}
    slots: list[Socket] = []
    waiting: list[Widget | Socket] = list(reversed(layout.members))
    while waiting:
        member = waiting.pop()
        if type(member) is Socket:
            slots.append(member)
        elif type(member) is Widget and member.sent and member.type:
            own = Socket(member.name, member.type)
            branch = None if member.branches is None else member.branches.get(text(chosen.get(member.name)))
            if branch is None:
                slots.append(own)
            else:
                waiting += [own, *reversed(branch.members)]
    return slots


def _custom_combo(layout: Layout, values: Any) -> list[tuple[Widget, Any]]:
    """Return choice, index and as many options as were saved; the last option is always an empty one."""
    saved = values if type(values) is list else []
    choice = saved[0] if saved else layout.widgets[0].default
    index = saved[1] if len(saved) > 1 else -1
    options = saved[2:] or [""]
    found = [(layout.widgets[0], choice), (Widget("index", "INT"), index)]
    return found + [(Widget(f"option{row}", "STRING"), option) for row, option in enumerate(options, 1)]


_BY_CLASS = {"CustomCombo": _custom_combo}
