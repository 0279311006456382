"""The values of a node's widgets, from what the save holds by position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from discomfort.compiler.frontend.javascript import text
from discomfort.compiler.frontend.layout import Layout, Widget
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
    count = len(values)
    while waiting:
        widget = waiting.pop()
        value = values[len(found)] if len(found) < count else widget.default
        found.append((widget, value))
        if widget.branches is not None:
            branch = widget.branches.get(text(value))
            if branch is not None:
                waiting.extend(reversed(branch.widgets))
    return found


def sockets_of(layout: Layout, values: list[tuple[Widget, Any]]) -> list[tuple[str, str, bool]]:
    """Return the declared input slots as (name, type, grows): sockets first, then widgets, as the editor lists them."""
    slots = [(socket.name, socket.type, socket.grows) for socket in layout.sockets]
    for widget, value in values:
        branch = None if widget.branches is None else widget.branches.get(text(value))
        if branch is not None:
            slots += [(socket.name, socket.type, socket.grows) for socket in branch.sockets]
    slots += [(widget.name, widget.kind, False) for widget, _ in values if widget.sent]
    return slots


def _custom_combo(layout: Layout, values: Sequence[Any]) -> list[tuple[Widget, Any]]:
    """Return choice, index and as many options as were saved; the last option is always an empty one."""
    choice = values[0] if values else layout.widgets[0].default
    index = values[1] if len(values) > 1 else 0
    options = list(values[2:]) or [""]
    found = [(layout.widgets[0], choice), (Widget("index", "INT"), index)]
    return found + [(Widget(f"option{row}", "STRING"), option) for row, option in enumerate(options, 1)]


def _image_compare(layout: Layout, values: Sequence[Any]) -> list[tuple[Widget, Any]]:
    """Return the empty comparison that the editor starts with: what was saved is not read back."""
    return [(widget, widget.default) for widget in layout.widgets]


_BY_CLASS = {"CustomCombo": _custom_combo, "ImageCompare": _image_compare}
