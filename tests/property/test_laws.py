"""Laws of the compiler on random programs, run on the embedded engine where a result is requested."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler import CompileOptions
from discomfort.context.context import WorkflowContext
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.walk import ancestors, topological_order
from discomfort.plan import Plan, compile
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine

NAMES, FLAGS = ("a", "b", "c"), ("f",)
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


class Compare(Sum):
    RETURN_TYPES = ("BOOLEAN",)  # type: ignore[assignment]

    def run(self, a: int, b: int) -> tuple[bool]:  # type: ignore[override]
        return (a < b,)


class Pick:
    """A choice, a truth, and numbers within bounds, which literals may touch."""

    RETURN_TYPES = ("INT", "BOOLEAN")
    FUNCTION = "run"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        number = ("INT", {"min": -7, "max": 1008})
        choice = (["least", "most", "first"], {"default": "most"})
        return {"required": {"how": choice, "flag": ("BOOLEAN", {}), "a": number, "b": number}}

    def run(self, how: str, flag: bool, a: int, b: int) -> tuple[int, bool]:
        assert type(flag) is bool
        picked = {"least": min(a, b), "most": max(a, b), "first": a}[how]
        return (picked if flag else -picked) % 1009, not flag


class Nest:
    """Lists in lists, as a workflow may hold them: their shape and the types in them count."""

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"table": ("TABLE", {}), "a": ("INT", {})}}

    def run(self, table: Any, a: int) -> tuple[int]:
        return ((sum(map(ord, repr(table))) + a) % 1009,)


class Odd(Nest):
    """A class that says nothing of itself; it happens to give the same each time."""

    DISCOMFORT_EFFECT = None  # type: ignore[assignment]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"a": ("INT", {})}}

    def run(self, a: int) -> tuple[int]:  # type: ignore[override]
        return ((5 * a + 1) % 1009,)


class Size(Nest):
    """A reader of files."""

    DISCOMFORT_EFFECT = "file"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"path": ("STRING", {}), "a": ("INT", {})}}

    def run(self, path: str, a: int) -> tuple[int]:
        return ((len(Path(path).read_bytes()) + a) % 1009,)


CLASSES: dict[str, Any] = {each.__name__: each for each in (Sum, Compare, Pick, Nest, Odd, Size)}
TABLES = st.recursive(st.integers(0, 2) | st.booleans() | st.just(1.0), lambda inner: st.lists(inner, max_size=2))
"""Values that differ by their types alone, in lists of any depth."""
WRITTEN: dict[str, st.SearchStrategy[Any]] = {
    "a": st.sampled_from([0, 7, -7, 1008]),
    "b": st.sampled_from([0, 7, -7, 1008]),
    "how": st.sampled_from(["least", "most", "first"]),
    "flag": st.booleans(),
    "table": TABLES.map(lambda value: {"__value__": [value]}),
    "path": st.sampled_from([__file__, str(Path(__file__).with_name("typed.py"))]),
}
SOMETIMES: st.SearchStrategy[Any] = st.booleans()
TYPES = {"a": "INT", "b": "INT", "flag": "BOOLEAN"}
"""The inputs that links may feed."""


@lru_cache(maxsize=1)
def engine() -> EmbeddedEngine:
    made = EmbeddedEngine()
    made.register(CLASSES)
    return made


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return asyncio.run(engine().catalog())


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """A workflow of nodes over literals, INPUT ports and earlier nodes, some of them written to OUTPUT ports."""
    nodes: Workflow = {}
    values: dict[str, list[Any]] = {"INT": [], "BOOLEAN": []}

    def add(class_type: str, **inputs: Any) -> str:
        nodes[key := str(len(nodes) + 1)] = {"class_type": class_type, "inputs": inputs}
        return key

    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2)):
        values["INT"].append([add("DiscomfortPort", unique_id=name, tags=""), 0])
    for name in draw(st.lists(st.sampled_from(FLAGS), unique=True, max_size=1)):
        values["BOOLEAN"].append([add("DiscomfortPort", unique_id=name, tags=""), 0])
    for number in range(draw(st.integers(1, 8))):
        kind = "Sum" if number == 0 else draw(st.sampled_from(["Sum", "Sum", *CLASSES]))
        inputs = {}
        for name in CLASSES[kind].INPUT_TYPES()["required"]:
            links: list[Any] = values.get(TYPES.get(name, ""), [])
            inputs[name] = draw(st.sampled_from(links)) if links and draw(SOMETIMES) else draw(WRITTEN[name])
        key = add(kind, **inputs)
        for slot, gives in enumerate(CLASSES[kind].RETURN_TYPES):
            values[gives].append([key, slot])
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=2)):
        add("DiscomfortPort", unique_id=name, tags="", input=draw(st.sampled_from(values["INT"])))
    if values["BOOLEAN"] and draw(SOMETIMES):
        add("DiscomfortPort", unique_id=FLAGS[0], tags="", input=draw(st.sampled_from(values["BOOLEAN"])))
    return nodes


programs = st.lists(workflows(), min_size=1, max_size=3)


def start(context: WorkflowContext) -> None:
    for number, name in enumerate(NAMES):
        context.save(name, 5 + number)
    for name in FLAGS:
        context.save(name, True)


@given(programs)
def test_L2_stitched_equals_one_after_another(program: list[Workflow]) -> None:
    with WorkflowContext(max_ram_gb=0.01) as together, WorkflowContext(max_ram_gb=0.01) as apart:
        start(together)
        start(apart)
        compile(program, catalog=catalog()).run(together, engine=engine())
        for workflow in program:
            compile([workflow], catalog=catalog()).run(apart, engine=engine())
        for name in (*NAMES, *FLAGS):
            assert together.load(name) == apart.load(name)
            assert type(together.load(name)) is type(apart.load(name))


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
