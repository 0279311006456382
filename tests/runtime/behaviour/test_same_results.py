"""One set of prompts on every engine that has a real ComfyUI's nodes: the same values, failures, and nodes that run.

The prompts use ComfyUI's own nodes and those of its own execution tests; what is expected is what those tests describe.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.protocol import SAVER_CLASS, EngineError, NodeFailed, PromptRejected, PromptRequest
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.behaviour.test_behaviour import equal

pytestmark = pytest.mark.comfyui

Prompt = dict[str, Any]
OUTCOMES: dict[str, Any] = {}
"""What the first engine gave for each case; the others must give the same."""

_fresh = itertools.count()


def node(class_type: str, **inputs: Any) -> Prompt:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}


def image(content: str = "WHITE", size: int = 16) -> Prompt:
    return node("StubImage", content=content, height=size, width=size, batch_size=1)


def gray(value: float, size: int = 16) -> Prompt:
    return node("StubConstantImage", value=value, height=size, width=size, batch_size=1)


def mask(value: float) -> Prompt:
    return node("StubMask", value=value, height=16, width=16, batch_size=1)


def mixing(value: float) -> Prompt:
    return {
        "a": image("BLACK"),
        "b": image("WHITE"),
        "m": mask(value),
        "out": node("TestLazyMixImages", image1=["a", 0], image2=["b", 0], mask=["m", 0]),
    }


def validating(which: int, one: Any, two: Any = 1.0) -> Prompt:
    return {"f": node("StubFloat", value=0.5), "out": node(f"TestCustomValidation{which}", input1=one, input2=two)}


def looping(times: int) -> Prompt:
    """Averages white and black `times` times in a loop."""
    return {
        "white": image("WHITE"),
        "black": image("BLACK"),
        "open": node("TestForLoopOpen", remaining=times, initial_value1=["white", 0]),
        "mean": node("TestVariadicAverage", input1=["open", 2], input2=["black", 0]),
        "close": node("TestForLoopClose", flow_control=["open", 0], initial_value1=["mean", 0]),
        "out": node("ImageInvert", image=["close", 0]),
    }


def listed(*values: float) -> Prompt:
    numbers = {f"v{index}": node("StubFloat", value=value) for index, value in enumerate(values, 1)}
    links = {f"value{index}": [f"v{index}", 0] for index in range(1, len(values) + 1)}
    return {**numbers, "list": node("TestMakeListNode", **links)}


ACCUMULATING = {
    "one": gray(0.25),
    "first": node("TestAccumulateNode", to_add=["one", 0]),
    "two": gray(0.5),
    "second": node("TestAccumulateNode", to_add=["two", 0], accumulation=["first", 0]),
    "list": node("TestAccumulationToListNode", accumulation=["second", 0]),
    "out": node("ImageInvert", image=["list", 0]),
}
CORE_IMAGES = {
    "a": node("EmptyImage", width=33, height=17, batch_size=2, color=0x336699),
    "b": node("ImageScale", image=["a", 0], upscale_method="lanczos", width=20, height=0, crop="disabled"),
    "c": node("ImageBlur", image=["b", 0], blur_radius=2, sigma=1.0),
    "m": node("ImageToMask", image=["c", 0], channel="green"),
    "g": node("GrowMask", mask=["m", 0], expand=2, tapered_corners=True),
    "out": node("MaskToImage", mask=["g", 0]),
}
CORE_LATENTS = {
    "a": node("EmptyLatentImage", width=64, height=64, batch_size=2),
    "b": node("RepeatLatentBatch", samples=["a", 0], amount=2),
    "n": node("LatentBatchSeedBehavior", samples=["b", 0], seed_behavior="fixed"),
    "out": node("LatentFlip", samples=["n", 0], flip_method="x-axis: vertically"),
}
CASES: dict[str, Prompt] = {
    "images and masks": CORE_IMAGES,
    "latents": CORE_LATENTS,
    "lazy first": mixing(0.0),
    "lazy second": mixing(1.0),
    "lazy both": mixing(0.5),
    "lazy asked by each call of a list": {
        **mixing(0.0),
        "m2": mask(1.0),
        "masks": node("TestMakeListNode", value1=["m", 0], value2=["m2", 0]),
        "out": node("TestLazyMixImages", image1=["a", 0], image2=["b", 0], mask=["masks", 0]),
    },
    "undeclared inputs": {
        "a": gray(0.25),
        "b": gray(0.5),
        "c": gray(1.0),
        "out": node("TestVariadicAverage", input1=["a", 0], input2=["b", 0], input3=["c", 0]),
    },
    "lists": {**listed(1.0, 2.5), "out": node("TestToBoolNode", value=["list", 0])},
    "accumulation to list": ACCUMULATING,
    "loop": looping(3),
    "mixed expansion": {"out": node("TestMixedExpansionReturns", input1=0.25)},
    "asynchronous": {
        "a": image(),
        "s": node("TestSleep", value=["a", 0], seconds=0.05),
        "t": node("TestSleep", value=["a", 0], seconds=0.02),
        "out": node("TestVariadicAverage", input1=["s", 0], input2=["t", 0]),
    },
    "asynchronous, lazy": {
        "a": image(),
        "b": image("BLACK"),
        "out": node("TestAsyncLazyCheck", input1=["a", 0], input2=["b", 0], condition=True),
    },
    "asynchronous, expanding": {
        "a": image(),
        "b": image("BLACK"),
        "out": node(
            "TestDynamicAsyncGeneration", image1=["a", 0], image2=["b", 0], num_async_nodes=3, sleep_duration=0.1
        ),
    },
    "asynchronous, expanding into sleepers": {
        "a": image("BLACK"),
        "b": image(),
        "out": node(
            "TestParallelSleep",
            image1=["a", 0],
            image2=["b", 0],
            image3=["b", 0],
            sleep1=0.03,
            sleep2=0.01,
            sleep3=0.02,
        ),
    },
    "asynchronous between others": {
        "a": image("BLACK"),
        "b": image("WHITE"),
        "m": mask(0.5),
        "mixed": node("TestLazyMixImages", image1=["a", 0], image2=["b", 0], mask=["m", 0]),
        "s": node("TestSleep", value=["mixed", 0], seconds=0.02),
        "half": node("TestCustomValidation1", input1=["s", 0], input2=0.5),
        "out": node("TestSleep", value=["half", 0], seconds=0.02),
    },
    "asynchronous, with resources of its own": {
        "a": image(),
        **{
            f"r{number}": node("TestAsyncResourceUser", value=["a", 0], resource_id=f"r{number}", duration=0.02)
            for number in range(3)
        },
        "out": node("TestVariadicAverage", input1=["r0", 0], input2=["r1", 0], input3=["r2", 0]),
    },
    "asynchronous, a batch at once": {
        "a": node("StubImage", content="WHITE", height=8, width=8, batch_size=3),
        "out": node("TestAsyncBatchProcessing", images=["a", 0], process_time_per_item=0.01),
    },
    "expansion of each value of a list, a link": {
        **listed(0.1, 0.2, 0.3),
        "mixed": node("TestMixedExpansionReturns", input1=["list", 0]),
        "out": node("ImageInvert", image=["mixed", 0]),
    },
    "expansion of each value of a list, a value": {
        **listed(0.1, 0.2, 0.3),
        "mixed": node("TestMixedExpansionReturns", input1=["list", 0]),
        "out": node("ImageInvert", image=["mixed", 1]),
    },
    "an output node that gives something": {
        "a": gray(0.25),
        "first": node("TestOutputNodeWithSocketOutput", image=["a", 0], value=1.5),
        "out": node("TestOutputNodeWithSocketOutput", image=["first", 0], value=2.0),
    },
    "asynchronous, validating": {"out": node("TestAsyncValidation", value=1.0, threshold=3.0)},
    "valid literal": validating(1, 0.5),
    "valid link": validating(2, ["f", 0]),
    "number as text": {"f": node("StubFloat", value="0.25"), "out": node("TestMixedExpansionReturns", input1=["f", 0])},
}
REFUSED: dict[str, Prompt] = {
    "cycle": {
        "a": node("TestVariadicAverage", input1=["b", 0]),
        "b": node("TestVariadicAverage", input1=["a", 0]),
        "out": node("ImageInvert", image=["a", 0]),
    },
    "missing class": {"out": node("NobodyHasThis")},
    "missing input": {"out": node("ImageInvert")},
    "custom validation": validating(4, "text"),
    "custom validation of any input": validating(5, 1.0, 7.0),
    "custom validation of types": {"m": mask(1.0), **validating(2, ["m", 0])},
    "wrong type": {"a": mask(1.0), "out": node("ImageInvert", image=["a", 0])},
    "text for a number": {"out": node("TestMixedExpansionReturns", input1="many")},
    "asynchronous validation": {"out": node("TestAsyncValidation", value=5.0, threshold=3.0)},
}
FAILING: dict[str, tuple[str, Prompt]] = {
    "different sizes": (
        "out",
        {
            "a": image(size=16),
            "b": image("BLACK", size=8),
            "out": node("TestVariadicAverage", input1=["a", 0], input2=["b", 0]),
        },
    ),
    "cycle by expansion": (
        "out",
        {
            "a": image(),
            "b": image("BLACK"),
            "out": node("TestDynamicDependencyCycle", input1=["a", 0], input2=["b", 0]),
        },
    ),
    "asynchronous": ("bad", {"a": image(), "bad": node("TestAsyncError", value=["a", 0], error_after=0.02)}),
    "next to asynchronous ones": (
        "bad",
        {
            "a": image(),
            "s": node("TestSleep", value=["a", 0], seconds=0.2),
            "bad": node("TestSyncError", value=["a", 0]),
            "out": node("TestVariadicAverage", input1=["s", 0], input2=["bad", 0]),
        },
    ),
    "timed out": (
        "bad",
        {"a": image(), "bad": node("TestAsyncTimeout", value=["a", 0], timeout=0.1, operation_time=5.0)},
    ),
}


@pytest.fixture
def real(rig: Rig) -> Rig:
    if rig.name == "embedded":
        pytest.skip("has no ComfyUI")
    if "StubImage" not in run_blocking(rig.engine.catalog()):
        pytest.skip("this checkout has no nodes for execution tests")
    return rig


def run(rig: Rig, context: WorkflowContext, prompt: Prompt) -> tuple[Any, set[str]]:
    """Return the value of output 0 of the last node, and which nodes of the prompt ran."""
    saver = {"save": node(SAVER_CLASS, value=[list(prompt)[-1], 0], name="out")}
    result = run_blocking(rig.engine.run(PromptRequest({**prompt, **saver}, {"out": "save"}, context)))
    delivered = result.outputs["out"]
    value = delivered.value if delivered.digest is None else context.values.get(delivered.digest)
    return value, set(result.executed) & set(prompt)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return equal(one, other)


@pytest.mark.parametrize("case", CASES)
def test_values_and_the_nodes_that_run_are_the_same(real: Rig, context: WorkflowContext, case: str) -> None:
    if any(one["class_type"] not in run_blocking(real.engine.catalog()) for one in CASES[case].values()):
        pytest.skip("this version lacks a node of the case")
    run(
        real, context, {"x": node("StubInt", value=next(_fresh))}
    )  # what was cached before is gone, or the same for all
    value, executed = run(real, context, CASES[case])
    first = OUTCOMES.setdefault(case, value)
    assert same(value, first)
    if case == "lazy first":
        assert "b" not in executed
    if case == "lazy second":
        assert "a" not in executed
    if case == "loop":
        assert torch.allclose(value, torch.full_like(value, 1 - 0.125))


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_prompts_are_refused(real: Rig, context: WorkflowContext, case: str) -> None:
    with pytest.raises(PromptRejected):
        run(real, context, REFUSED[case])


@pytest.mark.parametrize("case", FAILING)
def test_the_same_nodes_fail(real: Rig, context: WorkflowContext, case: str) -> None:
    where, prompt = FAILING[case]
    with pytest.raises(NodeFailed) as caught:
        run(real, context, prompt)
    assert caught.value.node == where
    kind = caught.value.exception_type.rpartition(".")[2]
    if case != "cycle by expansion":  # ours says which nodes wait for each other, ComfyUI's name for it is its own
        assert OUTCOMES.setdefault(f"failing {case}", kind) == kind


def test_a_blocked_result_is_reported(real: Rig, context: WorkflowContext) -> None:
    prompt = {
        **listed(1.0, 0.0),
        "yes": node("TestToBoolNode", value=["list", 0]),
        "out": node("TestExecutionBlocker", input=["list", 0], block=["yes", 0], verbose=False),
    }
    with pytest.raises(EngineError, match=r"block|Block"):
        run(real, context, prompt)


def test_equal_prompts_are_cached_and_a_change_runs_what_depends_on_it(real: Rig, context: WorkflowContext) -> None:
    start = 0.001 * next(_fresh)
    prompt = {
        "a": gray(start),
        "b": gray(0.5),
        "i": node("ImageInvert", image=["a", 0]),
        "out": node("TestVariadicAverage", input1=["i", 0], input2=["b", 0]),
    }
    run(real, context, prompt)
    assert run(real, context, prompt)[1] == set()
    prompt["b"] = gray(0.75)
    assert run(real, context, prompt)[1] == {"b", "out"}


def test_IS_CHANGED_that_reads_constants_keeps_the_result(real: Rig, context: WorkflowContext) -> None:
    """Links are not there when it is asked; the answer by the constants is the same each time."""
    prompt = {"a": gray(0.5), "out": node("TestIsChangedWithConstants", image=["a", 0], value=0.5)}
    value, _ = run(real, context, prompt)
    assert torch.allclose(value, torch.full_like(value, 0.25))
    again, executed = run(real, context, prompt)
    assert same(again, value)
    assert executed == set()


def test_a_blocker_stops_its_value_of_a_list_alone(real: Rig, context: WorkflowContext) -> None:
    prompt = {
        "black": image("BLACK"),
        "white": image(),
        "images": node("TestMakeListNode", value1=["black", 0], value2=["white", 0], value3=["black", 0]),
        **{f"i{number}": node("StubInt", value=number) for number in (1, 2, 3)},
        "numbers": node("TestMakeListNode", value1=["i1", 0], value2=["i2", 0], value3=["i3", 0]),
        "which": node("TestIntConditions", a=["numbers", 0], b=2, operation="=="),
        "kept": node("TestExecutionBlocker", input=["images", 0], block=["which", 0], verbose=False),
        "again": node("TestMakeListNode", value1=["kept", 0]),
        "out": node("PreviewImage", images=["again", 0]),
    }
    result = run_blocking(real.engine.run(PromptRequest(prompt, {}, context)))
    assert len(result.ui["out"]["images"]) == 2


def test_a_blocker_stops_its_value_of_a_list_of_asynchronous_results(real: Rig, context: WorkflowContext) -> None:
    prompt = {
        "black": image("BLACK"),
        "white": image(),
        "one": node("TestSleep", value=["black", 0], seconds=0.02),
        "two": node("TestSleep", value=["white", 0], seconds=0.01),
        "images": node("TestMakeListNode", value1=["one", 0], value2=["two", 0]),
        **{f"i{number}": node("StubInt", value=number) for number in (1, 2)},
        "numbers": node("TestMakeListNode", value1=["i1", 0], value2=["i2", 0]),
        "which": node("TestIntConditions", a=["numbers", 0], b=2, operation="=="),
        "kept": node("TestExecutionBlocker", input=["images", 0], block=["which", 0], verbose=False),
        "out": node("PreviewImage", images=["kept", 0]),
    }
    result = run_blocking(real.engine.run(PromptRequest(prompt, {}, context)))
    assert len(result.ui["out"]["images"]) == 1


@pytest.mark.parametrize("class_type", ["TestAsyncProgressUpdate", "TestSyncProgressUpdate"])
def test_progress_by_the_public_API_is_reported_or_fails_alike(
    real: Rig, context: WorkflowContext, class_type: str
) -> None:
    """0.3.64 lacks a part of that interface."""
    prompt = {"a": image(), "out": node(class_type, value=["a", 0], sleep_seconds=0.02)}
    try:
        outcome = str(run(real, context, prompt)[0].shape)
    except NodeFailed as error:
        outcome = error.exception_message
    assert OUTCOMES.setdefault(class_type, outcome) == outcome


def test_one_result_feeds_two_output_nodes(real: Rig, context: WorkflowContext) -> None:
    prompt = {
        "a": image("BLACK"),
        "one": node("PreviewImage", images=["a", 0]),
        "two": node("PreviewImage", images=["a", 0]),
    }
    result = run_blocking(real.engine.run(PromptRequest(prompt, {}, context)))
    assert [len(result.ui[name]["images"]) for name in ("one", "two")] == [1, 1]


def test_IS_CHANGED_decides(real: Rig, context: WorkflowContext) -> None:
    prompt = {"a": gray(0.5), "out": node("TestCustomIsChanged", image=["a", 0], should_change=False)}
    run(real, context, prompt)
    assert run(real, context, prompt)[1] == set()
    prompt["out"]["inputs"]["should_change"] = True
    run(real, context, prompt)
    assert "out" in run(real, context, prompt)[1]


def test_sampled_images_are_the_same(real: Rig, context: WorkflowContext) -> None:
    """A whole text-to-image prompt on a checkpoint of Stable Diffusion 1.5's shapes."""
    if not os.environ.get("DISCOMFORT_TEST_CHECKPOINT"):
        pytest.skip("DISCOMFORT_TEST_CHECKPOINT names no checkpoint")
    prompt = {
        "load": node("CheckpointLoaderSimple", ckpt_name="random.safetensors"),
        "good": node("CLIPTextEncode", clip=["load", 1], text="a lighthouse"),
        "bad": node("CLIPTextEncode", clip=["load", 1], text="fog"),
        "both": node("ConditioningCombine", conditioning_1=["good", 0], conditioning_2=["bad", 0]),
        "empty": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "sample": node(
            "KSampler",
            model=["load", 0],
            positive=["both", 0],
            negative=["bad", 0],
            latent_image=["empty", 0],
            seed=7,
            steps=2,
            cfg=5.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "out": node("VAEDecode", samples=["sample", 0], vae=["load", 2]),
    }
    value, _ = run(real, context, prompt)
    assert value.shape == (1, 64, 64, 3)
    assert same(value, OUTCOMES.setdefault("sampled", value))
