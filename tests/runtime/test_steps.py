"""Runs of several prompts on the embedded engine: what crosses, what waits, what is cut, and what cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import discomfort
from discomfort.compiler import CompileOptions
from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.passes import PASSES
from discomfort.context.context import WorkflowContext
from discomfort.ir.diagnostics import Place
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.for_node_authors.blocker import ExecutionBlocker
from discomfort.runtime.engines.protocol import EngineError, Listener, PromptRequest, PromptResult, Splitting

from . import programs
from .embedded.lab import ANYTHING, NUMBER, node_class
from .programs import Calls, reads, workflow, writes

LISTED = workflow(n1=("Many", {"count": 3}), n2=writes("numbers", ["1", 0]))
EACH = workflow(n1=reads("numbers"), n2=("Add", {"a": ["1", 0], "b": 10}), n3=writes("sums", ["2", 0]))
PAINT_EACH = workflow(n1=reads("numbers"), n2=("Paint", {"level": ["1", 0], "size": 2}), n3=writes("images", ["2", 0]))


class SplittingEngine(EmbeddedEngine):
    """The embedded engine with a server's wish for several prompts; counts the nodes of each."""

    splitting = Splitting.FOR_SPEED

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def run(self, request: PromptRequest, listener: Listener | None = None) -> PromptResult:
        self.sizes.append(len(request.prompt))
        return await super().run(request, listener)


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.05) as made:
        yield made


@pytest.fixture
def engine() -> SplittingEngine:
    made = SplittingEngine()
    many = node_class(
        lambda count: (list(range(count)),),
        {"count": NUMBER},
        returns=("INT",),
        OUTPUT_IS_LIST=(True,),
        DISCOMFORT_EFFECT="pure",
    )
    gate = node_class(
        lambda value, open: (value if open else ExecutionBlocker(),),
        {"value": ("STRING", {}), "open": ("BOOLEAN", {})},
        returns=("STRING",),
        DISCOMFORT_EFFECT="pure",
    )
    echo = node_class(lambda value: (value,), {"value": ("STRING", {})}, returns=("STRING",), DISCOMFORT_EFFECT="pure")
    keep = node_class(lambda value: (value,), {"value": ANYTHING}, returns=("MODEL",), DISCOMFORT_EFFECT="pure")
    made.register({**programs.CLASSES, "Many": many, "Gate": gate, "Echo": echo, "Keep": keep})
    Calls.made.clear()
    return made


def compiled(engine: EmbeddedEngine, *workflows: dict[str, Any], depth: int = 3) -> discomfort.Plan:
    options = CompileOptions(passes=(*PASSES[:-1], Partition(depth, for_speed=False)))
    return discomfort.compile(workflows, catalog=asyncio.run(engine.catalog()), options=options)


def chain(length: int) -> dict[str, Any]:
    nodes: dict[str, Any] = {"n0": ("Add", {"a": 0, "b": 1})}
    nodes |= {f"n{number}": ("Add", {"a": [str(number - 1), 0], "b": 1}) for number in range(1, length)}
    return workflow(**nodes, out=writes("sum", [str(length - 1), 0]))


def test_values_cross_as_literals_where_that_is_the_same(engine: SplittingEngine, context: WorkflowContext) -> None:
    plan = compiled(engine, chain(6))
    assert plan.run(context, engine=engine) == {"sum": 6}
    assert len(engine.sizes) == len(plan.steps) > 2
    assert max(engine.sizes) <= 3  # a saver, and no loader: whole numbers are written into the prompt


def test_R2_what_is_remembered_is_not_asked_of_earlier_prompts(
    engine: SplittingEngine, context: WorkflowContext
) -> None:
    compiled(engine, chain(6)).run(context, engine=engine)
    done = len(engine.sizes)
    longer = compiled(engine, chain(8))
    assert longer.run(context, engine=engine) == {"sum": 8}
    assert len(engine.sizes) - done <= 2
    assert Calls.made.count("Add") == 8


def test_a_list_output_stays_a_list_behind_a_port(engine: SplittingEngine, context: WorkflowContext) -> None:
    for each in (LISTED, EACH):
        compiled(engine, each).run(context, engine=engine)
    assert context.load("sums") == [10, 11, 12]
    assert type(context.load("numbers")) is discomfort.ValueList
    with WorkflowContext(max_ram_gb=0.05) as fresh:
        assert compiled(engine, LISTED, EACH).run(fresh, engine=engine)["sums"] == [10, 11, 12]


def test_a_list_of_values_from_python_is_mapped_and_checked(engine: SplittingEngine, context: WorkflowContext) -> None:
    plan = compiled(engine, EACH)
    results = plan.run(context, inputs={"numbers": discomfort.ValueList([1, 2])}, engine=engine)
    assert results["sums"] == [11, 12]
    with pytest.raises(BindError, match="at most 1000"):
        plan.run(context, inputs={"numbers": discomfort.ValueList([1, 5000])}, engine=engine)


def test_a_list_of_whole_numbers_reaches_a_float_converted(engine: SplittingEngine, context: WorkflowContext) -> None:
    stitched = compiled(engine, LISTED, PAINT_EACH).run(context, engine=engine)["images"]
    assert [float(image.max()) for image in stitched] == [0.0, 1.0, 2.0]
    assert all(image.dtype == torch.float32 for image in stitched)


def test_conversion_on_every_engine(context: WorkflowContext) -> None:
    plain = programs.engine()
    counts = workflow(n1=("Add", {"a": 1, "b": 0}), n2=writes("level", ["1", 0]))
    paints = workflow(n1=reads("level"), n2=("Paint", {"level": ["1", 0], "size": 2}), n3=writes("image", ["2", 0]))
    plan = discomfort.compile([counts, paints], catalog=asyncio.run(plain.catalog()))
    assert plan.graph.conversions == (("workflow#2/2", "level"),)
    assert torch.equal(plan.run(context, engine=plain)["image"], torch.ones(1, 2, 2, 3))


def test_a_ref_with_a_conversion_inside_is_rebuilt_and_loaded(
    engine: SplittingEngine, context: WorkflowContext
) -> None:
    counts = workflow(n1=("Add", {"a": 1, "b": 0}), n2=writes("level", ["1", 0]))
    keeps = workflow(
        n1=reads("level"),
        n2=("Paint", {"level": ["1", 0], "size": 2}),
        n3=("Keep", {"value": ["2", 0]}),
        n4=writes("kept", ["3", 0]),
    )
    plan = discomfort.compile([counts, keeps], catalog=asyncio.run(engine.catalog()))
    plan.run(context, engine=engine)
    assert torch.equal(context.load("kept"), torch.ones(1, 2, 2, 3))


def test_effects_come_in_their_sequence(engine: SplittingEngine, context: WorkflowContext) -> None:
    posts = workflow(
        n1=("Stroke", {"brush": ["8", 0], "word": "long"}),
        n2=("Echo", {"value": ["1", 0]}),
        n3=("Echo", {"value": ["2", 0]}),
        n4=("Echo", {"value": ["3", 0]}),
        n5=("Post", {"text": ["4", 0]}),
        n6=("Stroke", {"brush": ["8", 0], "word": "short"}),
        n7=("Post", {"text": ["6", 0]}),
        n8=("LoadBrush", {"name": "fine"}),
    )
    plan = compiled(engine, posts, depth=4)
    assert len(plan.steps) > 1
    seen: list[str] = []

    def note(text: str) -> tuple[()]:
        seen.append(text)
        return ()

    post = node_class(note, {"text": ("STRING", {})}, returns=(), OUTPUT_NODE=True)
    engine.register({"Post": post})
    plan.run(context, engine=engine)
    assert seen == ["long with a fine brush", "short with a fine brush"]


@pytest.mark.parametrize("opened", [True, False])
def test_a_blocker_stops_what_lies_in_later_prompts(
    engine: SplittingEngine, context: WorkflowContext, opened: bool
) -> None:
    gated = workflow(
        n1=("Gate", {"value": "a", "open": opened}),
        n2=("Echo", {"value": ["1", 0]}),
        n3=("Echo", {"value": ["2", 0]}),
        n4=("Post", {"text": ["3", 0]}),
    )
    plan = compiled(engine, gated)
    assert len(plan.steps) > 1
    plan.run(context, engine=engine)
    assert Calls.made == ["Post"] * opened


def test_a_result_that_a_blocker_stopped_is_reported(engine: SplittingEngine, context: WorkflowContext) -> None:
    gated = workflow(
        n1=("Gate", {"value": "a", "open": False}),
        n2=("Echo", {"value": ["1", 0]}),
        n3=("Echo", {"value": ["2", 0]}),
        n4=writes("text", ["3", 0]),
    )
    with pytest.raises(EngineError, match="ExecutionBlocker"):
        compiled(engine, gated).run(context, engine=engine)


def test_models_in_a_long_row_are_refused_before_anything_runs(context: WorkflowContext) -> None:
    engine = SplittingEngine()
    grow = node_class(lambda m: (m,), {"m": ("MODEL",)}, returns=("MODEL",), DISCOMFORT_EFFECT="pure")
    engine.register({**programs.CLASSES, "Grow": grow})
    nodes: dict[str, Any] = {"n0": ("LoadBrush", {"name": "fine"})}
    nodes |= {f"n{number}": ("Grow", {"m": [str(number - 1), 0]}) for number in range(1, 300)}
    deep = workflow(**nodes, use=("Stroke", {"brush": ["299", 0], "word": "a"}), out=writes("text", ["use", 0]))
    plan = discomfort.compile([deep], catalog=asyncio.run(engine.catalog()))
    assert [finding.code for finding in plan.diagnostics] == ["DF402"]
    with pytest.raises(BindError, match=r"302 nodes in a row.*ComfyUI handles at most 256") as caught:
        plan.run(context, engine=engine)
    assert caught.value.diagnostics[0].where == Place("workflow", None, "use", "my Stroke")
    assert engine.sizes == []
    whole = EmbeddedEngine()
    whole.register({**programs.CLASSES, "Grow": grow})
    assert plan.run(context, engine=whole) == {"text": "a with a fine brush"}


def test_the_depth_of_recipes_counts_when_a_plan_is_bound(engine: SplittingEngine, context: WorkflowContext) -> None:
    grow = node_class(lambda m: (m,), {"m": ("MODEL",)}, returns=("MODEL",), DISCOMFORT_EFFECT="pure")
    engine.register({"Grow": grow})
    nodes: dict[str, Any] = {"n0": ("LoadBrush", {"name": "fine"})}
    nodes |= {f"n{number}": ("Grow", {"m": [str(number - 1), 0]}) for number in range(1, 150)}
    catalog = asyncio.run(engine.catalog())
    discomfort.compile([workflow(**nodes, out=writes("brush", ["149", 0]))], catalog=catalog).run(
        context, engine=engine
    )
    echoes = {f"e{number}": ("Echo", {"value": [f"e{number - 1}", 0]}) for number in range(1, 150)}
    first = ("Stroke", {"brush": ["port", 0], "word": "a"})
    uses = workflow(port=reads("brush"), e0=first, **echoes, out=writes("text", ["e149", 0]))
    options = CompileOptions(passes=(*PASSES[:-1], Partition(for_speed=False)))
    plan = discomfort.compile([uses], catalog=catalog, options=options)
    assert len(plan.steps) == 1
    engine.sizes.clear()
    assert plan.run(context, engine=engine) == {"text": "a with a fine brush"}
    assert len(engine.sizes) > 1
