"""One behaviour of one pass a case: `tests/golden/<pass>/<case>/input.txt` → `expected.txt`, refusals included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from discomfort.compiler.passes import PASSES
from discomfort.compiler.passes.dump import render_graph
from discomfort.compiler.passes.verify import verify
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph, Link
from discomfort.ir.recipe import Recipe, slice_recipe
from discomfort.ir.walk import CycleError
from tests.compiler.graph_text import parse_graph

GOLDEN = Path(__file__).parents[1] / "golden"
EFFECTS = EffectTable(default_catalog())


def run_slice(graph: Graph) -> Graph:
    """Return the recipe of the graph's only output, as a graph with that output."""
    ((name, output),) = graph.outputs.items()
    assert isinstance(output, Link)
    recipe = slice_recipe(graph, output, "IMAGE")
    assert Recipe.from_json(recipe.to_json()) == recipe
    return replace(recipe.graph, outputs={name: recipe.output})


RUNS: Mapping[str, Callable[[Graph], Graph]] = {
    **{each.name: (lambda graph, each=each: each(graph, EFFECTS)) for each in PASSES},  # type: ignore[misc]
    "slice": run_slice,
}
CASES = [
    pytest.param(name, case, id=f"{name}/{case.name}")
    for name in RUNS
    if (GOLDEN / name).is_dir()
    for case in sorted((GOLDEN / name).iterdir())
    if (case / "input.txt").exists()
]


def test_every_existing_pass_has_golden_cases() -> None:
    have = {str(case.values[0]) for case in CASES}
    assert have >= {"fold", "dedup", "prune", "order", "cut", "partition", "slice"}


@pytest.mark.parametrize(("name", "case"), CASES)
def test_pass_gives_the_golden_graph(name: str, case: Path, golden: Callable[[Path, str], None]) -> None:
    graph = parse_graph((case / "input.txt").read_text(encoding="utf-8"))
    try:
        after = RUNS[name](graph)
    except (CycleError, ValueError) as error:
        golden(case / "expected.txt", f"refused: {error}\n")
        return
    golden(case / "expected.txt", render_graph(after))
    if name != "slice":
        assert verify(graph) or not verify(after)
        assert RUNS[name](after) == after, "running the pass again changes something"
