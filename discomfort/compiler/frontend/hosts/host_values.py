"""Widgets of inner nodes shown on a subgraph's host node: whose value wins.

A definition's input shows on its hosts the widget that its first inside link feeds. Older saves list further shown
widgets in the host's `proxyWidgets`; then the host's values follow that list, and the editor turns each entry that no
input shows into an input of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from discomfort.compiler.frontend.hosts.host_properties import quarantined_values, shown_entries
from discomfort.compiler.frontend.hosts.shown_widgets import ShownWidgets
from discomfort.compiler.frontend.saved.document import INPUT_NODE, LinkId, SavedGraph, SavedInput, SavedNode
from discomfort.compiler.frontend.saved.editor_only_nodes import PRIMITIVE
from discomfort.compiler.frontend.saved.instances import Scope
from discomfort.compiler.frontend.widgets.class_widgets import UNDEFINED, Layouts
from discomfort.compiler.frontend.widgets.literals import literal
from discomfort.compiler.frontend.widgets.slots import fits, target_slot
from discomfort.compiler.frontend.widgets.values import UNSET, saved_value, widget_values
from discomfort.ir.graph import Literal

NOTHING = Literal(None)
"""JavaScript's undefined: the input is left out of the prompt."""


_PREFIXES = re.compile(r"^(?:\d+: )+")
"""Saves of 2025 put the ids of nested nodes before a widget's name: `6: 3: text`."""

_UNSHOWN = frozenset({"control_after_generate", "$$canvas-image-preview"})
"""Entries of `proxyWidgets` that show no value of a prompt."""


_LOOKED_INTO = 100
"""Subgraphs nested deeper than this that are loaded late show nothing."""


class Shown:
    """What one host shows: values by the definition's inputs, and values for inner widgets that no input shows.

    `taken` holds the links inside whose widgets entries took over; `silent` the inputs that lost their widget so.
    """

    __slots__ = ("by_input", "by_widget", "silent", "taken")

    def __init__(self) -> None:
        self.by_input: dict[int, Literal] = {}
        self.by_widget: dict[tuple[str, str], Literal | None] = {}
        self.silent: set[int] = set()
        self.taken: set[LinkId] = set()


class HostValues:
    """The values that host nodes give to widgets inside their subgraphs."""

    def __init__(self, definitions: dict[str, SavedGraph], layouts: Layouts) -> None:
        self.definitions = definitions
        self._order = {name: row for row, name in enumerate(definitions)}
        self._layouts = layouts
        self._targets = ShownWidgets(definitions, layouts)
        self._shown: dict[int, Shown] = {}
        self._in_file_order: bool | None = None

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
            target = self._targets.of(scope.graph)[slot]
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
                if self._loaded_late(scope):
                    self._by_late_inputs(scope, found)
                    return found
                self._by_inputs(scope, scope.host, found)
                self._by_entries(scope, scope.host, shown_entries(scope.host), found)
        return found

    def _loaded_late(self, scope: Scope) -> bool:
        """Return whether the editor loads the definition of a host behind the one that holds the host.

        Inner definitions come first, unless one definition holds several hosts of another: then all are loaded in the
        order of the file.
        """
        if self._in_file_order is None:
            self._in_file_order = any(
                len(hosted) > len(set(hosted))
                for hosted in (
                    [node.type for node in graph.nodes.values() if node.type in self._order]
                    for graph in self.definitions.values()
                )
            )
        holder = scope.parent.graph.id if scope.parent is not None else ""
        return self._in_file_order and holder in self._order and self._order[scope.graph.id] > self._order[holder]

    def _by_late_inputs(self, scope: Scope, shown: Shown) -> None:
        """Show the values of a definition that is loaded after its host: whatever was saved for the host is lost.

        What shows is the widget at the position that the first link inside was saved with.
        """
        graph = scope.graph
        for slot, port in enumerate(graph.inputs):
            link = graph.links.get(port.links[0]) if port.links else None
            node = None if link is None else graph.nodes.get(link.target)
            if link is None or node is None:
                continue
            value = self._value_at(scope, node, link.target_slot)
            if value is None:
                shown.silent.add(slot)
            else:
                shown.by_input[slot] = value

    def _value_at(self, scope: Scope, node: SavedNode, position: int) -> Literal | None:
        """Return the value of the widget at a position among a node's inputs; None where it has none there."""
        child = scope.children.get(node.id)
        if child is not None:
            known = 0 <= position < len(child.graph.inputs) and scope.depth < _LOOKED_INTO
            return self.literal(child, position) if known else None
        found = target_slot(self._layouts, node, position)
        return None if found is None else self._own_value(node, found[0])

    def _by_inputs(self, scope: Scope, host: SavedNode, shown: Shown) -> None:
        position = 0
        kept = quarantined_values(host)
        for slot, target in enumerate(self._targets.of(scope.graph)):
            if target is not None:
                value = kept.get(scope.graph.inputs[slot].name, UNSET)
                if value is UNSET:
                    value = saved_value(host.values, position)
                position += 1
                if value is None or value is UNDEFINED:
                    widget = self._targets.widget_behind(*target)
                    value = widget.first if widget is not None and widget.first is not UNDEFINED else value
                if value is not UNSET:
                    shown.by_input[slot] = NOTHING if value is UNDEFINED else literal(value)

    def _by_entries(self, scope: Scope, host: SavedNode, entries: list[list[str]], shown: Shown) -> None:
        graph = scope.graph
        for position, entry in enumerate(entries):
            if entry[1] in _UNSHOWN:
                continue
            saved = saved_value(host.values, position)
            value = None if saved is UNSET or saved is UNDEFINED or saved is None else literal(saved)
            source, name = entry[0], _PREFIXES.sub("", entry[1])
            if source == "-1":
                slot = next((row for row, port in enumerate(graph.inputs) if port.name == name), None)
                if slot is None or self._targets.of(graph)[slot] is None:
                    continue  # an input without widget, such as those of nodes of unknown types, shows nothing
                if value is not None:
                    shown.by_input[slot] = value
            elif source in graph.nodes:
                self._show_inner(graph, graph.nodes[source], name, value, shown)

    def _show_inner(self, graph: SavedGraph, node: SavedNode, name: str, value: Literal | None, shown: Shown) -> None:
        if node.type == PRIMITIVE:
            self._show_primitive(graph, node, value, shown)
            return
        if node.type not in self.definitions and self._targets.widget(node, name) is None:
            return  # nothing to show, such as of a node of unknown type
        given = next((found for found in node.inputs or () if (found.widget or found.name) == name), None)
        link = None if given is None else graph.links.get(given.link)
        if given is None or link is None:
            shown.by_widget[node.id, name] = value
        elif link.origin == INPUT_NODE and 0 <= link.origin_slot < len(graph.inputs):
            if self._targets.of(graph)[link.origin_slot] == (node, name):
                if value is not None:
                    shown.by_input[link.origin_slot] = value
            else:
                shown.by_widget[node.id, name] = value
                shown.taken.add(given.link)
                if not self._still_shows(graph, link.origin_slot, shown):
                    shown.silent.add(link.origin_slot)
        elif link.origin != INPUT_NODE:
            shown.by_widget[node.id, name] = value

    def _still_shows(self, graph: SavedGraph, slot: int, shown: Shown) -> bool:
        """Return whether an input has a widget left, found by the positions that its links were saved with."""
        for link_id in graph.inputs[slot].links:
            link = graph.links.get(link_id)
            node = None if link is None or link_id in shown.taken else graph.nodes.get(link.target)
            if link is None or node is None:
                continue
            definition = self.definitions.get(node.type)
            if definition is not None:
                ports = definition.inputs
                name = ports[link.target_slot].name if 0 <= link.target_slot < len(ports) else None
            else:
                found = target_slot(self._layouts, node, link.target_slot)
                name = None if found is None else found[0]
            if name is not None and self._targets.widget_behind(node, name) is not None:
                return True
        return False

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

    def _own_value(self, node: SavedNode, name: str) -> Literal | None:
        layout = self._layouts.get(node.type)
        if layout is not None:
            for widget, value in widget_values(layout, node):
                if widget.name == name:
                    return NOTHING if value is UNDEFINED else literal(value)
        return None
