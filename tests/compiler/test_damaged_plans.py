"""Plans and recipes read from JSON: what could not run is reported when it is read, and what is read can be used."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from discomfort.compiler import CompileOptions
from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.passes import PASSES
from discomfort.compiler.plan.json_form import dumps
from discomfort.ir.graph import Literal
from discomfort.ir.recipe import Recipe
from discomfort.plan import Plan, compile
from tests.fuzz.fuzz_plans import golden_plans, try_plan
from tests.fuzz.mutation import mutated
from tests.runtime.comfyui.chains import inverted, node, port

PROGRAM = {
    "in": port("photo"),
    "1": node("ImageInvert", image=["in", 0]),
    "2": node("ImageInvert", image=["1", 0]),
    "3": node("PreviewImage", images=["2", 0]),
    "out": port("result", ["1", 0]),
}
Change = Callable[[dict[str, Any]], object]


def plan_data() -> dict[str, Any]:
    return dict(json.loads(dumps(compile([PROGRAM]).to_json())))


def inputs(data: dict[str, Any], name: str = "workflow/2") -> dict[str, Any]:
    found: dict[str, Any] = data["nodes"][name]["inputs"]
    return found


def link(*parts: Any) -> Change:
    return lambda data: inputs(data).update(image={"link": list(parts)})


CHANGES: dict[str, tuple[Change, str]] = {
    "a missing node": (link("workflow/9", 0), "output 0 of node workflow/9, which is not in the graph"),
    "a negative slot": (link("workflow/1", -1), "expected the number of an output"),
    "an infinite slot": (link("workflow/1", math.inf), "expected the number of an output"),
    "a slot that is true": (link("workflow/1", True), "expected the number of an output"),
    "a slot beyond all": (link("workflow/1", 10**400), "expected the number of an output"),
    "a link of three": (link("workflow/1", 0, 0), "damaged"),
    "a cycle": (
        lambda data: inputs(data, "workflow/1").update(image={"link": ["workflow/2", 0]}),
        "cycle|does not list the nodes that read it",
    ),
    "a parameter that is not an input": (
        lambda data: inputs(data).update(image={"param": "nope"}),
        "node workflow/2 reads the parameter 'nope', which is not an input of the plan",
    ),
    "an input that nothing reads as it says": (
        lambda data: data["inputs"]["photo"].update(uses=[]),
        "input 'photo' does not list the nodes that read it",
    ),
    "an input that is read, and not required": (
        lambda data: data["inputs"]["photo"].update(required=False),
        "input 'photo' is read, and declared as not required",
    ),
    "an output of a missing node": (
        lambda data: data["outputs"]["result"].update(source={"link": ["workflow/9", 0]}),
        "output 'result' comes from output 0 of node workflow/9",
    ),
    "an output that is an unknown parameter": (
        lambda data: data["outputs"]["result"].update(source={"param": "nope"}),
        "'result' is the parameter 'nope'",
    ),
    "an effect that is missing": (lambda data: data.update(effects=["workflow/9"]), "effect workflow/9 is not"),
    "a cut at a missing node": (lambda data: data.update(cuts=["workflow/9.0"]), "a cut is at node workflow/9"),
    "a conversion without a link": (
        lambda data: data.update(conversions=[["workflow/1", "nope"]]),
        "a conversion is at input 'nope' of node workflow/1",
    ),
    "a step with an unknown node": (
        lambda data: data["steps"][0].update(nodes=["workflow/9"]),
        "holds node workflow/9, which is not in the graph",
    ),
    "a rule of another kind": (lambda data: data["rules"].update(IMAGE="maybe"), "expected one of val, ref"),
    "a title that is a number": (
        lambda data: data["nodes"]["workflow/1"].update(title=5),
        "found 5, expected text",
    ),
    "text in place of a list": (lambda data: data.update(effects="workflow/3"), "expected a list"),
    "a number with thousands of digits": (lambda data: data.update(version=10**5000), "more than 4000 digits"),
    "a literal with thousands of digits": (
        lambda data: inputs(data, "workflow/1").update(x={"value": 10**5000}),
        r"digits: node workflow/1, input x \(nodes\.workflow/1\.inputs\.x\.value\)",
    ),
    "a literal with thousands of digits in Python's JSON": (
        lambda data: inputs(data, "workflow/1").update(x={"python": "[NaN, " + "9" * 5000 + "]"}),
        "node workflow/1, input x: a number in it has more than 4000 digits",
    ),
    "a deep literal in Python's JSON": (
        lambda data: inputs(data, "workflow/1").update(x={"python": "[" * 100_000}),
        "node workflow/1, input x: a literal in it is nested too deeply",
    ),
    "a depth of thousands": (lambda data: inputs(data).update(image={"value": deep()}), "nested too deeply"),
}


def deep() -> Any:
    value: Any = 1
    for _ in range(3000):
        value = [value]
    return value


@pytest.mark.parametrize("name", CHANGES)
def test_a_plan_that_could_not_run_is_refused_when_it_is_read(name: str) -> None:
    change, message = CHANGES[name]
    data = plan_data()
    assert Plan.from_json(copy.deepcopy(data)).to_json() == data
    change(data)
    with pytest.raises(ValueError, match=message) as caught:
        Plan.from_json(data)
    assert str(caught.value).startswith("this plan is damaged")


@pytest.mark.parametrize("version", ["\ud800", "x" * 5000, None, [1]])
def test_another_version_is_shown_in_short(version: Any) -> None:
    with pytest.raises(ValueError, match=r"has version") as caught:
        Plan.from_json({**plan_data(), "version": version})
    str(caught.value).encode()
    assert len(str(caught.value)) < 200


def test_a_cycle_is_named() -> None:
    data = plan_data()
    inputs(data, "workflow/1").update(image={"link": ["workflow/2", 0]})
    data["inputs"]["photo"].update(uses=[], required=False)
    with pytest.raises(ValueError, match=r"cycle: workflow/\d -> workflow/\d"):
        Plan.from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["nodes"]["r"]["inputs"].update(image={"link": ["s", 0]}),
        lambda data: data["nodes"]["r"]["inputs"].update(image={"link": ["r", 0]}),
        lambda data: data.update(output=["s", 0]),
        lambda data: data.update(output=["r", math.inf]),
        lambda data: data.update(cuts=["s.0"]),
        lambda data: data["nodes"]["r"].update({"class": 3}),
    ],
)
def test_a_recipe_that_could_not_run_is_refused_when_it_is_read(change: Change) -> None:
    body = {"class": "ImageInvert", "title": "", "origin": ["w", "1"], "inputs": {}}
    data = {"type": "IMAGE", "key": "k.0", "output": ["r", 0], "nodes": {"r": body}, "cuts": [], "conversions": []}
    Recipe.from_json(copy.deepcopy(data))
    change(data)
    with pytest.raises(ValueError, match="this is not a recipe"):
        Recipe.from_json(data)


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [math.nan, -math.inf]}, {"b": "\ud800"}, 10**400, 1e308])
def test_numbers_that_json_lacks_are_written_as_json_and_come_back(value: Any) -> None:
    plan = compile([{"1": node("PreviewAny", source=value)}])
    text = json.dumps(plan.to_json(), allow_nan=False)
    again = Plan.from_json(json.loads(text))
    (read,) = again.graph.nodes["workflow/1"].inputs.values()  # type: ignore[index]
    assert isinstance(read, Literal)
    assert repr(read.value) == repr(value)
    assert dumps(again.to_json()) == dumps(plan.to_json())


def test_a_plan_of_several_steps_is_sound() -> None:
    plan = compile([inverted(30)], options=CompileOptions(passes=(*PASSES[:-1], Partition(5))))
    assert len(plan.steps) > 1
    assert Plan.from_json(plan.to_json()).graph == plan.graph


def test_random_changes_are_refused_or_can_be_used() -> None:
    plans = [plan_data(), *golden_plans(every=25)]
    choice = random.Random(0)
    accepted = sum(try_plan(mutated(choice.choice(plans), choice)) for _ in range(800))
    assert accepted > 0
