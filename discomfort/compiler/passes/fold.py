"""fold: nodes that only hand a value on disappear: PASSTHRU ports, reroutes, primitives, switches with a fixed side."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.catalog.effects import PORT_CLASS, EffectTable, means_what_it_is_called
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Note, Param, replace_names, with_inputs
from discomfort.ir.types.language import Signatures, accepts_value, literal_type, needs_link, wanted_type
from discomfort.ir.types.literal_rules import literal_problem
from discomfort.ir.walk import producers_first

REROUTE = "Reroute"
"""Gives what comes in by its only input, whatever that is called."""

SWITCH = "ComfySwitchNode"
"""Gives `on_true` where `switch` is true and `on_false` elsewhere; the other side is not computed."""

PRIMITIVES: Mapping[str, str] = {
    "PrimitiveInt": "INT",
    "PrimitiveFloat": "FLOAT",
    "PrimitiveString": "STRING",
    "PrimitiveStringMultiline": "STRING",
    "PrimitiveBoolean": "BOOLEAN",
}
"""Class → the type of the literal `value` that its only output repeats unchanged."""


@dataclass(frozen=True, slots=True)
class Fold:
    """The pass. `primitives` and `switches` say whether those disappear too; ports and reroutes always do."""

    name: ClassVar[str] = "fold"
    primitives: bool = True
    switches: bool = True

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        """Return the graph with every value taken from where it is made."""
        foldable = {PORT_CLASS, REROUTE}
        if self.primitives:
            foldable.update(PRIMITIVES)
        if self.switches:
            foldable.add(SWITCH)
        catalog = effects.catalog
        foldable = {name for name in foldable if name == PORT_CLASS or means_what_it_is_called(name, catalog)}
        return fold_nodes(graph, catalog, foldable)


def fold_nodes(graph: Graph, catalog: Catalog, foldable: Collection[str | None]) -> Graph:
    """Return the graph with every value taken from where it is made.

    A literal goes into a consumer only where it is the same there as along a link: a linked value is not compared
    with the limits of its input, a written one is, and in an input of the type `*` ComfyUI may convert it.
    """
    if not any(node.class_type in foldable for node in graph.nodes.values()):
        return graph
    folding = _Folding(Signatures(catalog), foldable)
    nodes: dict[NodeId, Node] = {}
    for node_id in producers_first(graph):
        node = folding.rewrite(graph.nodes[node_id])
        folding.learn(node)
        if node_id not in folding.links:
            nodes[node_id] = node
    used = {value.node for node in nodes.values() for value in node.inputs.values() if type(value) is Link}
    unused = [node_id for node_id in folding.literals if node_id in nodes and node_id not in used]
    for node_id in unused:
        del nodes[node_id]
    outputs, taps = replace_names(graph.outputs, folding.value), replace_names(graph.taps, folding.value)
    if len(nodes) == len(graph.nodes) and not folding.changed and outputs is graph.outputs and taps is graph.taps:
        return graph
    notes = [
        Note("folded", (node_id,), _why(graph.nodes[node_id]), folding.value(Link(node_id, 0)))
        for node_id in (*folding.links, *unused)
    ]
    return replace(
        graph,
        nodes=nodes,
        outputs=outputs,
        taps=taps,
        notes=(*graph.notes, *notes),
    )


class _Folding:
    """What replaces the nodes seen so far: `links` another value, `literals` a written one (some nodes have both)."""

    def __init__(self, signatures: Signatures, foldable: Collection[str | None]) -> None:
        self._signatures = signatures
        self._foldable = foldable
        self.links: dict[NodeId, Link | Param] = {}
        self.literals: dict[NodeId, Literal] = {}
        self.changed = False

    def value(self, link: Link) -> Input | None:
        """Return what replaces `link` in an input that takes anything, None where nothing does."""
        if link.slot != 0:
            return None
        return self.literals.get(link.node) or self.links.get(link.node)

    def rewrite(self, node: Node) -> Node:
        """Return `node` with every input replaced that can be."""
        if not self.links and not self.literals:
            return node
        changed: dict[str, Input] = {}
        for name, value in node.inputs.items():
            if type(value) is not Link or value.slot != 0:
                continue
            literal = self.literals.get(value.node)
            if literal is not None and self._takes(node, name, literal):
                changed[name] = literal
            elif value.node in self.links:
                changed[name] = self.links[value.node]
        if not changed:
            return node
        self.changed = True
        return with_inputs(node, {**node.inputs, **changed})

    def learn(self, node: Node) -> None:
        """Remember what replaces `node`, if it only forwards something."""
        value = _forwarded(node) if node.class_type in self._foldable else None
        if isinstance(value, Literal):
            self.literals[node.id] = value
        elif value is not None:
            self.links[node.id] = value
            if isinstance(value, Link) and value.slot == 0 and value.node in self.literals:
                self.literals[node.id] = self.literals[value.node]

    def _takes(self, node: Node, name: str, literal: Literal) -> bool:
        """Return whether `literal` is the same to `node` as the link that it has now."""
        node_class = self._signatures.catalog.get(node.class_type or "")
        if node_class is None or node.class_type == PORT_CLASS:
            return False
        spec = self._signatures.inputs(node_class, node.inputs).get(name)
        if spec is None or needs_link(spec) or not accepts_value(literal_type(literal), wanted_type(spec)):
            return False
        return literal_problem(spec, literal.value) is None


def _forwarded(node: Node) -> Input | None:
    """Return the value that the node's only output repeats, None where it does more."""
    name = node.class_type
    inputs = node.inputs
    if name == PORT_CLASS:
        return inputs.get("input")
    if name == REROUTE:
        return next(iter(inputs.values())) if len(inputs) == 1 else None
    if name == SWITCH:
        side = inputs.get("switch")
        if not isinstance(side, Literal) or not isinstance(side.value, bool):
            return None
        return inputs.get("on_true" if side.value else "on_false")
    value = inputs.get("value")
    return value if isinstance(value, Literal) and literal_type(value) == PRIMITIVES.get(str(name)) else None


def _why(node: Node) -> str:
    if node.class_type == SWITCH:
        return "its condition is written in the workflow"
    return "its value is written in the workflow" if node.class_type in PRIMITIVES else "it only hands its input on"
