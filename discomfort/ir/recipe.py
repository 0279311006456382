"""Recipes: the minimal closed subgraph that rebuilds a ref.

A recipe holds exactly the ancestors of its output (law L5) and no parameter: what it read by value was captured when
it was saved. Its nodes are named by what they compute, so that equal recipes become the same nodes with the same ids,
whichever workflow they came from and whichever prompt they are spliced into (laws R3 and L6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from discomfort.ir.catalog.effects import LOADER_CLASS
from discomfort.ir.graph import Graph, Input, Link, Node, NodeId, Param
from discomfort.ir.graph_json import ENVELOPE, node_from_json, node_to_json, read_link, write_link
from discomfort.ir.keys import output_key, structural_keys
from discomfort.ir.soundness import require_sound_graph
from discomfort.ir.untrusted_json.nesting import DEEPEST, problem_of_objects
from discomfort.ir.untrusted_json.parts import entries, items, slot, text, texts
from discomfort.ir.walk import ancestors, topological_order

KEY_LETTERS = 24
"""How much of a key a node id shows: 96 bits, far beyond accidental collision."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to rebuild one value: `graph`, the `output` in it, ComfyUI's `type` of it, and its Merkle `key`."""

    graph: Graph
    output: Link
    type: str
    key: str

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON-able data; `from_json` reads it back."""
        return {
            "kind": "recipe",
            "type": self.type,
            "key": self.key,
            "output": [self.output.node, self.output.slot],
            "nodes": {node.id: node_to_json(node) for node in self.graph.nodes.values()},
            "cuts": [write_link(link) for link in self.graph.cuts],
            "conversions": [list(place) for place in self.graph.conversions],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `to_json` wrote.

        Raises:
            ValueError: the data is not a recipe.
        """
        problem = problem_of_objects(data, DEEPEST + ENVELOPE)
        if problem is not None:
            raise ValueError(f"this is not a recipe: {problem}")
        try:
            nodes = {NodeId(node_id): node_from_json(node_id, entry) for node_id, entry in entries(data["nodes"])}
            node, number = items(data["output"])
            graph = Graph(
                nodes,
                cuts=tuple(map(read_link, texts(data["cuts"]))),
                conversions=tuple((NodeId(node), name) for node, name in map(texts, items(data["conversions"]))),
            )
            recipe = cls(graph, Link(NodeId(text(node)), slot(number)), text(data["type"]), text(data["key"]))
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise ValueError(f"this is not a recipe: {error!r}") from error
        for closed in nodes.values():
            _require_closed(closed)
        require_sound_graph(graph, recipe.output, "this is not a recipe")
        return recipe


def slice_recipe(graph: Graph, output: Link, type_name: str) -> Recipe:
    """Return the recipe of `output`: its ancestors in `graph`, named by their keys.

    Raises:
        ValueError: an ancestor reads a parameter; a recipe is closed.
    """
    kept = ancestors(graph, [output.node])
    part = Graph({node_id: node for node_id, node in graph.nodes.items() if node_id in kept})
    order = topological_order(part)
    keys = structural_keys(part, order)
    names = {node_id: _name(part.nodes[node_id], keys[node_id]) for node_id in order}
    nodes: dict[NodeId, Node] = {}
    for node_id in order:
        node = part.nodes[node_id]
        _require_closed(node)
        inputs = {name: _renamed(value, names) for name, value in node.inputs.items()}
        nodes.setdefault(names[node_id], Node(names[node_id], node.class_type, inputs, node.title, node.origin))
    cuts = dict.fromkeys(Link(names[link.node], link.slot) for link in graph.cuts if link.node in kept)
    conversions = dict.fromkeys((names[node_id], name) for node_id, name in graph.conversions if node_id in kept)
    renamed = Link(names[output.node], output.slot)
    made = Graph(nodes, cuts=tuple(cuts), conversions=tuple(conversions))
    return Recipe(made, renamed, type_name, output_key(keys[output.node], output.slot))


def splice_recipe(nodes: dict[NodeId, Node], recipe: Recipe) -> Link:
    """Add the recipe's nodes to `nodes`, where equal ones may be already, and return its output."""
    for node_id, node in recipe.graph.nodes.items():
        nodes.setdefault(node_id, node)
    return recipe.output


def _name(node: Node, key: str) -> NodeId:
    """Return the id of a node in a recipe; a loader keeps its own, which already names a value."""
    return node.id if node.class_type == LOADER_CLASS else NodeId(f"ref/{key[:KEY_LETTERS]}")


def _require_closed(node: Node) -> None:
    for value in node.inputs.values():
        if isinstance(value, Param):
            raise ValueError(f"node {node.id} reads the parameter {value.name!r}; a recipe is closed")


def _renamed(value: Input, names: Mapping[NodeId, NodeId]) -> Input:
    return Link(names[value.node], value.slot) if isinstance(value, Link) else value
