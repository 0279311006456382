"""Interrupted at any moment, a prompt leaves no value held in the context, whoever stored it and however late."""

from __future__ import annotations

import asyncio
import random

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.protocol import PromptRequest
from tests.runtime.comfyui.helpers import PATIENCE, node, queue_of, request_for, wait_until


def pictures(context: WorkflowContext, color: int) -> PromptRequest:
    size = {"width": 64, "height": 64, "batch_size": 4}
    prompt = {"image": node("EmptyImage", color=color, **size), "inverted": node("ImageInvert", image=["image", 0])}
    return request_for(context, prompt, image=["image", 0], inverted=["inverted", 0])


async def run_or_cancel(engine: ComfyUIEngine, context: WorkflowContext, color: int, seconds: float) -> bool:
    """Run a prompt, and cancel it after so many seconds; return whether it came to its end before."""
    running = asyncio.create_task(engine.run(pictures(context, color)))
    await asyncio.wait({running}, timeout=seconds)
    running.cancel()
    (outcome,) = await asyncio.gather(running, return_exceptions=True)
    if isinstance(outcome, asyncio.CancelledError):
        return False
    assert not isinstance(outcome, BaseException), outcome
    assert context.get_usage()["held_values_count"] == 2
    for delivered in outcome.outputs.values():
        assert delivered.digest is not None
        context.values.release(delivered.digest)
    return True


@pytest.mark.parametrize("near", [True, False], ids=["shared memory", "HTTP"])
@pytest.mark.timeout(120)
async def test_nothing_is_held_after_interruptions_at_random_moments(
    server: ManagedServer, context: WorkflowContext, near: bool
) -> None:
    engine = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE, share_memory=near)
    moments = random.Random(1)
    assert await run_or_cancel(engine, context, 0, 30.0)
    for color in range(1, 30):
        await run_or_cancel(engine, context, color, moments.random() * 0.1)
    await wait_until(lambda: queue_of(server.url) == ([], []), 30)
    assert await run_or_cancel(engine, context, 0, 30.0)  # after which the server has done with what came before
    assert context.get_usage()["held_values_count"] == 0
    assert len(context.store.read().blobs) == 0
    await engine.close()
