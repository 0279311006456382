"""Law R11 on every engine: a thousand runs hold no more than ten, here and in the server.

By default 60 runs a case; `-m slow -s` makes 3,000, or as many as DISCOMFORT_TEST_RUNS says, and prints what is held
before and after. With `--comfyui PATH` they are on a real ComfyUI.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.embedded.prompt_nodes.cache import MAX_ENTRIES
from discomfort.runtime.engines.protocol import NodeFailed
from tests.footprint import Footprint, assert_flat, footprint, no_collector, values_in_cycles
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.programs import reads, workflow, writes

RUNS = 60
MANY_RUNS = int(os.environ.get("DISCOMFORT_TEST_RUNS", "3000"))
WARM = 30
FULL = WARM + MAX_ENTRIES
"""After so many runs the cache of results is full, which an engine in this Python keeps."""
FULL_SERVER = WARM + 10_000
"""After so many a ComfyUI server's history is full; a prompt takes some kilobytes of it."""

INVERTER = workflow(n1=reads("image"), n2=("ImageInvert", {"image": ["1", 0]}), n3=writes("negative", ["2", 0]))
TURNER = workflow(n1=reads("image"), n2=("ImageInvert", {"image": ["1", 0]}), n3=writes("image", ["2", 0]))
PASSER = workflow(n1=reads("given"), n2=("BehaviourPass", {"value": ["1", 0]}), n3=writes("got", ["2", 0]))
LOADER = workflow(n1=reads("name"), n2=("BehaviourLoad", {"name": ["1", 0]}), n3=writes("model", ["2", 0]))
USER = workflow(
    n1=reads("model"),
    n2=reads("word"),
    n3=("BehaviourUse", {"model": ["1", 0], "word": ["2", 0]}),
    n4=writes("text", ["3", 0]),
)
STEPPER = workflow(
    n1=reads("steps"), n2=("BehaviourSteps", {"value": 7, "count": ["1", 0]}), n3=writes("done", ["2", 0])
)

Once: TypeAlias = Callable[[int], object]
SCENARIOS: dict[str, Callable[[Rig, WorkflowContext], Once]] = {}


def scenario(make: Callable[[Rig, WorkflowContext], Once]) -> Callable[[Rig, WorkflowContext], Once]:
    """Register what happens in one run, made once for all runs."""
    SCENARIOS[make.__name__] = make
    return make


def picture(number: int) -> torch.Tensor:
    """Return a picture of 48 KiB, another one for each number."""
    return torch.full((1, 64, 64, 3), number / 100_000)


@scenario
def values(rig: Rig, context: WorkflowContext) -> Once:
    plan = rig.compile(INVERTER, PASSER)

    def once(number: int) -> None:
        given: dict[str, Any] = {"samples": picture(number + 50_000), "more": [1, 2.5, "text"]}
        results = plan.run(context, inputs={"image": picture(number), "given": given}, engine=rig.engine)
        assert torch.equal(results["negative"], 1 - picture(number))
        assert torch.equal(results["got"]["samples"], given["samples"])

    return once


@scenario
def iterations(rig: Rig, context: WorkflowContext) -> Once:
    plan = rig.compile(TURNER)
    return lambda number: plan.run(context, inputs={"image": picture(number)}, iterations=2, engine=rig.engine)


@scenario
def nodes_that_fail(rig: Rig, context: WorkflowContext) -> Once:
    rig.compile(LOADER).run(context, inputs={"name": "m"}, engine=rig.engine)
    plan = rig.compile(INVERTER, USER)

    def once(number: int) -> None:
        with pytest.raises(NodeFailed):
            plan.run(context, inputs={"image": picture(number), "word": "break"}, engine=rig.engine)

    return once


@scenario
def runs_that_are_cancelled(rig: Rig, context: WorkflowContext) -> Once:
    plan = rig.compile(INVERTER, STEPPER)

    async def cancelled(number: int) -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch(update: Any) -> None:
            if update.fraction:
                loop.call_soon_threadsafe(started.set)

        inputs = {"image": picture(number), "steps": 1000}
        running = asyncio.ensure_future(plan.arun(context, inputs=inputs, engine=rig.engine, on_progress=watch))
        await started.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    return lambda number: asyncio.run(cancelled(number))


@scenario
def sessions_with_contexts_of_their_own(rig: Rig, context: WorkflowContext) -> Once:
    async def once(number: int) -> None:
        session = discomfort.Discomfort(rig.engine)
        await session.run([INVERTER], inputs={"image": picture(number)})

    return lambda number: asyncio.run(once(number))


class Meter:
    """What this process and the server hold."""

    def __init__(self, rig: Rig, context: WorkflowContext, temporary: Path) -> None:
        self._server = rig.server.process_id if rig.server is not None else None
        self._places = [Path(context.handle()["ram"]), Path(context.handle()["disk"]), temporary]

    def read(self) -> tuple[Footprint, Footprint | None]:
        return footprint(self._places), None if self._server is None else footprint(process_id=self._server)


def run_many(rig: Rig, once: Once, numbers: range, context: WorkflowContext) -> None:
    for number in numbers:
        once(number)
        rig.results.clear()  # what the test itself keeps
        for key in context.memos.list_keys():  # what is remembered has a bound of its own
            context.memos.delete(key)


def assert_runs_leave_nothing(
    rig: Rig, context: WorkflowContext, temporary: Path, name: str, runs: int, warm: int = WARM
) -> None:
    once = SCENARIOS[name](rig, context)
    meter = Meter(rig, context, temporary)
    with no_collector():
        run_many(rig, once, range(warm), context)
        before, server_before = meter.read()
        run_many(rig, once, range(warm, warm + runs), context)
        after, server_after = meter.read()
    print(f"{rig.name}, {name}, after {warm} runs and {runs} more:\n  {before}\n  {after}")
    print(f"  server {server_before}\n  server {server_after}")
    assert_flat(before, after, runs)
    if server_before is not None and server_after is not None:
        assert_flat(server_before, server_after, runs, "in the server")
    assert context.get_usage()["held_values_count"] == 0


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "iterations"])
def test_R11_runs_leave_nothing(rig: Rig, context: WorkflowContext, temporary: Path, name: str) -> None:
    assert_runs_leave_nothing(rig, context, temporary, name, RUNS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["values", "nodes_that_fail"])
def test_R11_three_thousand_runs_leave_nothing(rig: Rig, context: WorkflowContext, temporary: Path, name: str) -> None:
    warm = FULL if rig.server is None else FULL_SERVER
    assert_runs_leave_nothing(rig, context, temporary, name, MANY_RUNS, warm)


@pytest.mark.parametrize("name", SCENARIOS)
def test_R11_no_cycle_holds_a_value(rig: Rig, context: WorkflowContext, name: str) -> None:
    once = SCENARIOS[name](rig, context)
    run_many(rig, once, range(3), context)
    assert values_in_cycles(lambda: run_many(rig, once, range(3, 8), context)) == []
