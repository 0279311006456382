"""A server without our nodes: what can travel does, the rest is reported before anything runs."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
import torch

from discomfort.compiler import CompileOptions
from discomfort.compiler.passes import PASSES, Pass
from discomfort.context.context import WorkflowContext
from discomfort.context.values.value_list import ValueList
from discomfort.plan import compile
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engine_thread import run_awaiting
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.protocol import EngineError, NodeFailed, PromptRejected
from discomfort.session import Discomfort
from tests.runtime.comfyui.chains import port
from tests.runtime.comfyui.helpers import (
    INVERSION,
    PATIENCE,
    addition,
    loader,
    node,
    observed,
    request_for,
    result_of,
)


@pytest_asyncio.fixture
async def plain(plain_server: ManagedServer) -> AsyncIterator[ComfyUIEngine]:
    engine = ComfyUIEngine.attached(plain_server.url, patience=PATIENCE)
    yield engine
    await engine.close()


REPEATING = {
    "in": port("latent"),
    "1": node("RepeatLatentBatch", samples=["in", 0], amount=2),
    "out": port("repeated", ["1", 0]),
}


def eight_bits(*shape: int) -> torch.Tensor:
    """Values that a PNG keeps exactly."""
    return torch.randint(0, 256, shape).float() / 255


def as_saved(image: torch.Tensor) -> torch.Tensor:
    """What is left of an image that ComfyUI saves as PNG: its levels are cut, not rounded."""
    return (255.0 * image).clip(0, 255).byte().float() / 255


@pytest.mark.parametrize("batch", [1, 3, 40])
async def test_images_are_uploaded_and_read_back(plain: ComfyUIEngine, context: WorkflowContext, batch: int) -> None:
    image = eight_bits(batch, 6, 5, 3)
    prompt = {"l": loader(context, image, "IMAGE"), "k": node("ImageInvert", image=["l", 0])}
    back = await result_of(plain, request_for(context, prompt, image=["k", 0]))
    assert torch.allclose(back, as_saved(1.0 - image), atol=1e-6)


async def test_large_image_is_uploaded_without_a_warning(plain: ComfyUIEngine, context: WorkflowContext) -> None:
    image = eight_bits(1, 700, 800, 3)  # noise: over 1 MB as PNG
    prompt = {"l": loader(context, image, "IMAGE"), "k": node("ImageInvert", image=["l", 0])}
    back = await result_of(plain, request_for(context, prompt, image=["k", 0]))
    assert torch.allclose(back, as_saved(1.0 - image), atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 5), (2, 6, 5)])
async def test_masks_are_uploaded_and_read_back(
    plain: ComfyUIEngine, context: WorkflowContext, shape: tuple[int, ...]
) -> None:
    mask = eight_bits(*shape)
    prompt = {"l": loader(context, mask, "MASK"), "k": node("MaskToImage", mask=["l", 0])}
    prompt["m"] = node("ImageToMask", image=["k", 0], channel="green")
    back = await result_of(plain, request_for(context, prompt, mask=["m", 0]))
    assert torch.allclose(back, mask.reshape(-1, 6, 5), atol=1e-6)


async def test_scalars_are_inlined_and_read_back(plain: ComfyUIEngine, context: WorkflowContext) -> None:
    prompt = {"l": loader(context, 20, "INT"), "sum": node("Add", a=["l", 0], b=["l", 0])}
    assert await result_of(plain, request_for(context, prompt, total=["sum", 0])) == 40
    assert await result_of(plain, addition(context, -5)) == -4


async def test_equal_image_is_uploaded_once_and_cached(
    plain: ComfyUIEngine, plain_server: ManagedServer, context: WorkflowContext
) -> None:
    image = eight_bits(1, 4, 4, 3)
    before = observed(plain_server.url)["runs"].get("LoadImage", 0)
    for _ in range(2):
        prompt = {"l": loader(context, image.clone(), "IMAGE"), "k": node("ImageInvert", image=["l", 0])}
        await plain.run(request_for(context, prompt, image=["k", 0]))
    assert observed(plain_server.url)["runs"]["LoadImage"] == before + 1


async def test_what_cannot_travel_is_reported_all_at_once_before_anything_runs(
    plain: ComfyUIEngine, plain_server: ManagedServer, context: WorkflowContext
) -> None:
    before = observed(plain_server.url)["runs"]
    prompt = {
        "l": loader(context, {"samples": torch.zeros(1, 4, 2, 2)}, "LATENT"),
        "latent": node("EmptyLatentImage", width=16, height=16, batch_size=1),
        "rgba": loader(context, torch.zeros(1, 2, 2, 4), "IMAGE"),
        "sum": node("Add", a=1, b=2),
    }
    request = request_for(context, prompt, latent=["latent", 0], total=["sum", 0])
    with pytest.raises(PromptRejected) as caught:
        await plain.run(request)
    found = [(finding.code, finding.where.file, finding.where.node) for finding in caught.value.diagnostics]
    assert found == [("DF521", "main.json", "l!"), ("DF521", "main.json", "rgba!"), ("DF521", "main.json", "latent!")]
    assert all("install the Discomfort nodes" in (finding.hint or "") for finding in caught.value.diagnostics)
    assert observed(plain_server.url)["runs"] == before


async def test_R5_a_plan_of_which_something_cannot_travel_submits_nothing(plain_server: ManagedServer) -> None:
    before = observed(plain_server.url)["runs"]
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        with pytest.raises(BindError) as caught:
            await discomfort.run(
                [INVERSION, REPEATING],
                inputs={"photo": eight_bits(1, 6, 5, 3), "latent": {"samples": torch.zeros(1, 4, 2, 2)}},
            )
    found = [(finding.code, finding.where.input) for finding in caught.value.diagnostics]
    assert found == [("DF521", "latent"), ("DF521", "repeated")]
    assert observed(plain_server.url)["runs"] == before


async def test_L8_missing_and_unfit_values_are_reported_with_what_cannot_travel(
    plain_server: ManagedServer,
) -> None:
    adding = {"in": port("a"), "1": node("Add", a=["in", 0], b=1), "out": port("sum", ["1", 0])}
    given = {"latent": {"samples": torch.zeros(1, 4, 2, 2)}, "a": "seven"}
    before = observed(plain_server.url)["runs"]
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        with pytest.raises(BindError) as caught:
            await discomfort.run([INVERSION, REPEATING, adding], inputs=given)
    found = [(finding.code, finding.where.input) for finding in caught.value.diagnostics]
    assert found == [("DF501", "photo"), ("DF502", "a"), ("DF521", "latent"), ("DF521", "repeated")]
    assert observed(plain_server.url)["runs"] == before


async def test_list_of_numbers_is_read_back_as_one(plain_server: ManagedServer) -> None:
    counting = {"in": port("count"), "1": node("Count", count=["in", 0]), "out": port("numbers", ["1", 0])}
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        several = await discomfort.run([counting], inputs={"count": 3})
        one = await discomfort.run([counting], inputs={"count": 1})
    assert type(several["numbers"]) is ValueList
    assert (list(several["numbers"]), one["numbers"]) == ([0, 1, 2], 0)


async def test_R6_what_is_shown_is_not_of_its_type(plain: ComfyUIEngine, context: WorkflowContext) -> None:
    request = replace(addition(context, 5), types={"total": "BOOLEAN"})
    with pytest.raises(EngineError, match="what ComfyUI showed of total is not of the type BOOLEAN: '6'"):
        await plain.run(request)


@pytest.mark.parametrize("kind", ["Image", "Mask"])
async def test_R6_a_picture_that_is_None_names_its_port(plain_server: ManagedServer, kind: str) -> None:
    nothing = {"1": node(f"Nothing{kind}"), "out": port("picture", ["1", 0])}
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        with pytest.raises(NodeFailed, match=r"output 'picture'.*perhaps None.*install the Discomfort nodes") as caught:
            await discomfort.run([nothing])
    assert caught.value.place is not None
    assert (caught.value.place.workflow, caught.value.place.node) == ("workflow", "1")


@pytest.mark.parametrize("given", [None, "no picture"])
async def test_R5_an_input_that_is_not_a_picture_names_its_port(plain_server: ManagedServer, given: Any) -> None:
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        with pytest.raises(BindError, match=r"input 'photo' is .*; expected an IMAGE"):
            await discomfort.run([INVERSION], inputs={"photo": given})


async def test_R6_text_that_is_not_a_number_names_its_port(plain_server: ManagedServer) -> None:
    nothing = {"1": node("NothingNumber"), "out": port("count", ["1", 0])}
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        with pytest.raises(EngineError, match="what ComfyUI showed of output 'count' is not of the type INT"):
            await discomfort.run([nothing])


async def test_R6_a_text_that_is_None_is_not_taken_for_the_word(plain_server: ManagedServer) -> None:
    """PreviewAny shows None as the text "None": which of them it is nothing says, so neither is made up."""
    nothing = {"1": node("NothingText"), "out": port("text", ["1", 0])}
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        with pytest.raises(
            EngineError, match=r"output 'text' is None, or the text 'None'.*install the Discomfort nodes"
        ):
            await discomfort.run([nothing])


async def test_workflow_with_ports_runs(plain_server: ManagedServer) -> None:
    """Ports are the compiler's: that the server has no class for them does not matter."""
    image = eight_bits(1, 6, 5, 3)
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        results = await discomfort.run([INVERSION], inputs={"photo": image})
    assert torch.allclose(results["result"], as_saved(1.0 - image), atol=1e-6)


DESCRIBING = {"in": port("given"), "1": node("Describe", value=["in", 0]), "out": port("seen", ["1", 0])}
CARRIED = [5, -(2**63) + 1, 2.75, -0.0, True, False, "hello", "7", "", "two\nlines"]
NOT_CARRIED = [None, math.nan, math.inf, 10**30, -(2**63), 1e300, ValueList([1, 2])]


@pytest.mark.parametrize("value", CARRIED, ids=repr)
async def test_R4_a_scalar_reaches_a_wildcard_from_a_primitive_node(plain_server: ManagedServer, value: Any) -> None:
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        results = await discomfort.run([DESCRIBING], inputs={"given": value})
    assert results == {"seen": f"{type(value).__name__} {value!r}"}


@pytest.mark.parametrize("value", NOT_CARRIED, ids=repr)
async def test_R5_a_scalar_that_no_primitive_node_gives_is_refused_before_anything_runs(
    plain_server: ManagedServer, value: Any
) -> None:
    before = observed(plain_server.url)["runs"]
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        with pytest.raises(BindError) as caught:
            await discomfort.run([DESCRIBING], inputs={"given": value})
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.where.input) == ("DF521", "given")
    assert "input 'given' (*) holds" in finding.message
    assert "install the Discomfort nodes" in (finding.hint or "")
    assert observed(plain_server.url)["runs"] == before


async def test_one_port_feeds_a_wildcard_and_a_number(plain_server: ManagedServer) -> None:
    adding = {**DESCRIBING, "2": node("Add", a=["in", 0], b=1), "sum": port("sum", ["2", 0])}
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        assert await discomfort.run([adding], inputs={"given": 5}) == {"seen": "int 5", "sum": 6}


@pytest.mark.parametrize("passes", [PASSES, ()], ids=["optimised", "as it is"])
async def test_L4_a_written_primitive_feeds_a_wildcard(plain_server: ManagedServer, passes: tuple[Pass, ...]) -> None:
    feeding = {
        "1": node("PrimitiveFloat", value=2.75),
        "2": node("Describe", value=["1", 0]),
        "out": port("seen", ["2", 0]),
    }
    async with await Discomfort.create(engine=plain_server.url) as discomfort:
        catalog = await run_awaiting(discomfort.engine.catalog())
        plan = compile([feeding], catalog=catalog, options=CompileOptions(passes=passes))
        with discomfort.Context() as context:
            assert await plan.arun(context, engine=discomfort.engine) == {"seen": "float 2.75"}


async def test_prompts_as_they_are_get_scalars_along_links_too(plain: ComfyUIEngine, context: WorkflowContext) -> None:
    prompt = {"l": loader(context, False, "*"), "seen": node("Describe", value=["l", 0])}
    assert await result_of(plain, request_for(context, prompt, seen=["seen", 0])) == "bool False"
    prompt = {"l": loader(context, 10**30, "*"), "seen": node("Describe", value=["l", 0])}
    with pytest.raises(PromptRejected, match=r"PrimitiveInt is 10+, above its maximum"):
        await plain.run(request_for(context, prompt, seen=["seen", 0]))
