"""What prompts cost a ComfyUI server by their size and shape, and what running a plan as several of them saves.

Needs a server: COMFYUI_PATH names a checkout and COMFYUI_PYTHON the interpreter that has its requirements. The first
test prints what `discomfort/compiler/partition/cost.py` was fitted to, the others compare one prompt with several in
one run.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest

from discomfort.compiler import CompileOptions
from discomfort.compiler.partition.cost import prompt_seconds
from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.passes import PASSES
from discomfort.context.context import WorkflowContext
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.graph import Link
from discomfort.plan import compile
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.protocol import SAVER_CLASS, PromptRequest
from tests.runtime.comfyui.chains import Workflow, inverted, node, port

CHECKOUT = os.environ.get("COMFYUI_PATH", "")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="needs a ComfyUI: COMFYUI_PATH and COMFYUI_PYTHON")

ONE_PROMPT = CompileOptions(passes=(*PASSES[:-1], Partition(for_speed=False)))
SHAPES = ((1, 10), (1, 25), (1, 50), (1, 100), (1, 200), (2, 50), (10, 10), (4, 50), (20, 10))
ROUNDS = 3
colors = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUIEngine]:
    base = tmp_path_factory.mktemp("comfyui")
    for folder in ("custom_nodes", "input", "output", "temp", "models", "user"):
        (base / folder).mkdir()
    database = f"sqlite:///{base / 'comfyui.db'}"
    arguments = ["--cpu", "--base-directory", str(base), "--database-url", database, "--disable-api-nodes"]
    engine = ComfyUIEngine.managed(CHECKOUT, os.environ.get("COMFYUI_PYTHON", sys.executable), arguments)
    seconds_of(engine, inverted(3))
    yield engine
    run_blocking(engine.close())


def seconds_of(engine: ComfyUIEngine, workflow: Workflow, options: CompileOptions | None = None) -> float:
    """Run a workflow in a new context and return how long that took, compiling left out."""
    plan = compile([workflow], catalog=run_blocking(engine.catalog()), options=options)
    with WorkflowContext(max_ram_gb=0.5) as context:
        start = perf_counter()
        plan.run(context, engine=engine)
        return perf_counter() - start


def seconds_of_one_prompt(engine: ComfyUIEngine, workflow: Workflow) -> float:
    """Run a workflow as one prompt, however deep it is, past everything that would refuse or divide it."""
    plan = compile([workflow], catalog=run_blocking(engine.catalog()))
    source = plan.outputs["image"].source
    assert isinstance(source, Link)
    saver = node(SAVER_CLASS, value=[source.node, source.slot], name="image")
    with WorkflowContext(max_ram_gb=0.5) as context:
        request = PromptRequest({**emit_prompt(plan.graph), "save": saver}, {"image": "save"}, context)
        start = perf_counter()
        run_blocking(engine.run(request))
        return perf_counter() - start


def lanes(count: int, length: int) -> Workflow:
    """Return chains next to each other that are joined at their ends."""
    nodes: Workflow = {}
    last: list[Any] = []
    for lane in range(count):
        for key, body in inverted(length - 1, color=next(colors)).items():
            if key == "out":
                continue
            inputs = {
                name: [f"{lane}.{value[0]}", 0] if isinstance(value, list) else value
                for name, value in body["inputs"].items()
            }
            nodes[f"{lane}.{key}"] = node(body["class_type"], **inputs)
        end = [f"{lane}.{length - 1}", 0]
        if last:
            nodes[f"join.{lane}"] = node("ImageBatch", image1=last, image2=end)
            end = [f"join.{lane}", 0]
        last = end
    return {**nodes, "out": port("image", last)}


def test_prompt_cost_by_size_and_depth(server: ComfyUIEngine, benchmark: Any) -> None:
    benchmark.group = "the model next to the server"
    print(f"\n{'lanes':>6} {'length':>6} {'measured s':>11} {'predicted s':>11} {'ratio':>6}")
    for count, length in SHAPES:
        measured = min(seconds_of_one_prompt(server, lanes(count, length)) for _ in range(ROUNDS))
        size = count * length + count - 1
        predicted = prompt_seconds(size, length + count)
        print(f"{count:>6} {length:>6} {measured:>11.4f} {predicted:>11.4f} {measured / predicted:>6.2f}")
    benchmark.pedantic(seconds_of, (server, inverted(1, color=next(colors)), ONE_PROMPT), rounds=1)


@pytest.mark.parametrize("size", [64, 1024])
def test_a_value_that_crosses(server: ComfyUIEngine, benchmark: Any, size: int) -> None:
    """Two prompts of one node each, against one prompt of both: the difference is a prompt and a crossing."""
    benchmark.group = f"an image of {size} x {size} that crosses"
    apart = CompileOptions(passes=(*PASSES[:-1], Partition(depth=3, for_speed=False)))
    pairs = []
    for _ in range(5):
        times = [
            seconds_of(server, inverted(2, color=next(colors), size=size), options) for options in (ONE_PROMPT, apart)
        ]
        pairs.append(times)
    one, several = (min(times) for times in zip(*pairs, strict=True))
    benchmark.extra_info["seconds a prompt and a crossing"] = several - one
    print(f"\n{size} x {size}: {several - one:.4f} s for a prompt and a crossing")
    benchmark.pedantic(seconds_of, (server, inverted(1, color=next(colors), size=size), ONE_PROMPT), rounds=1)


@pytest.mark.parametrize("length", [100, 200, 400])
def test_a_chain_as_one_prompt_and_as_several(server: ComfyUIEngine, benchmark: Any, length: int) -> None:
    benchmark.group = f"a chain of {length}"
    one, several = [], []
    for _ in range(ROUNDS):
        one.append(seconds_of_one_prompt(server, inverted(length, color=next(colors))))
        several.append(seconds_of(server, inverted(length, color=next(colors))))
    ratio = min(one) / min(several)
    benchmark.extra_info["one prompt / several"] = ratio
    print(f"\nchain of {length}: {min(one):.3f} s as one prompt, {min(several):.3f} s as several, {ratio:.1f} times")
    benchmark.pedantic(seconds_of, (server, inverted(length, color=next(colors))), rounds=1)
