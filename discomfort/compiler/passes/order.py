"""order: producers before consumers, otherwise as they lie; effects keep the sequence of the workflows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph
from discomfort.ir.walk import producers_first


@dataclass(frozen=True, slots=True)
class Order:
    """The pass."""

    name: ClassVar[str] = "order"

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        """Return the graph with producers first."""
        return order_nodes(graph)


def order_nodes(graph: Graph) -> Graph:
    """Return the graph with its nodes in producers-first order."""
    order = producers_first(graph)
    if order is graph.nodes:
        return graph
    return replace(graph, nodes={node_id: graph.nodes[node_id] for node_id in order})
