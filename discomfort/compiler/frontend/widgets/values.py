"""The values of a node's widgets, from what the save holds by position."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from discomfort.compiler.frontend.saved.document import SavedNode
from discomfort.compiler.frontend.text.javascript import text
from discomfort.compiler.frontend.widgets.class_widgets import UNDEFINED, Layout, Socket, Widget
from discomfort.compiler.frontend.widgets.viewports import LAST_MODEL, VIEWERS, viewport_state

UNSET: Any = object()
"""A position at which the save holds no value."""


def saved_value(values: Any, position: int) -> Any:
    """Return `widgets_values[position]`: UNSET beyond the end, UNDEFINED for a key that a dict does not have."""
    kind = type(values)
    if kind is list or kind is str:
        return values[position] if position < len(values) else UNSET
    if kind is dict:
        return values.get(str(position), UNDEFINED)
    return UNSET if values is None else UNDEFINED


def widget_values(layout: Layout, node: SavedNode) -> list[tuple[Widget, Any]]:
    """Return each widget of the node with its value; dynamic combos add the widgets of the choice they hold."""
    values = node.values
    if node.type in _BY_CLASS:
        return _BY_CLASS[node.type](layout, node)
    if type(values) is list:
        if layout.fixed and len(values) >= len(layout.widgets) and None not in values and True not in layout.forced:
            return list(zip(layout.widgets, values, strict=False))
        if True in layout.forced and len(values) == len(layout.forced):
            values = [value for value, forced in zip(values, layout.forced, strict=True) if not forced]
    elif type(values) is str and len(values) == len(layout.forced):
        values = None
    found: list[tuple[Widget, Any]] = []
    waiting = list(reversed(layout.widgets))
    position = 0
    while waiting:
        widget = waiting.pop()
        saved = saved_value(values, position) if widget.saved else UNSET
        value = loaded_value(widget, saved)
        position += widget.saved
        found.append((widget, value))
        branch = None if widget.branches is None else widget.branches.get(text(value))
        if branch is not None and (saved is None or saved is UNDEFINED):
            found += _defaults(branch)
        elif branch is not None:
            waiting.extend(reversed(branch.widgets))
    return _last_model(found, node) if node.type == "Preview3D" else found


def _last_model(values: list[tuple[Widget, Any]], node: SavedNode) -> list[tuple[Widget, Any]]:
    """Return a 3D viewer's values: it opens the model that it showed last, whatever its widget holds."""
    last = node.properties.get(LAST_MODEL)
    if type(last) is not str or not last:
        return values
    return [(widget, last if widget.name == "model_file" else value) for widget, value in values]


def _defaults(layout: Layout) -> list[tuple[Widget, Any]]:
    """Return the widgets that a dynamic combo adds when it falls back to its default: they read no saved values."""
    return widget_values(layout, SavedNode("", "", 0, {}))


def loaded_value(widget: Widget, value: Any) -> Any:
    """Return what a widget holds after it was given a saved value: some editors of values refuse or change some."""
    if value is UNSET or widget.kind == "PREVIEW_3D":
        return widget.default
    if value is None or value is UNDEFINED:
        if widget.first is not UNDEFINED:
            return widget.first
        if widget.kind == "STRING" and widget.options.get("multiline"):
            return "" if value is None else "undefined"
    return value


def input_slots(layout: Layout, values: list[tuple[Widget, Any]], *, taken: bool) -> list[Socket]:
    """Return the declared input slots as the editor lists them.

    What a dynamic combo adds comes after it when its choice was `taken` from the save, and before it by default.
    """
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
            elif taken:
                slots.append(own)
                waiting += reversed(branch.members)
            else:
                waiting += [own, *reversed(branch.members)]
    return slots


def _custom_combo(layout: Layout, node: SavedNode) -> list[tuple[Widget, Any]]:
    """Return choice, its index among the options, and the options up to the first empty one."""
    saved = node.values if type(node.values) is list else []
    options: list[Any] = []
    for option in [*saved[2:], ""]:
        options.append(option)
        if option in ("", None):
            break
    choice = saved[0] if saved else UNDEFINED
    if choice is None:
        choice = options[0]
    index = options.index(choice) if choice in options and choice != "" else -1
    found = [(layout.widgets[0], choice), (Widget("index", "INT"), index)]
    return found + [(Widget(f"option{row}", "STRING"), option) for row, option in enumerate(options, 1)]


def _record_audio(layout: Layout, node: SavedNode) -> list[tuple[Widget, Any]]:
    """Return the recorder as it starts: empty, whatever was saved."""
    return [(widget, widget.default) for widget in layout.widgets]


def _sampler(layout: Layout, node: SavedNode) -> list[tuple[Widget, Any]]:
    """Return a sampler's values; names of samplers from before 2023 began with `sample_`."""
    return [
        (widget, value[7:])
        if widget.name == "sampler_name" and type(value) is str and value.startswith("sample_")
        else (widget, value)
        for widget, value in _plain_values(layout, node)
    ]


def _viewer(layout: Layout, node: SavedNode) -> list[tuple[Widget, Any]]:
    """Return a 3D viewer's values: the state of its camera in place of the saved one."""
    values = _plain_values(layout, node)
    size = {widget.name: value for widget, value in values}
    state = viewport_state(node, size.get("width"), size.get("height"))
    return [(widget, state if widget.name == "viewport_state" else value) for widget, value in values]


def _plain_values(layout: Layout, node: SavedNode) -> list[tuple[Widget, Any]]:
    return widget_values(layout, SavedNode("", "", 0, {"widgets_values": node.values}))


_BY_CLASS: Mapping[str, Callable[[Layout, SavedNode], list[tuple[Widget, Any]]]] = {
    **dict.fromkeys(VIEWERS, _viewer),
    "CustomCombo": _custom_combo,
    "KSampler": _sampler,
    "KSamplerAdvanced": _sampler,
    "RecordAudio": _record_audio,
}
