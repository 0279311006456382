"""Widgets of inner nodes shown on a subgraph's host node: whose value wins.

A definition's input shows on its hosts the widget that its first inside link feeds. Older saves list further shown
widgets in the host's `proxyWidgets`; then the host's values follow that list, and the editor turns each entry that no
input shows into an input of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from discomfort.compiler.frontend.javascript import text
from discomfort.compiler.frontend.layout import UNDEFINED, Layouts
from discomfort.compiler.frontend.literals import literal
from discomfort.compiler.frontend.models import INPUT_NODE, SavedGraph, SavedInput, SavedNode
from discomfort.compiler.frontend.slots import fits, target_slot
from discomfort.compiler.frontend.subgraphs import Scope
from discomfort.compiler.frontend.virtual import PRIMITIVE
from discomfort.compiler.frontend.widgets import UNSET, saved_value, widget_values
from discomfort.compiler.graph import Literal

NOTHING = Literal(None)
"""Stands for JavaScript's undefined: the input is left out of the prompt."""


_PREFIXES = re.compile(r"^(?:\d+: )+")
"""Saves of 2025 put the ids of nested nodes before a widget's name: `6: 3: text`."""

_UNSHOWN = frozenset({"control_after_generate", "$$canvas-image-preview"})
"""Entries of `proxyWidgets` that show no value of a prompt."""


class Shown:
    """What one host shows: values by the definition's inputs, and values for inner widgets that no input shows.

    `silent` holds inputs that lost their widget because another entry took the inner widget over.
    """

    __slots__ = ("by_input", "by_widget", "silent")

    def __init__(self) -> None:
        self.by_input: dict[int, Literal] = {}
        self.by_widget: dict[tuple[str, str], Literal | None] = {}
        self.silent: set[int] = set()


class Promoted:
    """The values that host nodes give to widgets inside their subgraphs."""

    def __init__(self, definitions: dict[str, SavedGraph], layouts: Layouts) -> None:
        self.definitions = definitions
        self._order = {name: row for row, name in enumerate(definitions)}
        self._layouts = layouts
        self._targets: dict[str, list[tuple[SavedNode, str] | None]] = {}
        self._shown: dict[int, Shown] = {}
        self._forgotten: dict[str, frozenset[str]] = {}

    def host_input(self, scope: Scope, slot: int) -> SavedInput | None:
        """Return the host's saved input for the definition's input `slot`; of two of one name the last."""
        name = scope.graph.inputs[slot].name
        host = scope.host
        if host is None:
            return None
        return next((found for found in reversed(host.inputs or ()) if found.name == name), None)

    def override(self, scope: Scope, node_id: str, name: str) -> Literal | bool | None:
        """Return what the host shows for an inner widget of its own account; False where it shows nothing.

        None means that the host shows the widget but leaves the inner value.
        """
        if scope.host is None or not scope.host.properties.get("proxyWidgets"):
            return False
        return self.shown(scope).by_widget.get((node_id, name), False)

    def inner_value(self, scope: Scope, node: SavedNode, name: str) -> Literal | None:
        """Return the value of an inner widget that the host shows of its own account; None where it does not."""
        shown = self.override(scope, node.id, name)
        if isinstance(shown, Literal):
            return shown
        return self._own_value(node, name) if shown is None else None

    def literal(self, scope: Scope, slot: int) -> Literal | None:
        """Return the value behind an unconnected host input: the host's, else the inner one; None for no widget."""
        chain: list[tuple[Scope, int]] = []
        while True:
            if scope.parent is not None and scope.host is not None:
                given = self.override(scope.parent, scope.host.id, scope.graph.inputs[slot].name)
                if type(given) is Literal:
                    return given
            shown = self.shown(scope)
            if slot in shown.silent:
                return None
            value = shown.by_input.get(slot)
            if value is not None:
                return value
            target = self.targets(scope.graph)[slot]
            if target is None:
                return None
            node, name = target
            child = scope.children.get(node.id)
            if child is None:
                return self._own_value(node, name)
            inner = next((row for row, port in enumerate(child.graph.inputs) if port.name == name), None)
            if inner is None or len(chain) > len(self.definitions):
                return None
            chain.append((scope, slot))
            scope, slot = child, inner

    def shown(self, scope: Scope) -> Shown:
        """Return what the host of `scope` shows."""
        found = self._shown.get(scope.index)
        if found is None:
            found = self._shown[scope.index] = Shown()
            if scope.host is not None and scope.parent is not None:
                if scope.graph.id in self._forgotten_in(scope.parent.graph):
                    return found
                self._by_inputs(scope, scope.host, found)
                entries = scope.host.properties.get("proxyWidgets")
                if type(entries) is list and entries:
                    self._by_entries(scope, scope.host, entries, found)
        return found

    def _forgotten_in(self, graph: SavedGraph) -> frozenset[str]:
        """Return the definitions whose hosts in `graph` lose their values as the editor loads the workflow.

        They do where a definition holds several hosts of one that is saved behind it (observed).
        """
        found = self._forgotten.get(graph.id)
        if found is None:
            counts: dict[str, int] = {}
            for node in graph.nodes.values():
                if node.type in self._order:
                    counts[node.type] = counts.get(node.type, 0) + 1
            own = self._order.get(graph.id, len(self._order))
            found = frozenset(name for name, count in counts.items() if count > 1 and self._order[name] > own)
            self._forgotten[graph.id] = found
        return found

    def _by_inputs(self, scope: Scope, host: SavedNode, shown: Shown) -> None:
        position = 0
        for slot, target in enumerate(self.targets(scope.graph)):
            if target is not None:
                value = saved_value(host.values, position)
                position += 1
                if value is not UNSET:
                    shown.by_input[slot] = NOTHING if value is UNDEFINED else literal(value)

    def _by_entries(self, scope: Scope, host: SavedNode, entries: list[Any], shown: Shown) -> None:
        graph = scope.graph
        for position, entry in enumerate(entries):
            if type(entry) is not list or len(entry) < 2 or type(entry[1]) is not str or entry[1] in _UNSHOWN:
                continue
            saved = saved_value(host.values, position)
            value = None if saved is UNSET or saved is None else literal(saved)
            source, name = text(entry[0]), _PREFIXES.sub("", entry[1])
            if source == "-1":
                slot = next((row for row, port in enumerate(graph.inputs) if port.name == name), None)
                if slot is None or self.targets(graph)[slot] is None:
                    continue  # an input without widget, such as those of nodes of unknown types, shows nothing
                if value is not None:
                    shown.by_input[slot] = value
                elif saved is None:
                    shown.by_input.pop(slot, None)
            elif source in graph.nodes:
                self._show_inner(graph, graph.nodes[source], name, value, shown)

    def _show_inner(self, graph: SavedGraph, node: SavedNode, name: str, value: Literal | None, shown: Shown) -> None:
        if node.type == PRIMITIVE:
            self._show_primitive(graph, node, value, shown)
            return
        given = next((found for found in node.inputs or () if found.name == name), None)
        link = graph.links.get(given.link) if given is not None and given.link is not None else None
        if link is None:
            shown.by_widget[node.id, name] = value
        elif link.origin == INPUT_NODE and 0 <= link.origin_slot < len(graph.inputs):
            if self.targets(graph)[link.origin_slot] == (node, name):
                if value is not None:
                    shown.by_input[link.origin_slot] = value
                elif link.origin_slot in shown.by_input:
                    del shown.by_input[link.origin_slot]
            else:
                shown.silent.add(link.origin_slot)
                shown.by_widget[node.id, name] = value
        elif link.origin != INPUT_NODE and node.type in self.definitions:
            shown.by_widget[node.id, name] = value

    def _show_primitive(self, graph: SavedGraph, node: SavedNode, value: Literal | None, shown: Shown) -> None:
        """Let the host feed what a PrimitiveNode feeds: it is shown in the Primitive's place."""
        given = node.outputs[0] if node.outputs else "*"
        fed = list(self._fed_by(graph, node))
        if not fed or not all(fits(given, type_) for _, _, type_ in fed):
            return
        if value is None:
            value = self._own_value(fed[0][0], fed[0][1])
        for target, name, _ in fed:
            shown.by_widget[target.id, name] = value

    def _fed_by(self, graph: SavedGraph, node: SavedNode) -> Iterator[tuple[SavedNode, str, str]]:
        for link in graph.links.values():
            target = graph.nodes.get(link.target) if link.origin == node.id else None
            found = None if target is None else target_slot(self._layouts, target, link.target_slot)
            if target is not None and found is not None:
                yield target, *found

    def targets(self, graph: SavedGraph) -> list[tuple[SavedNode, str] | None]:
        """Return, for each input of a definition, the inner widget that it shows: node and name, or None."""
        found = self._targets.get(graph.id)
        if found is None:
            found = self._targets[graph.id] = [self._target(graph, slot) for slot in range(len(graph.inputs))]
        return found

    def _target(self, graph: SavedGraph, slot: int) -> tuple[SavedNode, str] | None:
        for link_id in graph.inputs[slot].links:
            link = graph.links.get(link_id)
            node = None if link is None else graph.nodes.get(link.target)
            if node is None or not node.inputs:
                continue
            found = next((given for given in node.inputs if given.link == link_id), None)
            if found is not None and found.widget is not None and self._has_widget(node, found.widget):
                return node, found.name
        return None

    def _has_widget(self, node: SavedNode, name: str) -> bool:
        """Return whether a node has the widget that a saved input stands for: classes change between versions."""
        layout = self._layouts.get(node.type)
        if layout is None:
            return node.type in self.definitions
        widgets = layout.widgets if layout.fixed else [widget for widget, _ in widget_values(layout, node)]
        return any(widget.name == name for widget in widgets)

    def _own_value(self, node: SavedNode, name: str) -> Literal | None:
        layout = self._layouts.get(node.type)
        if layout is not None:
            for widget, value in widget_values(layout, node):
                if widget.name == name:
                    return NOTHING if value is UNDEFINED else literal(value)
        return None
