"""Laws L2 to L6 on random typed programs, run on the embedded engine where a result is requested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discomfort.compiler import CompileOptions
from discomfort.compiler.frontend import load_workflow
from discomfort.compiler.passes import PASSES, Pass, run_passes
from discomfort.compiler.passes.dump import render_graph
from discomfort.compiler.passes.verify import verify
from discomfort.compiler.plan.json_form import dumps
from discomfort.context.context import WorkflowContext
from discomfort.editor_documents.join import stitch_documents
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph, Link, NodeId
from discomfort.ir.keys import structural_keys
from discomfort.ir.recipe import Recipe, slice_recipe
from discomfort.ir.walk import ancestors
from discomfort.plan import compile
from tests.compiler.graph_text import parse_graph
from tests.property.typed import (
    Record,
    Workflow,
    catalog,
    contents,
    editor_document,
    engine,
    programs,
    start,
)

ROOT = Path(__file__).parents[2]
few = settings(max_examples=max(10, settings().max_examples // 4))
"""For laws that run every example several times."""


def run(*plans: list[Workflow], passes: tuple[Pass, ...] = PASSES) -> tuple[dict[str, Any], Counter[Any]]:
    """Run lists of workflows one after another; return what the context holds then, and what was reported."""
    Record.recorded.clear()
    with WorkflowContext(max_ram_gb=0.01) as context:
        start(context)
        for workflows in plans:
            options = CompileOptions(passes=passes)
            compile(workflows, catalog=catalog(), options=options).run(context, engine=engine())
        return contents(context), Counter(Record.recorded)


def stitched_graph(program: list[Workflow]) -> Graph:
    """Return the graph of a program before the passes."""
    seen: dict[str, Graph] = {}
    compile(program, catalog=catalog(), options=CompileOptions(hook=seen.__setitem__))
    return seen["stitch"]


@given(programs)
@few
def test_L2_typed_programs_stitched_equal_one_after_another(program: list[Workflow]) -> None:
    assert run(program) == run(*([workflow] for workflow in program))


@given(st.lists(programs, min_size=3, max_size=3))
@few
def test_L2_stitching_is_associative_over_runs(parts: list[list[Workflow]]) -> None:
    """(a b) c = a (b c) = a b c, whatever is in one plan and whatever in the next."""
    first, second, third = parts
    whole = run([*first, *second, *third])
    assert run([*first, *second], third) == whole
    assert run(first, [*second, *third]) == whole


@given(st.lists(programs.map(lambda program: program[0]), min_size=3, max_size=3))
def test_L2_stitching_documents_is_associative(program: list[Workflow]) -> None:
    """Joined in either grouping, three documents compute the same results from the same parameters."""
    documents = [editor_document(workflow) for workflow in program]
    left = joined([joined(documents[:2]), documents[2]])
    right = joined([documents[0], joined(documents[1:])])
    assert meaning([left]) == meaning([right])


@given(programs)
def test_L2_joined_documents_mean_what_their_list_means(program: list[Workflow]) -> None:
    documents = [editor_document(workflow) for workflow in program]
    assert meaning([joined(documents)]) == meaning(documents)


def meaning(documents: list[dict[str, Any]]) -> tuple[Any, ...]:
    """Return what a program gives, could give, needs and does, whatever its nodes are called."""
    plan = compile(documents, catalog=catalog())
    keys = structural_keys(plan.graph, plan.graph.nodes)
    given, could_give = (
        {name: _identity(port.source, keys) for name, port in table.items()} for table in (plan.outputs, plan.taps)
    )
    needed = {name for name, port in plan.inputs.items() if port.required}
    return given, could_give, needed, Counter(keys[node] for node in plan.effects)


def joined(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return stitch_documents([load_workflow(document, catalog()) for document in documents]).document()


def _identity(value: Any, keys: dict[NodeId, str]) -> Any:
    return (keys[value.node], value.slot) if isinstance(value, Link) else value


REWRITES = [each for each in PASSES if each.name in ("fold", "dedup", "prune", "order")]
"""The passes that make sense alone; later ones rely on them."""


@pytest.mark.parametrize("alone", REWRITES, ids=lambda each: str(each.name))
@given(program=programs)
@few
def test_L4_each_pass_alone_gives_the_naive_results(alone: Pass, program: list[Workflow]) -> None:
    assert run(program, passes=(alone,)) == run(program, passes=())


@given(programs)
@few
def test_L4_all_passes_give_the_naive_results(program: list[Workflow]) -> None:
    assert run(program) == run(program, passes=())


@given(programs)
def test_L4_passes_are_pure_idempotent_and_leave_sound_graphs(program: list[Workflow]) -> None:
    effects = EffectTable(catalog())
    graph = stitched_graph(program)
    before = render_graph(graph)
    once = run_passes(graph, effects, PASSES)
    assert render_graph(graph) == before, "a pass changed its input"
    assert verify(once, catalog()) == []
    again = run_passes(once, effects, PASSES)
    assert again == once
    assert [*again.nodes] == [*once.nodes]


@given(programs)
def test_L4_what_is_dumped_can_be_read_back(program: list[Workflow]) -> None:
    graph = stitched_graph(program)
    again = parse_graph(render_graph(graph))
    assert render_graph(again) == render_graph(graph)
    assert [(node.id, node.class_type, node.inputs) for node in again.nodes.values()] == [
        (node.id, node.class_type, node.inputs) for node in graph.nodes.values()
    ]


@given(programs)
def test_L5_plans_are_minimal(program: list[Workflow]) -> None:
    """Without any one of its nodes, an output or an effect of a plan has lost an ancestor."""
    graph = compile(program, catalog=catalog()).graph
    needed = set(graph.roots())
    for node in reversed(list(graph.nodes.values())):
        assert node.id in needed
        needed.update(link.node for _, link in node.links())


@given(programs)
def test_L5_recipes_hold_exactly_the_ancestors(program: list[Workflow]) -> None:
    graph = compile(program, catalog=catalog()).graph
    keys = structural_keys(graph, graph.nodes)
    for value in graph.outputs.values():
        if not isinstance(value, Link):
            continue
        kept = ancestors(graph, [value.node])
        if any(not isinstance(v, Link) and hasattr(v, "name") for n in kept for v in graph.nodes[n].inputs.values()):
            continue
        recipe = slice_recipe(graph, value, "*")
        assert set(structural_keys(recipe.graph, recipe.graph.nodes).values()) == {keys[node] for node in kept}
        assert ancestors(recipe.graph, [recipe.output.node]) == set(recipe.graph.nodes)
        assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@given(programs)
def test_L6_typed_plans_survive_json_byte_for_byte(program: list[Workflow]) -> None:
    plan = compile(program, catalog=catalog())
    text = dumps(plan.to_json())
    again = type(plan).from_json(json.loads(text))
    assert again == plan
    assert dumps(again.to_json()) == text


COMPILE_ALL = """
import json, sys
from discomfort.plan import compile
from discomfort.ir.catalog.catalog import Catalog
from discomfort.compiler.plan.json_form import dumps
given = json.load(sys.stdin)
catalog = Catalog(given["catalog"])
for program in given["programs"]:
    sys.stdout.write(dumps(compile(program, catalog=catalog).to_json()))
"""


@given(st.lists(programs, min_size=25, max_size=25))
@settings(max_examples=1)
def test_L6_random_programs_give_the_same_bytes_under_three_hash_seeds(batch: list[list[Workflow]]) -> None:
    raw = catalog().merged()._raw
    printed = {
        subprocess.run(
            [sys.executable, "-c", COMPILE_ALL],
            input=json.dumps({"catalog": dict(raw), "programs": batch}).encode(),
            capture_output=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1
    assert printed.pop() == "".join(dumps(compile(p, catalog=catalog()).to_json()) for p in batch).encode()
