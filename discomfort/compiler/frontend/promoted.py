"""Widgets of inner nodes shown on a subgraph's host node: whose value wins."""

from __future__ import annotations

from typing import Any

from discomfort.compiler.frontend.layout import Layouts, Widget
from discomfort.compiler.frontend.models import SavedGraph, SavedInput, SavedNode
from discomfort.compiler.frontend.subgraphs import Scope
from discomfort.compiler.frontend.widgets import saved_values, widget_values
from discomfort.compiler.graph import Literal
from discomfort.compiler.frontend.literals import literal


class Promoted:
    """The values that host nodes give to widgets inside their subgraphs."""

    def __init__(self, definitions: dict[str, SavedGraph], layouts: Layouts) -> None:
        self.definitions = definitions
        self._layouts = layouts
        self._widgets: dict[tuple[str, int], tuple[SavedNode, str] | None] = {}

    def host_input(self, scope: Scope, slot: int) -> SavedInput | None:
        """Return the host's saved input for the definition's input `slot`."""
        name = scope.graph.inputs[slot].name
        host = scope.host
        if host is None:
            return None
        return next((found for found in host.inputs or () if found.name == name), None)

    def literal(self, scope: Scope, slot: int) -> Literal | None:
        """Return the promoted widget's value behind an unconnected host input, or None when it is no widget."""
        if scope.literals is None:
            scope.literals = self._literals(scope)
        found: Literal | None = scope.literals.get(slot)
        return found

    def _literals(self, scope: Scope) -> dict[int, Any]:
        host = scope.host
        values = saved_values(host.values) if host is not None else ()
        found: dict[int, Any] = {}
        position = 0
        for slot in range(len(scope.graph.inputs)):
            target = self.target(scope.graph, slot)
            if target is None:
                continue
            if position < len(values):
                found[slot] = literal(values[position])
            else:
                value = self._inner_value(scope, *target)
                if value is not None:
                    found[slot] = value
            position += 1
        return found

    def target(self, graph: SavedGraph, slot: int) -> tuple[SavedNode, str] | None:
        """Return the first inner widget behind a definition's input: its node and name, or None."""
        key = (graph.id, slot)
        if key not in self._widgets:
            self._widgets[key] = self._find_target(graph, slot)
        return self._widgets[key]

    def _find_target(self, graph: SavedGraph, slot: int) -> tuple[SavedNode, str] | None:
        for link_id in graph.inputs[slot].links:
            link = graph.links.get(link_id)
            node = None if link is None else graph.nodes.get(link.target)
            if link is None or node is None or not node.inputs:
                continue
            found = next((given for given in node.inputs if given.link == link_id), None)
            if found is not None and found.widget:
                return node, found.name
        return None

    def _inner_value(self, scope: Scope, node: SavedNode, name: str) -> Literal | None:
        """Return the value that the inner node itself holds; a nested host's promoted value where it is one."""
        while node.id in scope.children:
            child = scope.children[node.id]
            slot = next((row for row, port in enumerate(child.graph.inputs) if port.name == name), None)
            if slot is None:
                return None
            if child.literals is not None:
                found: Literal | None = child.literals.get(slot)
                return found
            target = self.target(child.graph, slot)
            values = saved_values(child.host.values) if child.host is not None else ()
            position = sum(1 for row in range(slot) if self.target(child.graph, row) is not None)
            if position < len(values):
                return literal(values[position])
            if target is None:
                return None
            scope, (node, name) = child, target
        layout = self._layouts.get(node.type)
        if layout is None:
            return None
        for widget, value in widget_values(layout, node):
            if widget.name == name:
                return _plain(widget, value)
        return None


def _plain(widget: Widget, value: Any) -> Literal | None:
    return literal(value)
