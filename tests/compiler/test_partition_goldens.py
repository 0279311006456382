"""Where prompts end: `tests/golden/prompts/<graph>.txt` has the steps of one graph under several options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from discomfort.compiler.partition.cost import SAFE_DEPTH
from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.partition.row import Row
from discomfort.compiler.partition.steps import prompt_depths, prompt_nodes, step_findings, step_roots
from discomfort.compiler.passes.cut import Cut
from discomfort.compiler.passes.dump import render_input
from discomfort.compiler.passes.order import order_nodes
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.diagnostics import Place
from discomfort.ir.graph import Graph, Node
from tests.compiler.graph_text import parse_graph

GOLDEN = Path(__file__).parents[1] / "golden" / "prompts"
EFFECTS = EffectTable(default_catalog())
IMAGE = "i0 = EmptyImage(width=8, height=8, batch_size=1, color=0)\n"
MODEL = 'm = CheckpointLoaderSimple(ckpt_name="model.safetensors")\n'
LOADED = 'v = VAELoader(vae_name="pixel_space")\n'


def inverted(first: int, last: int, start: str | None = None) -> str:
    sources = [start or f"i{first - 1}", *(f"i{number}" for number in range(first, last))]
    return "".join(f"i{first + at} = ImageInvert(image={source}.0)\n" for at, source in enumerate(sources))


def around(pixels: str, name: str, vae: str = "v.0") -> str:
    return f"e{name} = VAEEncode(pixels={pixels}.0, vae={vae})\nd{name} = VAEDecode(samples=e{name}.0, vae={vae})\n"


SAMPLED = (
    'p = CLIPTextEncode(clip=m.1, text="a")\n'
    "k = KSampler(model=m.0, positive=p.0, negative=p.0, latent_image=ea.0, seed=1, steps=1, cfg=1.0,"
    ' sampler_name="euler", scheduler="normal", denoise=1.0)\n'
    "dk = VAEDecode(samples=k.0, vae=m.2)\n"
)
ODD = "u{0} = SomebodysNode(image={1})\n"

GRAPHS: Mapping[str, str] = {
    "a_chain": IMAGE + inverted(1, 9) + "output x = i9.0\n",
    "a_value_used_far_away": IMAGE
    + inverted(1, 4)
    + "j = ImageBatch(image1=i1.0, image2=i4.0)\noutput x = j.0\noutput y = i2.0\n",
    "effects_first": IMAGE + inverted(1, 5) + "s = PreviewImage(images=i2.0)\noutput x = i5.0\neffect s\n",
    "two_effects": IMAGE
    + inverted(1, 5)
    + "s = PreviewImage(images=i5.0)\nt = PreviewImage(images=i1.0)\neffect s\neffect t\n",
    "a_loaded_model_in_every_prompt": IMAGE
    + LOADED
    + inverted(1, 3)
    + around("i3", "a")
    + inverted(4, 6, "da")
    + around("i6", "b")
    + "output x = db.0\n",
    "a_model_made_of_values": MODEL + IMAGE + inverted(1, 2) + around("i2", "a", "m.2") + SAMPLED + "output x = dk.0\n",
    "what_must_not_run_twice": IMAGE
    + ODD.format(1, "i0.0")
    + "i1 = ImageInvert(image=u1.0)\n"
    + inverted(2, 4)
    + ODD.format(2, "i4.0")
    + "i5 = ImageBatch(image1=u1.0, image2=u2.0)\noutput x = i5.0\n",
    "a_conversion": 'n = StringLength(string="ab")\n'
    + IMAGE
    + inverted(1, 2)
    + 's = ImageScaleBy(image=i2.0, upscale_method="area", scale_by=n.0)\n'
    + inverted(3, 4, "s")
    + "output x = i4.0\n",
    "two_conversions_and_effects": 'n = StringLength(string="ab")\n'
    + IMAGE
    + 's = ImageScaleBy(image=i0.0, upscale_method="area", scale_by=n.0)\n'
    + "g = GetImageSize(image=s.0)\n"
    + 't = ImageScaleBy(image=s.0, upscale_method="area", scale_by=g.0)\n'
    + "a = PreviewImage(images=t.0)\nb = PreviewImage(images=i0.0)\nc = PreviewImage(images=s.0)\n"
    + "output x = t.0\neffect c\neffect a\neffect b\n",
    "a_conversion_inside_of_what_is_repeated": 'n = StringLength(string="ab")\n'
    + 'w = StringConcatenate(string_a="pixel", string_b="space", delimiter="_")\n'
    + "v = VAELoader(vae_name=w.0)\n"
    + IMAGE
    + around("i0", "a")
    + inverted(1, 3, "da")
    + around("i3", "b")
    + "output x = db.0\n",
    "a_conversion_behind_what_must_not_run_twice": 'n = StringLength(string="ab")\n'
    + ODD.format(1, "n.0")
    + 's = ImageScaleBy(image=u1.0, upscale_method="area", scale_by=n.0)\n'
    + "output x = s.0\n",
    "a_conversion_that_no_prompt_can_end_before": IMAGE
    + ODD.format(1, "i0.0")
    + "n = StringLength(string=u1.1)\n"
    + 's = ImageScaleBy(image=u1.0, upscale_method="area", scale_by=n.0)\n'
    + "output x = s.0\noutput literal = 5\n",
    "nothing": "",
}
OPTIONS: Mapping[str, Partition] = {
    "as many in a row as come": Partition(0, for_speed=False),
    "at most 3 in a row": Partition(3, for_speed=False),
    "at most 4 in a row": Partition(4, for_speed=False),
    "at most 6 in a row": Partition(6, for_speed=False),
    "the usual": Partition(),
    "for speed, at most 4": Partition(4),
}


def ready(text: str) -> Graph:
    return order_nodes(Cut()(parse_graph(text), EFFECTS))


def place_of(node: Node, name: str | None) -> Place:
    return Place("graph", None, node.id, node.title, name)


def steps_as_text(graph: Graph) -> list[str]:
    lines: list[str] = []
    for step, roots in zip(graph.steps, step_roots(graph), strict=True):
        loaded = frozenset(step.reads)
        kept = prompt_nodes(graph, roots, loaded)
        depths = prompt_depths(graph.nodes, graph.nodes, kept, loaded)
        lines.append(f"  {step.id}: {' '.join(step.nodes)}")
        lines += [f"     reads {' '.join(map(render_input, step.reads))}"] if step.reads else []
        lines += [f"     writes {' '.join(map(render_input, step.writes))}"] if step.writes else []
        lines.append(f"     needed outside: {' '.join(roots)}")
        lines.append(f"     holds {' '.join(f'{node}:{depths[node]}' for node in graph.nodes if node in kept)}")
    return lines + [f"  {finding.render()}" for finding in step_findings(graph, place_of)]


@pytest.mark.parametrize("name", GRAPHS)
def test_prompts_end_as_in_the_golden(name: str, golden: Callable[[Path, str], None]) -> None:
    graph = ready(GRAPHS[name])
    row = Row(graph, EFFECTS)
    lines = [f"{node_id} = {node.class_type}" for node_id, node in graph.nodes.items()]
    lines += ["", f"row: {' '.join(row.order)}"]
    for what in ("stage", "whole", "repeatable", "rebuilt", "closed", "width"):
        lines.append(f"{what}: {' '.join(str(int(value)) for value in getattr(row, what))}")
    for title, options in OPTIONS.items():
        lines += ["", title, *steps_as_text(options(graph, EFFECTS))]
    golden(GOLDEN / f"{name}.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("deeper", [-2, -1, 0, 1])
def test_models_in_a_row_are_reported_from_the_depth_on_that_a_server_may_not_take(deeper: int) -> None:
    """A chain of references cannot be cut; the saver counts, too."""
    length = SAFE_DEPTH + deeper
    text = MODEL + 'l0 = LoraLoaderModelOnly(model=m.0, lora_name="a.safetensors", strength_model=1.0)\n'
    for number in range(1, length - 2):
        text += (
            f'l{number} = LoraLoaderModelOnly(model=l{number - 1}.0, lora_name="a.safetensors", strength_model=1.0)\n'
        )
    text += f"x = Reader(model=l{length - 3}.0)\noutput x = x.0\n"
    graph = Partition(for_speed=False)(ready(text), EFFECTS)
    assert len(graph.nodes) == length
    found = list(step_findings(graph, place_of))
    assert [finding.code for finding in found] == ["DF402"] * (deeper >= 0)
    assert all(finding.where.node == "x" and str(length + 1) in finding.message for finding in found)
    second = Partition(for_speed=False)(ready(text + IMAGE + inverted(1, 3) + "output y = i3.0\n"), EFFECTS)
    assert [finding.code for finding in step_findings(second, place_of)] == ["DF402"] * (deeper >= 0)
