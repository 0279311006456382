"""Runs side by side on one context, on every engine: each gives its own results, and none leaves anything held."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.protocol import NodeFailed
from discomfort.runtime.running.progress import ProgressUpdate
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.programs import reads, workflow, writes

INVERTER = workflow(n1=reads("image"), n2=("ImageInvert", {"image": ["1", 0]}), n3=writes("negative", ["2", 0]))
ADDER = workflow(n1=reads("x"), n2=("BehaviourAdd", {"a": ["1", 0], "b": 10}), n3=writes("sum", ["2", 0]))
COUNTER = workflow(n1=reads("count"), n2=("BehaviourAdd", {"a": ["1", 0], "b": 1}), n3=writes("count", ["2", 0]))
STEPPER = workflow(
    n1=reads("steps"), n2=("BehaviourSteps", {"value": 7, "count": ["1", 0]}), n3=writes("done", ["2", 0])
)
LOADER = workflow(n1=reads("name"), n2=("BehaviourLoad", {"name": ["1", 0]}), n3=writes("model", ["2", 0]))
USER = workflow(
    n1=reads("model"),
    n2=reads("word"),
    n3=("BehaviourUse", {"model": ["1", 0], "word": ["2", 0]}),
    n4=writes("text", ["3", 0]),
)


def picture(number: int) -> torch.Tensor:
    return torch.full((1, 32, 32, 3), number / 128)


def held(context: WorkflowContext) -> int:
    return int(context.get_usage()["held_values_count"])


def test_runs_gathered_on_one_context_give_their_own_results(rig: Rig, context: WorkflowContext) -> None:
    plan = rig.compile(ADDER, INVERTER)

    async def gathered() -> list[dict[str, Any]]:
        runs = (plan.arun(context, inputs={"x": i, "image": picture(i)}, engine=rig.engine) for i in range(8))
        return list(await asyncio.gather(*runs))

    for number, results in enumerate(asyncio.run(gathered())):
        assert results["sum"] == number + 10
        assert torch.equal(results["negative"], 1 - picture(number))
    assert context.load("sum") == context.load("x") + 10
    assert torch.equal(context.load("negative"), 1 - context.load("image"))
    assert held(context) == 0


def test_runs_of_threads_on_one_context_give_their_own_results(rig: Rig, context: WorkflowContext) -> None:
    plan, counter = rig.compile(ADDER, INVERTER), rig.compile(COUNTER)

    def work(thread: int) -> list[bool]:
        right = []
        for number in range(10 * thread, 10 * thread + 4):
            results = plan.run(context, inputs={"x": number, "image": picture(number)}, engine=rig.engine)
            right.append(results["sum"] == number + 10 and torch.equal(results["negative"], 1 - picture(number)))
        counted = counter.run(context, inputs={"count": 100 * thread}, iterations=3, engine=rig.engine)
        return [*right, counted == {"count": 100 * thread + 3}]

    with ThreadPoolExecutor(8) as pool:
        assert [all(right) for right in pool.map(work, range(8))] == [True] * 8
    assert held(context) == 0


def test_references_are_those_of_the_moment_a_run_began(rig: Rig, context: WorkflowContext) -> None:
    load, use = rig.compile(LOADER), rig.compile(USER)
    load.run(context, inputs={"name": "first"}, engine=rig.engine)

    async def together() -> list[Any]:
        runs = [use.arun(context, inputs={"word": word}, engine=rig.engine) for word in "abc"]
        return list(await asyncio.gather(*runs, load.arun(context, inputs={"name": "second"}, engine=rig.engine)))

    *texts, _ = asyncio.run(together())
    assert texts == [{"text": f"{word} by first"} for word in "abc"]
    assert use.run(context, inputs={"word": "d"}, engine=rig.engine) == {"text": "d by second"}
    assert held(context) == 0


def test_a_failed_run_leaves_nothing(rig: Rig, context: WorkflowContext) -> None:
    """Though what another output of it computed was stored before."""
    rig.compile(LOADER).run(context, inputs={"name": "m"}, engine=rig.engine)
    plan = rig.compile(INVERTER, USER)
    for _ in range(3):
        with pytest.raises(NodeFailed):
            plan.run(context, inputs={"image": picture(1), "word": "break"}, engine=rig.engine)
    assert context.list_keys() == ["name", "model"]
    assert held(context) == 0


def test_a_cancelled_run_leaves_nothing(rig: Rig, context: WorkflowContext) -> None:
    plan = rig.compile(INVERTER, STEPPER)

    async def cancelled() -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch(update: ProgressUpdate) -> None:
            if update.fraction:
                loop.call_soon_threadsafe(started.set)

        inputs = {"image": picture(1), "steps": 1000}
        running = asyncio.ensure_future(plan.arun(context, inputs=inputs, engine=rig.engine, on_progress=watch))
        await asyncio.wait_for(started.wait(), 60)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    for _ in range(2):
        asyncio.run(cancelled())
    assert context.list_keys() == []
    assert held(context) == 0
