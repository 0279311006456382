"""What passes share: replacing values throughout a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from discomfort.compiler.graph import Graph, Input, Link, Node, NodeId


def substitute(graph: Graph, values: Mapping[Link, Input], gone: set[NodeId]) -> Graph:
    """Return the graph with each link in `values` replaced by what it maps to, and the nodes in `gone` left out."""
    nodes: dict[NodeId, Node] = {}
    for node_id, node in graph.nodes.items():
        if node_id in gone:
            continue
        changed = {
            name: values[value] for name, value in node.inputs.items() if type(value) is Link and value in values
        }
        nodes[node_id] = replace(node, inputs={**node.inputs, **changed}) if changed else node

    def resolve(value: Input) -> Input:
        return values.get(value, value) if isinstance(value, Link) else value

    return replace(
        graph,
        nodes=nodes,
        outputs={name: resolve(value) for name, value in graph.outputs.items()},
        taps={name: resolve(value) for name, value in graph.taps.items()},
    )
