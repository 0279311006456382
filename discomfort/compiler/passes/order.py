"""order: producers before consumers, ties in the order the user wrote them."""

from __future__ import annotations

from dataclasses import replace

from discomfort.compiler.effects import EffectTable
from discomfort.compiler.graph import Graph, topological_order


def order_nodes(graph: Graph, _: EffectTable) -> Graph:
    """Return the graph with its nodes in topological order."""
    order = topological_order(graph)
    return replace(graph, nodes={node_id: graph.nodes[node_id] for node_id in order})
