"""Plans of several prompts: explained, compared, written and read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discomfort.plan import Plan, compile

GOLDEN = Path(__file__).parents[1] / "golden" / "explain"


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def port(name: str, source: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return node("DiscomfortPort", unique_id=name, tags="", **({} if source is None else {"input": source}))


def inverted(length: int, name: str = "x") -> dict[str, Any]:
    chain = {"0": node("EmptyImage", width=8, height=8, batch_size=1, color=0)}
    chain |= {str(number): node("ImageInvert", image=[str(number - 1), 0]) for number in range(1, length)}
    return {**chain, "out": port(name, [str(length - 1), 0])}


COUNTED = {"1": node("StringLength", string="ab"), "out": port("factor", ["1", 0])}
SCALED = {
    "1": port("factor"),
    "2": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
    "3": node("ImageScaleBy", image=["2", 0], upscale_method="area", scale_by=["1", 0]),
    "out": port("scaled", ["3", 0]),
}
AROUND_A_MODEL = {
    **inverted(140),
    "v": node("VAELoader", vae_name="pixel_space"),
    "20": node("VAEEncode", pixels=["19", 0], vae=["v", 0]),
    "21": node("VAEDecode", samples=["20", 0], vae=["v", 0]),
    "120": node("VAEEncode", pixels=["119", 0], vae=["v", 0]),
    "121": node("VAEDecode", samples=["120", 0], vae=["v", 0]),
}
PROGRAMS = {
    "one_prompt": [inverted(5)],
    "several_prompts": [inverted(120)],
    "deeper_than_a_server_bears": [inverted(1500)],
    "a_conversion": [COUNTED, SCALED],
    "a_model_in_several_prompts": [AROUND_A_MODEL],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_explain_predicts_prompts_and_nodes_for_each_engine(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{name}.txt", compile(PROGRAMS[name]).explain())


@pytest.mark.parametrize("name", PROGRAMS)
def test_plans_of_several_prompts_survive_json(name: str) -> None:
    plan = compile(PROGRAMS[name])
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.steps == plan.steps
    assert again.explain() == plan.explain()
    assert plan.diff(again) == ""


def test_a_diff_shows_steps_and_cuts() -> None:
    changed = compile([inverted(5)]).diff(compile([inverted(6)]))
    assert '+  "workflow/5.0"' in changed
    assert '+    "workflow/5"' in changed


def test_selecting_outputs_leaves_the_steps_that_make_them() -> None:
    tagged = {**inverted(200), "first": node("DiscomfortPort", unique_id="early", tags="debug", input=["10", 0])}
    plan = compile([tagged])
    early = plan.select(tags="debug")
    assert len(early.steps) == 1
    assert early.steps[0].nodes == tuple(early.graph.nodes)
    assert Plan.from_json(early.to_json()) == early
