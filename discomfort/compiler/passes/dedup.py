"""dedup: equal nodes become one, across workflows: a model that two of them load is loaded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Note
from discomfort.ir.keys import literal_token
from discomfort.ir.order import producers_first, replace_names, with_inputs


@dataclass(frozen=True, slots=True)
class Dedup:
    """The pass. With `files` False, readers of files are left alone: two uses read their file twice."""

    name: ClassVar[str] = "dedup"
    files: bool = True

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        """Return the graph with equal nodes merged."""
        names = {node.class_type for node in graph.nodes.values()}
        rules = {name: effects.rule(name) for name in names}
        mergeable = {name: rule.mergeable and (self.files or not rule.files) for name, rule in rules.items()}
        return merge_equal_nodes(graph, mergeable)


def merge_equal_nodes(graph: Graph, mergeable: Mapping[str | None, bool]) -> Graph:
    """Return the graph with nodes of one class and equal inputs merged into the first of them.

    Nodes with effects, volatile ones and those of unknown class (`mergeable` tells by class) stay, and so does what
    they feed: two uses may differ.
    """
    nodes: dict[NodeId, Node] = {}
    first: dict[tuple[object, ...], NodeId] = {}
    merged: dict[NodeId, NodeId] = {}
    kept = frozenset(graph.effects)
    for node_id in producers_first(graph):
        node = graph.nodes[node_id]
        if merged:
            node = _redirect(node, merged)
        if mergeable[node.class_type] and node_id not in kept:
            earlier = first.setdefault(_identity(node), node_id)
            if earlier != node_id:
                merged[node_id] = earlier
                continue
        nodes[node_id] = node
    if not merged:
        return graph

    def replacement(link: Link) -> Input | None:
        into = merged.get(link.node)
        return None if into is None else Link(into, link.slot)

    return replace(
        graph,
        nodes=nodes,
        outputs=replace_names(graph.outputs, replacement),
        taps=replace_names(graph.taps, replacement),
        notes=(*graph.notes, *_notes(merged)),
    )


def _redirect(node: Node, merged: Mapping[NodeId, NodeId]) -> Node:
    changed: dict[str, Input] | None = None
    for name, value in node.inputs.items():
        if type(value) is Link and value.node in merged:
            changed = changed if changed is not None else dict(node.inputs)
            changed[name] = Link(merged[value.node], value.slot)
    return node if changed is None else with_inputs(node, changed)


def _identity(node: Node) -> tuple[object, ...]:
    """Return what is equal for two nodes of one graph exactly when class and inputs are."""
    parts: list[object] = [node.class_type]
    inputs = node.inputs
    for name in sorted(inputs):
        value = inputs[name]
        parts.append(name)
        parts.append(literal_token(value.value) if isinstance(value, Literal) else value)
    return tuple(parts)


def _notes(merged: Mapping[NodeId, NodeId]) -> list[Note]:
    groups: dict[NodeId, list[NodeId]] = {}
    for node_id, into in merged.items():
        groups.setdefault(into, []).append(node_id)
    return [Note("merged", tuple(ids), "an equal node stands already", Link(into, 0)) for into, ids in groups.items()]
