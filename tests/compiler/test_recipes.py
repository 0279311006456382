"""Recipes as they are stored and read again, and how they are put into a graph (laws L5 and R3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discomfort.ir.graph import Graph, Link, Literal, Node, NodeId
from discomfort.ir.recipe import Recipe, slice_recipe, splice_recipe
from discomfort.ir.untrusted_json.nesting import DEEPEST
from tests.compiler.graph_text import parse_graph

GOLDEN = Path(__file__).parents[1] / "golden" / "recipe"
TEXT = """
n = StringLength(string="ab")
l = DiscomfortContextLoader(digest="d1-00", value_type="IMAGE")
m = CheckpointLoaderSimple(ckpt_name="model.safetensors")
s = ImageScaleBy(image=l.0, upscale_method="area", scale_by=n.0)
v = VAEEncode(pixels=s.0, vae=m.2)
other = EmptyImage(width=n.0, height=8, batch_size=1, color=0)
cut n.0
cut s.0
cut other.0
convert s scale_by
convert other width
"""


def recipe() -> Recipe:
    return slice_recipe(parse_graph(TEXT), Link(NodeId("v"), 0), "LATENT")


def test_a_recipe_is_stored_as_in_the_golden(golden: Callable[[Path, str], None]) -> None:
    stored = recipe().to_json()
    golden(GOLDEN / "stored.json", json.dumps(stored, indent=1) + "\n")
    assert Recipe.from_json(json.loads(json.dumps(stored))) == recipe()


def test_a_recipe_holds_the_marks_of_its_own_nodes_and_no_others() -> None:
    made = recipe()
    kinds = {node_id: node.class_type for node_id, node in made.graph.nodes.items()}
    assert sorted(kinds.values(), key=str) == [
        "CheckpointLoaderSimple",
        "DiscomfortContextLoader",
        "ImageScaleBy",
        "StringLength",
        "VAEEncode",
    ]
    assert [kinds[link.node] for link in made.graph.cuts] == ["StringLength", "ImageScaleBy"]
    assert [(kinds[node], name) for node, name in made.graph.conversions] == [("ImageScaleBy", "scale_by")]


def test_a_recipe_is_spliced_in_once_into_other_nodes() -> None:
    made = recipe()
    nodes: dict[NodeId, Node] = dict(parse_graph("own = EmptyImage(width=8)").nodes)
    assert splice_recipe(nodes, made) == splice_recipe(nodes, made) == made.output
    assert list(nodes) == ["own", *made.graph.nodes]
    there = nodes[made.output.node]
    splice_recipe(nodes, recipe())
    assert nodes[made.output.node] is there


def nested(depth: int) -> dict[str, Any]:
    """Return a stored recipe whose only literal is a list of lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    node = Node(NodeId("n"), "EmptyImage", {"width": Literal(value)}, "", parse_graph(TEXT).nodes[NodeId("n")].origin)
    return slice_recipe(Graph({node.id: node}), Link(node.id, 0), "IMAGE").to_json()


def test_values_as_deep_as_a_workflow_may_hold_survive_and_deeper_ones_are_refused() -> None:
    assert Recipe.from_json(nested(DEEPEST)).to_json() == nested(DEEPEST)
    with pytest.raises(ValueError, match="this is not a recipe: it is nested too deeply"):
        Recipe.from_json(nested(DEEPEST + 20))


def test_a_recipe_that_reads_a_parameter_is_refused_when_it_is_made_and_when_it_is_read() -> None:
    with pytest.raises(ValueError, match="node n reads the parameter 'p'; a recipe is closed"):
        slice_recipe(parse_graph("n = StringLength(string=$p)"), Link(NodeId("n"), 0), "INT")
    stored = recipe().to_json()
    for node in stored["nodes"].values():
        if node["class"] == "StringLength":
            node["inputs"]["string"] = {"param": "p"}
    with pytest.raises(ValueError, match="reads the parameter 'p'; a recipe is closed"):
        Recipe.from_json(stored)


def test_a_recipe_whose_graph_does_not_hold_together_is_refused() -> None:
    stored = recipe().to_json()
    for change in (
        {"output": ["elsewhere", 0]},
        {"nodes": {key: node for key, node in stored["nodes"].items() if node["class"] != "StringLength"}},
        {"cuts": ["elsewhere.0"]},
        {"conversions": [[stored["output"][0], "nothing"]]},
    ):
        with pytest.raises(ValueError, match="this is not a recipe"):
            Recipe.from_json({**stored, **change})
