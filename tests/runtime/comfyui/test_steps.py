"""Plans of several prompts on the protocol double: values that cross, lists, conversions, effects, failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from discomfort.compiler import CompileOptions
from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.passes import PASSES
from discomfort.context.context import WorkflowContext
from discomfort.context.values.value_list import ValueList
from discomfort.plan import Plan, compile
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.protocol import Listener, NodeFailed, PromptRequest, PromptResult
from discomfort.runtime.running.progress import ProgressUpdate
from tests.runtime.comfyui.chains import count_prompts, expected, inverted, node, port
from tests.runtime.comfyui.helpers import PATIENCE

WRITES_A_WHOLE_NUMBER = {"1": node("Add", a=1, b=1), "out": port("factor", ["1", 0])}
READS_A_FLOAT = {
    "in": port("factor"),
    "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0x202020),
    "2": node("Level", image=["1", 0], factor=["in", 0]),
    "out": port("image", ["2", 0]),
}
WRITES_FRAMES = {
    "1": node("EmptyImage", width=8, height=8, batch_size=3, color=0x40),
    "2": node("Frames", images=["1", 0]),
    "out": port("frames", ["2", 0]),
}
MAPS_FRAMES = {"in": port("frames"), "1": node("ImageInvert", image=["in", 0]), "out": port("negatives", ["1", 0])}


@pytest.fixture
def engine(server: ManagedServer) -> Iterator[ComfyUIEngine]:
    made = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    yield made
    run_blocking(made.close())


@pytest.fixture
def distant_engine(server: ManagedServer) -> Iterator[ComfyUIEngine]:
    """An engine that shares no memory with its server."""
    made = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE, share_memory=False)
    yield made
    run_blocking(made.close())


def planned(engine: ComfyUIEngine, *workflows: dict[str, Any], **options: Any) -> Plan:
    return compile(workflows, catalog=run_blocking(engine.catalog()), **options)


def split(depth: int) -> CompileOptions:
    return CompileOptions(passes=(*PASSES[:-1], Partition(depth)))


def test_R4_a_long_chain_runs_as_several_prompts_and_nothing_twice(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    sizes = count_prompts(engine)
    updates: list[ProgressUpdate] = []
    plan = planned(engine, inverted(300, color=0x123456))
    results = plan.run(context, engine=engine, on_progress=updates.append)
    assert torch.equal(results["image"], expected(300, color=0x123456))
    assert len(sizes) == len(plan.steps) > 1
    assert updates[-1].done == updates[-1].total >= 301
    plan.run(context, engine=engine)
    assert len(sizes) == len(plan.steps)


def test_R4_prompts_that_need_nothing_of_each_other_are_queued_ahead(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    lanes = {f"{lane}.{key}": body for lane in range(3) for key, body in inverted(60, color=lane).items()}
    for name, body in lanes.items():
        lane = name.partition(".")[0]
        for key, value in body["inputs"].items():
            if isinstance(value, list):
                body["inputs"][key] = [f"{lane}.{value[0]}", 0]
        if name.endswith("out"):
            body["inputs"]["unique_id"] = f"image{lane}"
    waiting, most = 0, 0
    run = engine.run

    async def watching(request: PromptRequest, listener: Listener | None = None) -> PromptResult:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        try:
            return await run(request, listener)
        finally:
            waiting -= 1

    engine.run = watching  # type: ignore[method-assign]
    plan = planned(engine, lanes)
    results = plan.run(context, engine=engine)
    assert all(torch.equal(results[f"image{lane}"], expected(60, color=lane)) for lane in range(3))
    assert most >= 3


def test_a_stitched_whole_number_reaches_a_float_converted(engine: ComfyUIEngine, context: WorkflowContext) -> None:
    sizes = count_prompts(engine)
    plan = planned(engine, WRITES_A_WHOLE_NUMBER, READS_A_FLOAT)
    assert plan.graph.conversions == (("workflow#2/2", "factor"),)
    results = plan.run(context, engine=engine)
    assert torch.equal(results["image"], torch.full((1, 8, 8, 3), 0x20 / 255) * 2.0)
    assert len(sizes) == 2


def test_a_list_output_is_mapped_behind_a_port(engine: ComfyUIEngine, context: WorkflowContext) -> None:
    frames = torch.tensor([0, 0, 0x40 / 255]).expand(1, 8, 8, 3)
    for workflow in (WRITES_FRAMES, MAPS_FRAMES):
        planned(engine, workflow).run(context, engine=engine)
    apart = context.load("negatives")
    together = planned(engine, WRITES_FRAMES, MAPS_FRAMES).run(context, engine=engine)["negatives"]
    parts = planned(engine, WRITES_FRAMES, MAPS_FRAMES, options=split(3))
    assert len(parts.steps) > 1
    with WorkflowContext(max_ram_gb=0.05) as fresh:
        split_up = (parts.run(fresh, engine=engine))["negatives"]
        for negatives in (apart, together, split_up):
            assert type(negatives) is ValueList
            assert len(negatives) == 3
            assert all(torch.equal(one, 1.0 - frames) for one in negatives)


def test_R6_a_failure_in_a_later_prompt_is_named_and_what_finished_is_kept(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    failing = {
        "1": node("Add", a=1, b=1),
        "2": node("Add", a=["1", 0], b=1),
        "3": node("Misbehave", value=["2", 0], how="raise", unless=""),
        "out": port("number", ["3", 0]),
    }
    plan = planned(engine, failing, options=split(3))
    assert len(plan.steps) > 1
    with pytest.raises(NodeFailed, match=r"workflow, node 3 \(Misbehave\)"):
        plan.run(context, engine=engine)
    assert len(context.memos.list_keys()) >= 1
    assert "number" not in context.list_keys()


def test_a_server_that_shares_no_memory_gets_one_prompt_unless_it_is_too_deep(
    distant_engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    engine = distant_engine
    sizes = count_prompts(engine)
    plan = planned(engine, inverted(200))
    assert len(plan.steps) > 1
    plan.run(context, engine=engine)
    assert len(sizes) == 1
    deep = planned(engine, inverted(300, color=1))
    assert torch.equal((deep.run(context, engine=engine))["image"], expected(300, color=1))
    assert len(sizes) == 3
