"""prune: keep only the nodes behind an output or an effect (law L5)."""

from __future__ import annotations

from dataclasses import replace

from discomfort.compiler.effects import EffectTable
from discomfort.compiler.graph import Graph, Note, ancestors


def remove_dead_nodes(graph: Graph, _: EffectTable) -> Graph:
    """Return the graph without the nodes from which neither an output nor an effect is reachable."""
    alive = ancestors(graph, graph.roots())
    dead = tuple(node_id for node_id in graph.nodes if node_id not in alive)
    if not dead:
        return graph
    nodes = {node_id: node for node_id, node in graph.nodes.items() if node_id in alive}
    note = Note("removed", dead, "no output and no effect needs them")
    return replace(graph, nodes=nodes, notes=(*graph.notes, note))
