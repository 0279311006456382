"""Which widget inside a subgraph each input of its definition shows on the hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from discomfort.compiler.frontend.saved.document import SavedGraph, SavedInput, SavedNode
from discomfort.compiler.frontend.widgets.class_widgets import Layouts, Widget
from discomfort.compiler.frontend.widgets.values import widget_values


class ShownWidgets:
    """Finds the widgets behind the inputs of definitions, through hosts inside them where need be."""

    def __init__(self, definitions: Mapping[str, SavedGraph], layouts: Layouts) -> None:
        self.definitions = definitions
        self._layouts = layouts
        self._targets: dict[str, list[tuple[SavedNode, str] | None]] = {}

    def of(self, graph: SavedGraph) -> list[tuple[SavedNode, str] | None]:
        """Return, for each input of a definition, the inner widget that it shows: node and name, or None."""
        found = self._targets.get(graph.id)
        if found is None:
            found = self._targets[graph.id] = [self._target(graph, slot) for slot in range(len(graph.inputs))]
        return found

    def _target(self, graph: SavedGraph, slot: int) -> tuple[SavedNode, str] | None:
        for node, found in self._fed(graph, slot):
            if node.type in self.definitions:
                if self.widget_behind(node, found.name) is not None:
                    return node, found.name
            elif found.widget is not None and self.widget(node, found.widget) is not None:
                return node, found.widget
        return None

    def _fed(self, graph: SavedGraph, slot: int) -> Iterator[tuple[SavedNode, SavedInput]]:
        """Yield the nodes inside that a definition's input feeds, each with the input that is fed."""
        for link_id in graph.inputs[slot].links:
            link = graph.links.get(link_id)
            node = None if link is None else graph.nodes.get(link.target)
            found = next((given for given in node.inputs or () if given.link == link_id), None) if node else None
            if node is not None and found is not None:
                yield node, found

    def widget_behind(self, node: SavedNode, name: str) -> Widget | None:
        """Return the widget of a node, or the one deep inside that a host shows for its input `name`."""
        for _ in range(len(self.definitions) + 1):
            graph = self.definitions.get(node.type)
            if graph is None:
                return self.widget(node, name)
            slot = next((row for row, port in enumerate(graph.inputs) if port.name == name), None)
            for inner, found in () if slot is None else self._fed(graph, slot):
                if inner.type in self.definitions:
                    node, name = inner, found.name
                    break
                if found.widget is not None and self.widget(inner, found.widget) is not None:
                    return self.widget(inner, found.widget)
            else:
                return None
        return None

    def widget(self, node: SavedNode, name: str) -> Widget | None:
        """Return the widget of a saved input; None where the class, which may be newer, has no such."""
        layout = self._layouts.get(node.type)
        if layout is None:
            return None
        widgets = layout.widgets if layout.fixed else [widget for widget, _ in widget_values(layout, node)]
        return next((widget for widget in widgets if widget.name == name), None)
