"""What passes share: an order with producers first, and replacing values throughout a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from discomfort.ir.graph import Graph, Input, Link, Node, NodeId, topological_order


def producers_first(graph: Graph) -> Iterable[NodeId]:
    """Return the node ids with producers before consumers; `graph.nodes` itself where they lie so already."""
    nodes = graph.nodes
    seen: set[NodeId] = set()
    for node_id, node in nodes.items():
        for value in node.inputs.values():
            if type(value) is Link and value.node not in seen and value.node in nodes:
                return topological_order(graph)
        seen.add(node_id)
    return nodes


def with_inputs(node: Node, inputs: Mapping[str, Input]) -> Node:
    """Return `node` with other inputs."""
    return Node(node.id, node.class_type, inputs, node.title, node.origin)


def replace_names(table: Mapping[str, Input], replacement: Callable[[Link], Input | None]) -> Mapping[str, Input]:
    """Return outputs or taps with each link replaced for which `replacement` has something; else `table` itself."""
    changed: dict[str, Input] = {}
    for name, value in table.items():
        new = replacement(value) if isinstance(value, Link) else None
        if new is not None:
            changed[name] = new
    return {**table, **changed} if changed else table
