"""The values of a node's widgets, from what the save holds by position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from discomfort.compiler.frontend.javascript import text
from discomfort.compiler.frontend.layout import Layout, Socket, Widget
from discomfort.compiler.frontend.models import SavedNode


def saved_values(values: Any) -> Sequence[Any]:
    """Return `widgets_values` as a sequence: a list as it is, a string by character, a dict by its keys "0", "1"…."""
    if type(values) is list:
        return values
    if type(values) is str:
        return values
    if type(values) is dict:
        found = []
        while str(len(found)) in values:
            found.append(values[str(len(found))])
        return found
    return ()


def widget_values(layout: Layout, node: SavedNode) -> list[tuple[Widget, Any]]:
    """Return each widget of the node with its raw value; dynamic combos add the widgets of the choice they hold."""
    values = saved_values(node.values)
    if node.type in _BY_CLASS:
        return _BY_CLASS[node.type](layout, values)
    if layout.fixed and len(values) >= len(layout.widgets):
        return list(zip(layout.widgets, values, strict=False))
    found: list[tuple[Widget, Any]] = []
    waiting = list(reversed(layout.widgets))
    position = 0
    while waiting:
        widget = waiting.pop()
        value = values[position] if widget.saved and position < len(values) else widget.default
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


def _custom_combo(layout: Layout, values: Sequence[Any]) -> list[tuple[Widget, Any]]:
    """Return choice, index and as many options as were saved; the last option is always an empty one."""
    choice = values[0] if values else layout.widgets[0].default
    index = values[1] if len(values) > 1 else -1
    options = list(values[2:]) or [""]
    found = [(layout.widgets[0], choice), (Widget("index", "INT"), index)]
    return found + [(Widget(f"option{row}", "STRING"), option) for row, option in enumerate(options, 1)]


_BY_CLASS = {"CustomCombo": _custom_combo}
