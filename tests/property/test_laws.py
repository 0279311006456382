"""Laws of the compiler on random programs, run on the embedded engine where a result is requested."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import lru_cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler import CompileOptions
from discomfort.context.context import WorkflowContext
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.walk import ancestors, topological_order
from discomfort.plan import Plan, compile
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine

NAMES = ("a", "b", "c")
Workflow = dict[str, Any]


class Sum:
    RETURN_TYPES = ("INT", "INT")
    FUNCTION = "run"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"a": ("INT", {}), "b": ("INT", {})}}

    def run(self, a: int, b: int) -> tuple[int, int]:
        return (a + 3 * b) % 1009, (a * b + 1) % 1009


@lru_cache(maxsize=1)
def engine() -> EmbeddedEngine:
    made = EmbeddedEngine()
    made.register({"Sum": Sum})
    return made


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return asyncio.run(engine().catalog())


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """A workflow of sums over literals, INPUT ports and earlier sums, some of them written to OUTPUT ports."""
    nodes: Workflow = {}
    values: list[Any] = [0, 7]
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2)):
        key = str(len(nodes) + 1)
        nodes[key] = {"class_type": "DiscomfortPort", "inputs": {"unique_id": name, "tags": ""}}
        values.append([key, 0])
    for _ in range(draw(st.integers(1, 8))):
        key = str(len(nodes) + 1)
        a, b = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        nodes[key] = {"class_type": "Sum", "inputs": {"a": a, "b": b}}
        values += [[key, 0], [key, 1]]
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=2)):
        source = draw(st.sampled_from([value for value in values if isinstance(value, list)]))
        inputs = {"unique_id": name, "tags": "", "input": source}
        nodes[str(len(nodes) + 1)] = {"class_type": "DiscomfortPort", "inputs": inputs}
    return nodes


programs = st.lists(workflows(), min_size=1, max_size=3)


def start(context: WorkflowContext) -> None:
    for number, name in enumerate(NAMES):
        context.save(name, 10 + number)


@given(programs)
def test_L2_stitched_equals_one_after_another(program: list[Workflow]) -> None:
    with WorkflowContext(max_ram_gb=0.01) as together, WorkflowContext(max_ram_gb=0.01) as apart:
        start(together)
        start(apart)
        compile(program, catalog=catalog()).run(together, engine=engine())
        for workflow in program:
            compile([workflow], catalog=catalog()).run(apart, engine=engine())
        assert {name: together.load(name) for name in NAMES} == {name: apart.load(name) for name in NAMES}


@given(programs)
def test_L4_optimised_equals_naive(program: list[Workflow]) -> None:
    results = []
    for options in (CompileOptions(), CompileOptions(passes=())):
        with WorkflowContext(max_ram_gb=0.01) as context:
            start(context)
            plan = compile(program, catalog=catalog(), options=options)
            results.append(plan.run(context, engine=engine()))
    assert results[0] == results[1]


@given(programs)
def test_L5_minimal_no_node_without_an_output_behind_it(program: list[Workflow]) -> None:
    graph = compile(program, catalog=catalog()).graph
    assert ancestors(graph, graph.roots()) == set(graph.nodes)


@given(programs)
def test_L4_after_all_passes_links_resolve_and_producers_come_first(program: list[Workflow]) -> None:
    graph = compile(program, catalog=catalog()).graph
    assert [*graph.nodes] == topological_order(graph)
    assert all(link.node in graph.nodes for node in graph.nodes.values() for _, link in node.links())


@given(programs)
def test_plans_survive_json(program: list[Workflow]) -> None:
    plan = compile(program, catalog=catalog())
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert plan.diff(again) == ""


DETERMINISM = """
import json, sys
from discomfort.plan import compile
files = sys.argv[1:]
print(json.dumps(compile(files).to_json()))
"""


def test_L6_deterministic_under_three_hash_seeds() -> None:
    files = [f"examples/quickstart/{name}.json" for name in ("load_vae", "main_workflow")]
    printed = {
        subprocess.run(
            [sys.executable, "-c", DETERMINISM, *files],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1


def test_L7_a_deep_chain_compiles() -> None:
    chain: Workflow = {"1": {"class_type": "Sum", "inputs": {"a": 1, "b": 2}}}
    for number in range(2, 20_001):
        chain[str(number)] = {"class_type": "Sum", "inputs": {"a": [str(number - 1), 0], "b": 1}}
    inputs = {"unique_id": "a", "tags": "", "input": ["20000", 0]}
    chain["20001"] = {"class_type": "DiscomfortPort", "inputs": inputs}
    assert len(compile([chain], catalog=catalog()).graph.nodes) == 20_000
