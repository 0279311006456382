"""Laws about programs that run as several prompts: cut at values, values converted on their way, lists that cross."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from discomfort.compiler import CompileOptions
from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.partition.steps import prompt_depths, prompt_nodes, step_roots
from discomfort.compiler.passes import PASSES, run_passes
from discomfort.context.context import WorkflowContext
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph
from discomfort.plan import Plan, compile
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine

from .partitioned import CLASSES, FLOATS, NUMBERS, Log, SplittingEngine, Workflow, workflows

programs = st.lists(workflows(), min_size=1, max_size=3)
closed_programs = st.lists(workflows(tuple(set(CLASSES) - {"Roll", "Record"})), min_size=1, max_size=3)
depths = st.integers(3, 8)


@lru_cache(maxsize=1)
def engines() -> tuple[EmbeddedEngine, SplittingEngine]:
    made = EmbeddedEngine(), SplittingEngine()
    for engine in made:
        engine.register(CLASSES)
    return made


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return asyncio.run(engines()[0].catalog())


def split(depth: int) -> CompileOptions:
    """The usual passes, with prompts of at most `depth` nodes in a row."""
    return CompileOptions(passes=(*PASSES[:-1], Partition(depth)))


def start(context: WorkflowContext) -> None:
    for number, name in enumerate(NUMBERS):
        context.save(name, 10 + number)
    for name in FLOATS:
        context.save(name, 0.25)


def result_of(plans: list[Plan], engine: EmbeddedEngine) -> tuple[dict[str, Any], list[str]]:
    """Run plans one after another in a new context; return what it holds then, and what ran that must run once."""
    Log.lines.clear()
    with WorkflowContext(max_ram_gb=0.01) as context:
        start(context)
        for plan in plans:
            plan.run(context, engine=engine)
        return {name: context.load(name) for name in (*NUMBERS, *FLOATS)}, list(Log.lines)


@given(programs, depths)
def test_L4_several_prompts_give_what_one_gives(program: list[Workflow], depth: int) -> None:
    one, several = engines()
    whole, ran = result_of([compile(program, catalog=catalog())], one)
    parts, ran_in_parts = result_of([compile(program, catalog=catalog(), options=split(depth))], several)
    assert parts == whole
    assert sorted(ran_in_parts) == sorted(ran)  # what must not run twice does not


@given(programs, depths)
def test_L2_stitched_equals_one_after_another_with_lists_and_conversions(program: list[Workflow], depth: int) -> None:
    plans = [compile([workflow], catalog=catalog()) for workflow in program]
    apart, _ = result_of(plans, engines()[0])
    assert result_of([compile(program, catalog=catalog())], engines()[0])[0] == apart
    assert result_of([compile(program, catalog=catalog(), options=split(depth))], engines()[1])[0] == apart


@given(closed_programs, depths)
def test_R2_a_run_with_nothing_new_submits_nothing(program: list[Workflow], depth: int) -> None:
    plan = compile(program, catalog=catalog(), options=split(depth), outputs=None)
    with WorkflowContext(max_ram_gb=0.01) as context:
        start(context)
        plan.run(context, engine=engines()[1])
        start(context)
        prompts: list[int] = []

        class Counting(SplittingEngine):
            async def run(self, request: Any, listener: Any = None) -> Any:
                prompts.append(len(request.prompt))
                return await super().run(request, listener)

        counting = Counting()
        counting.register(CLASSES)
        plan.run(context, engine=counting)
        assert prompts == []


@given(programs, depths)
def test_L4_steps_are_whole_and_cross_at_values_only(program: list[Workflow], depth: int) -> None:
    graph = compile(program, catalog=catalog(), options=split(depth)).graph
    written: set[Any] = set()
    assert sorted(node for step in graph.steps for node in step.nodes) == sorted(graph.nodes)
    for step, roots in zip(graph.steps, step_roots(graph), strict=True):
        assert set(step.reads) <= written
        assert set(step.reads) <= set(graph.cuts)
        written.update(step.writes)
        kept = prompt_nodes(graph, roots, set(step.reads))
        assert set(kept) <= {node for earlier in graph.steps for node in earlier.nodes}
        for node_id in kept:
            for name, link in graph.nodes[node_id].links():
                assert (node_id, name) not in graph.conversions or link in step.reads


@given(st.lists(workflows(("Sum", "Scale", "Spread", "Total")), min_size=1, max_size=3), depths)
def test_prompts_of_values_keep_to_their_depth(program: list[Workflow], depth: int) -> None:
    graph = compile(program, catalog=catalog(), options=split(depth)).graph
    for step, roots in zip(graph.steps, step_roots(graph), strict=True):
        loaded = set(step.reads)
        kept = prompt_nodes(graph, roots, loaded)
        assert max(prompt_depths(graph.nodes, graph.nodes, kept, loaded).values(), default=0) < depth


@given(programs, depths)
def test_L4_cut_and_partition_twice_change_nothing_and_survive_json(program: list[Workflow], depth: int) -> None:
    options = split(depth)
    plan = compile(program, catalog=catalog(), options=options)
    again = run_passes(plan.graph, EffectTable(catalog()), options.passes)
    assert again == plan.graph
    assert Plan.from_json(plan.to_json()).graph == plan.graph
    assert plan.diff(Plan.from_json(plan.to_json())) == ""


@settings(max_examples=5)
@given(st.integers(1, 4), st.integers(300, 900))
def test_L5_steps_of_a_long_chain_hold_each_node_once(width: int, length: int) -> None:
    chain: Workflow = {}
    for number in range(length * width):
        source = [str(number - width), 0] if number >= width else number
        chain[str(number)] = {"class_type": "Sum", "inputs": {"a": source, "b": 1}}
    for lane in range(width):
        inputs = {"unique_id": f"x{lane}", "tags": "", "input": [str(length * width - width + lane), 0]}
        chain[f"p{lane}"] = {"class_type": "DiscomfortPort", "inputs": inputs}
    graph: Graph = compile([chain], catalog=catalog()).graph
    assert len(graph.steps) > 1
    assert sum(len(step.nodes) for step in graph.steps) == length * width
    assert sum(len(step.reads) for step in graph.steps) == len(graph.steps) - width
