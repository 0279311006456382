"""The passes, in the order in which they run. Each is a pure function `Graph → Graph` in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from discomfort.compiler.effects import EffectTable
from discomfort.compiler.graph import Graph
from discomfort.compiler.passes.dedup import merge_equal_nodes
from discomfort.compiler.passes.fold import fold_constants
from discomfort.compiler.passes.order import order_nodes
from discomfort.compiler.passes.prune import remove_dead_nodes

Pass: TypeAlias = Callable[[Graph, EffectTable], Graph]
Hook: TypeAlias = Callable[[str, Graph], None]

PASSES: tuple[tuple[str, Pass], ...] = (
    ("fold", fold_constants),
    ("dedup", merge_equal_nodes),
    ("prune", remove_dead_nodes),
    ("order", order_nodes),
)
"""Name and function of each pass."""

NEEDED = ("prune", "order")
"""The passes that a plan relies on; the others only make it better."""


def run_passes(graph: Graph, effects: EffectTable, names: Sequence[str], hook: Hook | None = None) -> Graph:
    """Return the graph after the passes in `names`.

    `hook` sees the graph before them all (as "stitch") and after each, to verify, time or dump it.
    """
    if hook is not None:
        hook("stitch", graph)
    for name, run in PASSES:
        if name in names:
            graph = run(graph, effects)
            if hook is not None:
                hook(name, graph)
    return graph
