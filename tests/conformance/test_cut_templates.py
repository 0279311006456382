"""L2 on official templates: cut at their natural seams and stitched again, they give the prompt of the uncut one.

"The same prompt" is: equal as JSON (ids, classes, inputs, titles) once each id has lost its workflow, `main/12:3` →
`12:3`, with the optional passes off. With all passes on, equal nodes become one, and which of them replaces both
depends on the order in which they were written; so there the two prompts hold the same nodes by what they compute
(their Merkle keys), and the same effects.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from discomfort.compiler import CompileError, CompileOptions
from discomfort.compiler.frontend import load_workflow
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.graph import Graph
from discomfort.ir.keys import structural_keys
from discomfort.plan import Plan, compile
from tests.conformance import templates
from tests.conformance.cutting import cut, stages

DOZEN = {
    "basic_switch_node.json": 3,
    "flux_depth_lora_example.json": 3,
    "flux_redux_model_example.json": 3,
    "image_chrono_edit_14B.json": 3,
    "image_flux2_fp8.json": 3,
    "image_hidream_o1.json": 3,
    "image_qwen_image_instantx_controlnet.json": 3,
    "template_image_speech_to_video.json": 3,
    "templates-1_click_multiple_character_angles-v1.0.json": 3,
    "templates-6-key-frames.json": 3,
    "video_ltx2_depth_to_video.json": 3,
    "video_wan2_1_infinitetalk.json": 3,
    "video_wan_vace_outpainting.json": 3,
    "video_wanmove_480p.json": 3,
}
"""Templates and into how many workflows they are cut."""

RENUMBERED = {
    "image_newbieimage_exp0_1-t2i.json",
    "video_kandinsky5_i2v.json",
    "video_wan2_2_14B_s2v.json",
}
"""Templates in which two nodes have one id; the editor renumbers them, in a part otherwise than in the whole."""

NAIVE = CompileOptions(passes=())


def read(name: str) -> dict[str, Any]:
    folder = templates.folder()
    if folder is None:
        pytest.skip("comfyui-workflow-templates-json is not installed")
    document: dict[str, Any] = json.loads((folder / name).read_bytes())
    return document


def without_workflow(graph: Graph) -> dict[str, Any]:
    """Return the prompt of a graph with the workflow taken off every id."""

    def own(node_id: str) -> str:
        return node_id.partition("/")[2]

    return {
        own(key): {
            **node,
            "inputs": {
                name: [own(value[0]), value[1]] if isinstance(value, list) else value
                for name, value in node["inputs"].items()
            },
        }
        for key, node in emit_prompt(graph).items()
    }


def computed(plan: Plan) -> tuple[Counter[str], list[str]]:
    """Return what the nodes of a plan compute, and its effects in their order."""
    keys = structural_keys(plan.graph, plan.graph.nodes)
    return Counter(keys.values()), [keys[node] for node in plan.effects]


def check(document: dict[str, Any], parts: list[dict[str, Any]], exact: bool) -> None:
    if exact:
        whole, stitched = compile([document], options=NAIVE), compile(parts, options=NAIVE, outputs=[])
        assert not stitched.inputs, "every seam is bound"
        ours, theirs = without_workflow(stitched.graph), without_workflow(whole.graph)
        assert ours == theirs, templates.first_difference(ours, theirs)
        uncut = emit_prompt(load_workflow(document, default_catalog()).graph)
        assert {key: uncut[key] for key in ours} == ours, "what is left is the editor's own prompt"
    first, second = computed(compile([document])), computed(compile(parts, outputs=[]))
    assert first[0] == second[0]
    assert Counter(first[1]) == Counter(second[1])


@pytest.mark.parametrize("name", DOZEN)
def test_L2_a_template_cut_at_its_seams_and_stitched_gives_the_same_prompt(name: str) -> None:
    document = read(name)
    parts = cut(document, stages(document, default_catalog()))
    assert len(parts) == DOZEN[name]
    check(document, parts, exact=True)


@pytest.mark.slow
def test_L2_every_template_that_has_seams(tmp_path: Path) -> None:
    cut_up = 0
    for name, _ in templates.recorded():
        document = read(name)
        parts = cut(document, stages(document, default_catalog()))
        try:
            compile([document])
        except CompileError:
            continue
        if len(parts) > 1:
            check(document, parts, exact=name not in RENUMBERED)
            cut_up += 1
    assert cut_up > 190
