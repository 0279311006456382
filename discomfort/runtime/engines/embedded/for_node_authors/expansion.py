"""Node expansion for node authors: a builder of the graph that a node returns in place of a result.

def execute(self, image, times):
    graph = GraphBuilder()
    for _ in range(times):
        image = graph.node("ImageInvert", image=image).out(0)
    return graph.expand(image)
"""

from __future__ import annotations

from typing import Any

from discomfort.runtime.engines.embedded.for_node_authors.node_api import current


class ExpandedNode:
    """A node of the graph being built."""

    __slots__ = ("class_type", "id", "inputs", "title")

    def __init__(self, node_id: str, class_type: str, inputs: dict[str, Any], title: str | None) -> None:
        self.id: str = node_id
        self.class_type: str = class_type
        self.inputs: dict[str, Any] = inputs
        self.title: str | None = title

    def out(self, slot: int) -> list[Any]:
        """Return the link to output `slot` (from 0)."""
        return [self.id, slot]


class GraphBuilder:
    """Collects nodes whose ids are unique in the run: each builder's ids begin with the id of the node that builds."""

    def __init__(self, prefix: str | None = None) -> None:
        if prefix is None:
            running = current.get()
            prefix = "" if running is None else f"{running.node}.{running.call}."
        self._prefix = prefix
        self._nodes: dict[str, ExpandedNode] = {}

    def node(
        self, class_type: str, name: str | None = None, *, title: str | None = None, **inputs: Any
    ) -> ExpandedNode:
        """Add a node; `inputs` are values, or links made with `ExpandedNode.out`.

        Args:
            class_type: the node's class.
            name: its id within this graph; numbered when absent.
            title: what errors call it.
            inputs: its inputs by name.
        """
        node_id = self._prefix + (name if name is not None else str(len(self._nodes) + 1))
        if node_id in self._nodes:
            raise ValueError(f"the graph already has a node {node_id!r}")
        node = self._nodes[node_id] = ExpandedNode(node_id, class_type, dict(inputs), title)
        return node

    def finalize(self) -> dict[str, dict[str, Any]]:
        """Return the graph as an API prompt."""
        return {
            node.id: {
                "class_type": node.class_type,
                "inputs": node.inputs,
                **({"_meta": {"title": node.title}} if node.title else {}),
            }
            for node in self._nodes.values()
        }

    def expand(self, *results: Any) -> dict[str, Any]:
        """Return what an expanding node returns: `results` (values or links into the graph) and the graph."""
        return {"result": results, "expand": self.finalize()}
