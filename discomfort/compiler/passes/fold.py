"""fold: nodes that only hand a value on disappear: ports and reroutes, primitives, switches with a fixed side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from discomfort.compiler.effects import PORT_CLASS, EffectTable
from discomfort.compiler.graph import Graph, Input, Link, Literal, Node, NodeId, Note, topological_order
from discomfort.compiler.passes.rewrite import substitute

FORWARDS = {PORT_CLASS: "input", "Reroute": ""}
"""Class → the input that its only output repeats."""

PRIMITIVES: Mapping[str, tuple[type, ...]] = {
    "PrimitiveInt": (int,),
    "PrimitiveFloat": (int, float),
    "PrimitiveBoolean": (bool,),
    "PrimitiveString": (str,),
    "PrimitiveStringMultiline": (str,),
}
"""Class → the Python types of `value` that its output repeats unchanged."""

SWITCH = "ComfySwitchNode"


def fold_constants(graph: Graph, _: EffectTable) -> Graph:
    """Return the graph with every value taken from where it is made."""
    values: dict[Link, Input] = {}
    notes: list[Note] = []
    for node_id in topological_order(graph):
        node = graph.nodes[node_id]
        found = _handed_on(node)
        if found is None:
            continue
        value = values.get(found, found) if isinstance(found, Link) else found
        values[Link(node_id, 0)] = value
        notes.append(Note("folded", (node_id,), f"{node.class_type} hands a value on", value))
    if not values:
        return graph
    folded = substitute(graph, values, {NodeId(link.node) for link in values} - set(graph.effects))
    return replace(folded, notes=(*graph.notes, *notes))


def _handed_on(node: Node) -> Input | None:
    """Return the value that the node's only output repeats, or None where it does more."""
    name = node.class_type or ""
    if name in FORWARDS:
        return node.inputs.get(FORWARDS[name])
    if name in PRIMITIVES:
        value = node.inputs.get("value")
        if isinstance(value, Literal):
            fits = isinstance(value.value, PRIMITIVES[name]) and (
                name == "PrimitiveBoolean" or not isinstance(value.value, bool)
            )
            return value if fits else None
    if name == SWITCH:
        side = node.inputs.get("switch")
        if isinstance(side, Literal) and isinstance(side.value, bool):
            return node.inputs.get("on_true" if side.value else "on_false")
    return None
