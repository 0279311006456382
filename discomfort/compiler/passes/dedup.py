"""dedup: equal nodes become one, across workflows: a model that two of them load is loaded once."""

from __future__ import annotations

from dataclasses import replace

from discomfort.compiler.effects import EffectTable
from discomfort.compiler.graph import Graph, Input, Link, NodeId, Note, topological_order
from discomfort.compiler.keys import structural_keys
from discomfort.compiler.passes.rewrite import substitute


def merge_equal_nodes(graph: Graph, effects: EffectTable) -> Graph:
    """Return the graph with nodes of one structural key merged into the first; those with effects stay as they are.

    A node of unknown or volatile class stays too, and so does everything that it feeds: two uses may differ.
    """
    order = topological_order(graph)
    keys = structural_keys(graph, order)
    kept = set(graph.effects)
    apart: set[NodeId] = set()
    first: dict[str, NodeId] = {}
    merged: dict[NodeId, NodeId] = {}
    for node_id in order:
        node = graph.nodes[node_id]
        if (
            node_id in kept
            or not effects.rule(node.class_type).mergeable
            or any(link.node in apart and link.node not in merged for _, link in node.links())
        ):
            apart.add(node_id)
            continue
        earlier = first.setdefault(keys[node_id], node_id)
        if earlier != node_id:
            merged[node_id] = earlier
    if not merged:
        return graph
    slots = {
        value
        for node in graph.nodes.values()
        for value in node.inputs.values()
        if type(value) is Link and value.node in merged
    }
    slots |= {
        value
        for table in (graph.outputs, graph.taps)
        for value in table.values()
        if isinstance(value, Link) and value.node in merged
    }
    values: dict[Link, Input] = {link: Link(merged[link.node], link.slot) for link in slots}
    notes = tuple(
        Note("merged", (node_id,), "an equal node stands already", Link(into, 0)) for node_id, into in merged.items()
    )
    return replace(substitute(graph, values, set(merged)), notes=(*graph.notes, *notes))
