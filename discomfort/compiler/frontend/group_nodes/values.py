"""The values of a group node, given to the widgets of its inner nodes as the editor takes it apart."""

from __future__ import annotations

from typing import Any

from discomfort.compiler.frontend.group_nodes.shape import GroupShape, InnerLink, is_helper
from discomfort.compiler.frontend.saved.document import BrokenLink, SavedGraph, SavedNode
from discomfort.compiler.frontend.saved.editor_only_nodes import PRIMITIVE
from discomfort.compiler.frontend.text.javascript import text
from discomfort.compiler.frontend.widgets.class_widgets import UNDEFINED, Layout, Layouts
from discomfort.compiler.frontend.widgets.values import saved_value, widget_values


def give_values(root: SavedGraph, host: SavedNode, nodes: list[SavedNode], shape: GroupShape, layouts: Layouts) -> None:
    """Give the group node's values to the inner widgets; lists of options keep their own.

    A PrimitiveNode outside has given its value to the group node's widget before.

    What a dynamic combo adds has places among these values too, but gets its defaults: taking a choice again makes
    its widgets again.
    """
    values = _host_values(host, shape)
    links = {slot.name: root.links.get(slot.link) for slot in host.inputs or ()}
    position = 0
    given: dict[tuple[int, str], list[Any]] = {}
    for run in shape.widgets:
        taken = values[position : position + run.count]
        position += run.count
        link = links.get(run.shown)
        origin = None if link is None else root.nodes.get(link.origin)
        if origin is not None and origin.type == PRIMITIVE and type(origin.values) is list and origin.values:
            taken = [origin.values[0], *taken[1:]]
        if run.given:
            given[run.row, run.name] = taken
        layout = layouts.get(nodes[run.row].type)
        widget = next((each for each in layout.widgets if each.name == run.name), None) if layout else None
        if widget is not None and widget.branches is not None:
            branch = widget.branches.get(text(taken[0] if taken else widget.default))
            position += 0 if branch is None else len(_saved_values(branch, values[position:]))
    for row, node in enumerate(nodes):
        layout = layouts.get(node.type)
        if layout is not None:
            node.values = _inner_values(layout, node, {name: v for (place, name), v in given.items() if place == row})
        elif node.type == PRIMITIVE and (row, "value") in given:
            node.values = given[row, "value"][:1] or [""]


def _host_values(host: SavedNode, shape: GroupShape) -> list[Any]:
    """Return the group node's values by position; what a save by names does not number is UNDEFINED."""
    if type(host.values) is dict:
        return [saved_value(host.values, position) for position in range(sum(run.count for run in shape.widgets))]
    return host.values if type(host.values) is list else []


def _inner_values(layout: Layout, node: SavedNode, given: dict[str, list[Any]]) -> list[Any]:
    """Return `widgets_values` of an inner node: what the group node gives, its own for the rest."""
    own = {widget.name: value for widget, value in widget_values(layout, node)}
    found: list[Any] = []
    helpers: list[Any] = []
    for widget in layout.widgets:
        if widget.name in given:
            value, *helpers = given[widget.name] or [widget.default]
        elif helpers and is_helper(widget):
            value, *helpers = helpers
        else:
            value = own[widget.name]
        if value is UNDEFINED:
            value = "undefined" if widget.kind == "STRING" and widget.options.get("multiline") else None
        found.append(value)
        branch = None if widget.branches is None else widget.branches.get(text(value))
        if branch is not None:
            found += _saved_values(branch, None)
    return found


def _saved_values(layout: Layout, values: list[Any] | None) -> list[Any]:
    """Return the values of all widgets, those of taken choices among them, as a node would save them."""
    loaded = widget_values(layout, SavedNode("", "", 0, {"widgets_values": values}))
    return [value for widget, value in loaded if widget.saved]


def feed_from_primitives(nodes: list[SavedNode], links: list[InnerLink], layouts: Layouts) -> None:
    """Let each PrimitiveNode begin with the value of the first widget that it feeds, as the editor makes it again.

    Only a text of several lines keeps what the group node gives.
    """
    begun: set[int] = set()
    for link in links:
        primitive, target = nodes[link.origin[0]], nodes[link.target[0]]
        layout = layouts.get(target.type)
        inputs = target.inputs or []
        if primitive.type != PRIMITIVE or link.origin[0] in begun or layout is None or link.target[1] >= len(inputs):
            continue
        begun.add(link.origin[0])
        name = inputs[link.target[1]].name
        for widget, value in widget_values(layout, target):
            if widget.name == name and not (widget.kind == "STRING" and widget.options.get("multiline")):
                primitive.values = [value]


def forget_choices(nodes: list[SavedNode], shape: GroupShape, layouts: Layouts) -> None:
    """Break the links into inputs that a dynamic combo adds: taking its choice again, the editor loses them."""
    for run in shape.widgets:
        layout = layouts.get(nodes[run.row].type)
        if layout is None or not run.given:
            continue
        if any(widget.name == run.name and widget.branches is not None for widget in layout.widgets):
            for slot in nodes[run.row].inputs or ():
                if slot.name.startswith(f"{run.name}.") and slot.link is not None:
                    slot.link = BrokenLink(slot.link, f"lost with the choice of {run.name!r}")
