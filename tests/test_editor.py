"""Workflows joined in the editor's own format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import discomfort
from discomfort.ir.diagnostics import CompileError
from discomfort.ir.graph import Input
from discomfort.tools import WorkflowTools
from tests.property.typed import editor_document
from tests.runtime.programs import reads, workflow, writes

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"
FILES = [QUICKSTART / "load_vae.json", QUICKSTART / "main_workflow.json"]
tools = WorkflowTools()


def computed(plan: discomfort.Plan) -> dict[str, Any]:
    """Return what a plan gives, whatever its nodes are called."""
    return shapes_of(plan, plan.graph.outputs)


def tapped(plan: discomfort.Plan) -> dict[str, Any]:
    """Return what a plan could also give."""
    return shapes_of(plan, plan.graph.taps)


def shapes_of(plan: discomfort.Plan, names: Mapping[str, Input]) -> dict[str, Any]:
    shapes: dict[str, Any] = {}
    for node in plan.graph.nodes.values():
        inputs = {
            name: shapes.get(getattr(value, "node", ""), getattr(value, "value", getattr(value, "name", None)))
            for name, value in node.inputs.items()
        }
        shapes[node.id] = (node.class_type, tuple(sorted(inputs.items(), key=str)))
    return {name: shapes.get(getattr(value, "node", "")) for name, value in names.items()}


def test_the_ports_of_a_workflow_are_discovered() -> None:
    found = tools.discover_port_nodes(FILES[1])
    assert {name: info["type"] for name, info in found["inputs"].items()} == {
        "photo": "IMAGE",
        "width": "INT",
        "strength": "FLOAT",
        "vae": "VAE",
    }
    assert found["outputs"]["output"] == {
        "node_id": 14,
        "tags": [],
        "type": "IMAGE",
        "input_type": "IMAGE",
        "output_type": None,
    }
    assert found["inputs"]["vae"]["tags"] == ["model"]
    assert found["unique_id_to_node"]["photo"] == 1
    assert found["nodes"][5]["type"] == "ImageScale"
    order = found["execution_order"]
    assert order.index(5) < order.index("7:21") < order.index(12)


def test_a_stitched_workflow_computes_what_its_parts_compute() -> None:
    stitched = tools.stitch_workflows(FILES)
    assert list(stitched["inputs"]) == ["photo", "width", "strength"]
    assert list(stitched["outputs"]) == ["vae", "output"]
    one, several = discomfort.compile([stitched["stitched_workflow"]]), discomfort.compile(FILES)
    assert computed(one) == computed(several)
    assert json.loads(json.dumps(stitched["stitched_workflow"])) == stitched["stitched_workflow"]
    assert tools.validate_workflow(stitched["stitched_workflow"])


def test_workflows_are_laid_side_by_side_and_renumbered() -> None:
    document = tools.stitch_workflows([FILES[0], FILES[0]])["stitched_workflow"]
    ids = [node["id"] for node in document["nodes"]]
    assert len(set(ids)) == len(ids) == 3  # of two OUTPUT ports of one name the last stays
    spans = sorted((node["pos"][0], node["pos"][0] + node["size"][0]) for node in document["nodes"])
    assert spans[0][1] <= spans[-1][0]


def test_ports_can_be_left_out() -> None:
    stitched = tools.stitch_workflows(FILES, delete_input_ports=True, delete_output_ports=True)
    assert stitched["inputs"] == stitched["outputs"] == {}
    assert not [node for node in stitched["stitched_workflow"]["nodes"] if node["type"] == "DiscomfortPort"]


def test_every_port_of_a_name_is_left_out() -> None:
    reading = editor_document(
        workflow(
            n1=reads("photo"),
            n2=reads("photo"),
            n3=("ImageInvert", {"image": ["1", 0]}),
            n4=writes("one", ["3", 0]),
            n5=("ImageInvert", {"image": ["2", 0]}),
            n6=writes("two", ["5", 0]),
        )
    )
    stitched = tools.stitch_workflows([reading], delete_input_ports=True, delete_output_ports=True)
    assert sorted(node["type"] for node in stitched["stitched_workflow"]["nodes"]) == ["ImageInvert", "ImageInvert"]
    assert len(stitched["execution_order"]) == 2


def test_two_definitions_of_one_subgraph_id_are_kept_apart() -> None:
    changed = json.loads(FILES[1].read_text())
    changed["definitions"]["subgraphs"][0]["nodes"][0]["widgets_values"] = [31, 9.0]
    for node in changed["nodes"]:
        if node["type"] == "DiscomfortPort":
            node["widgets_values"][0] += "_second"
    document = tools.stitch_workflows([FILES[1], changed])["stitched_workflow"]
    assert len(document["definitions"]["subgraphs"]) == 2
    plan = discomfort.compile([document])
    radii = [node.inputs["blur_radius"] for node in plan.graph.nodes.values() if node.class_type == "ImageBlur"]
    assert sorted(getattr(value, "value", 0) for value in radii) == [9, 31]


def tapping(image: tuple[str, dict[str, Any]], result: str, **more: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return an editor's workflow: `image` → PASSTHRU `tap` → ImageInvert → OUTPUT `result`, and `more` nodes."""
    return editor_document(
        workflow(n1=image, n2=writes("tap", ["1", 0]), n3=INVERT, n4=writes(result, ["3", 0]), **more)
    )


def blank(size: int) -> tuple[str, dict[str, Any]]:
    return "EmptyImage", {"width": size, "height": 8, "batch_size": 1, "color": 0}


INVERT = ("ImageInvert", {"image": ["2", 0]})
TAP_TOO = writes("b", ["2", 0])


@pytest.mark.parametrize(
    "documents",
    [
        [tapping(blank(8), "a"), tapping(blank(16), "b")],
        [tapping(blank(8), "a"), tapping(blank(16), "b"), tapping(reads("tap"), "c")],
        [tapping(blank(8), "a"), tapping(reads("tap"), "b"), tapping(blank(16), "c")],
        [tapping(reads("tap"), "a"), tapping(reads("tap"), "b")],
        [tapping(blank(8), "a"), editor_document(workflow(n1=blank(16), n2=writes("tap", ["1", 0])))],
        [editor_document(workflow(n1=blank(16), n2=writes("tap", ["1", 0]))), tapping(blank(8), "a")],
        [tapping(blank(8), "a", n5=TAP_TOO), tapping(blank(16), "b"), tapping(reads("tap"), "c")],
        [
            tapping(blank(8), "a", n5=writes("tap", ["1", 0]), n6=("ImageInvert", {"image": ["5", 0]})),
            tapping(blank(16), "b"),
        ],
    ],
    ids=["two", "read after", "read between", "read by both", "written", "written before", "fed on", "twice in one"],
)
def test_joined_documents_may_tap_one_name_and_mean_what_the_list_means(documents: list[dict[str, Any]]) -> None:
    one = discomfort.compile([tools.stitch_workflows(documents)["stitched_workflow"]])
    several = discomfort.compile(documents)
    assert computed(one) == computed(several)
    assert tapped(one) == tapped(several)
    assert [finding.code for finding in one.diagnostics] == [finding.code for finding in several.diagnostics]


def test_a_tap_that_only_fed_what_a_later_document_writes_again_is_not_a_result() -> None:
    reroute = ("Reroute", {"": ["2", 0]})
    only = workflow(n1=blank(8), n2=writes("tap", ["1", 0]), n3=reroute, n4=writes("b", ["3", 0]))
    documents = [editor_document(only), editor_document(workflow(n1=blank(16), n2=writes("b", ["1", 0])))]
    joined = tools.stitch_workflows(documents)
    assert computed(discomfort.compile([joined["stitched_workflow"]])) == computed(discomfort.compile(documents))
    assert list(joined["outputs"]) == ["b"]


def test_an_api_prompt_cannot_be_joined_in_the_editors_format() -> None:
    prompt = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "pixel_space"}}}
    with pytest.raises(CompileError, match="DF150"):
        tools.stitch_workflows([FILES[0], prompt])


def test_reroutes_are_taken_out() -> None:
    document = json.loads(FILES[1].read_text())
    nodes = {node["id"]: node for node in document["nodes"]}
    clean, links, became = tools.remove_reroute_nodes(nodes, document["links"])
    assert 6 not in clean
    assert 6 in nodes
    assert [row[1:5] for row in links if row[3] == 7 and row[4] == 0] == [[5, 0, 7, 0]]
    assert became == {3: 4}


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document.pop("nodes"),
        lambda document: document.pop("links"),
        lambda document: document["links"].append([99, 1, 0, 12345, 0, "*"]),
        lambda document: document["links"].append([99, 1]),
        lambda document: document["nodes"].append(document["nodes"][0]),
        lambda document: document["nodes"].append({"type": "NoId"}),
    ],
)
def test_what_does_not_hold_together_is_not_valid(damage: Any) -> None:
    document = json.loads(FILES[1].read_text())
    assert tools.validate_workflow(document)
    damage(document)
    assert not tools.validate_workflow(document)


def test_rules_are_the_documented_presets() -> None:
    assert tools.pass_by_rules["MODEL"] == "ref"
    assert tools.pass_by_rules["IMAGE"] == "val"
