"""Prompts at the edges of ComfyUI's protocols, on every engine that has a real ComfyUI: they end in the same way."""

from __future__ import annotations

from typing import Any

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.protocol import NodeFailed, PromptRejected, PromptRequest
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.behaviour.test_same_results import Prompt, node, run

pytestmark = pytest.mark.comfyui

OUTCOMES: dict[str, Any] = {}
"""How each case ended on the first engine; it must end so on the others."""

LISTS = {"empty": node("OddList", count=0), "three": node("OddList", count=3), "one": node("OddPass", value=7)}


def odd(class_type: str, **inputs: Any) -> Prompt:
    """Return a prompt whose node `x` is of the class, and whose result is all that arrives from it."""
    return {**LISTS, "x": node(class_type, **inputs), "out": node("OddText", value=["x", 0])}


def lazy(asks: str) -> Prompt:
    return odd("OddLazy", asks=asks, one=["one", 0], two=["other", 0]) | {"other": node("OddPass", value=8)}


def growing(**inputs: Any) -> Prompt:
    return odd("OddGrowing", **{"xs.x0": 1, "c": "number", "c.n": 2, **inputs})


CASES: dict[str, Prompt] = {
    **{
        f"answer: {kind}": odd("OddAnswer", kind=kind)
        for kind in ("none", "list", "number", "result of none", "more than declared", "a blocker with message")
    },
    "an optional input that has no value": odd("OddOptional", value=["empty", 0]),
    "an undeclared output of an expansion": odd("OddExpansion", value=1),
    "nothing requested, though it is known": lazy(""),
    "one requested": lazy("one"),
    "one of two from the same node requested": odd("OddLazy", asks="two", one=["one", 0], two=["one", 0]),
    "both requested": lazy("two one"),
    "a literal requested": lazy("asks"),
    "requested by a tuple": odd("OddLazyTuple", one=["one", 0]),
    "validated with hidden inputs": odd("OddValidated", value=1),
    "validated without inputs": odd("OddValidatedWithoutInputs", value=1),
    "V3, validated with hidden inputs": odd("OddJudge", value=3),
    "V3, a class that cannot be changed": odd("OddKeeps", value=3),
    **{f"limits: {value!r}": odd("OddLimited", value=value) for value in (5, -1, 10.5, "5")},
    "later": odd("OddLater", value=["three", 0], kind=""),
    "later, blocked": {**odd("OddLater", value=1, kind="blocks"), "last": node("OddList", count=1)},
    "later, failing": odd("OddLater", value=1, kind="fails"),
    "grown": growing(**{"xs.x1": ["one", 0]}),
    "grown, with a gap": growing(**{"xs.x2": 3}),
    "grown too far": growing(**{"xs.x3": 3, "xs.y": 4}),
    "grown too little": growing(**{"xs.x0": ["one", 0], "c.n": 9}),
    "an input of another choice": growing(**{"c.s": "left over"}),
    "a choice in a choice": growing(**{"c": "text", "c.s": "t", "c.deep": "no"}),
}
SHOWN = ("none", "empty", "text", "tuple", "number")


def has(rig: Rig, prompt: Prompt) -> bool:
    known = run_blocking(rig.engine.catalog())
    return all(body["class_type"] in known for body in prompt.values())


@pytest.fixture
def real(rig: Rig) -> Rig:
    if rig.name == "embedded":
        pytest.skip("has no ComfyUI")
    return rig


def outcome(rig: Rig, context: WorkflowContext, prompt: Prompt) -> Any:
    """Return how a prompt ends: with a value, refused, or failing at a node with a kind of exception."""
    try:
        return "gives", run(rig, context, prompt)[0]
    except PromptRejected as error:
        return "is refused at", sorted({str(finding.where.node) for finding in error.diagnostics})
    except NodeFailed as error:
        return "fails at", error.node, error.exception_type.rpartition(".")[2]


@pytest.mark.parametrize("case", CASES)
def test_odd_prompts_end_in_the_same_way(real: Rig, context: WorkflowContext, case: str) -> None:
    if not has(real, CASES[case]):
        pytest.skip("this version lacks a node of the case")
    if "requested" in case and not has(real, growing()):
        pytest.skip("0.3.64 hands over what it knows, requested or not")
    run(real, context, {"one": LISTS["one"], "two": LISTS["three"]})  # so that something is known
    ended = outcome(real, context, CASES[case])
    assert OUTCOMES.setdefault(case, ended) == ended


@pytest.mark.parametrize("kind", SHOWN)
def test_what_output_nodes_answer_is_read_in_the_same_way(real: Rig, context: WorkflowContext, kind: str) -> None:
    try:
        result = run_blocking(real.engine.run(PromptRequest({"x": node("OddShow", kind=kind)}, {}, context)))
        ended: Any = {name: {key: list(shown) for key, shown in one.items()} for name, one in result.ui.items()}
    except NodeFailed as error:
        ended = (error.node, error.exception_type)
    assert OUTCOMES.setdefault(f"shown: {kind}", ended) == ended


def test_IS_CHANGED_that_lacks_an_input_runs_the_node_each_time(real: Rig, context: WorkflowContext) -> None:
    prompt = odd("OddChanged", value=1, other=2)
    run(real, context, prompt)
    assert "x" in run(real, context, prompt)[1]


def test_asynchronous_results_are_cached_and_a_failure_leaves_the_engine_whole(
    real: Rig, context: WorkflowContext
) -> None:
    prompt = odd("OddLater", value=["three", 0], kind="kept")
    first, _ = run(real, context, prompt)
    assert run(real, context, prompt) == (first, set())
    with pytest.raises(NodeFailed):
        run(real, context, odd("OddLater", value=1, kind="fails"))
    assert run(real, context, odd("OddLater", value=2, kind=""))[0] == "[2]"
