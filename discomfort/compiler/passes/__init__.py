"""The passes, in the order in which they run: each a pure function of the graph, with a name and typed options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, TypeAlias

from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.passes.cut import Cut, cut_under
from discomfort.compiler.passes.dedup import Dedup
from discomfort.compiler.passes.fold import Fold
from discomfort.compiler.passes.order import Order
from discomfort.compiler.passes.prune import Prune
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph
from discomfort.settings.pass_by import PassByRules


class Pass(Protocol):
    """A frozen value whose fields are the pass's options; called, it returns a new graph and changes nothing."""

    name: ClassVar[str]
    """The word under which dumps, timings and goldens know the pass."""

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        """Return the graph after the pass; `effects` says what running each node class does."""
        ...


Hook: TypeAlias = Callable[[str, Graph], None]

PASSES: tuple[Pass, ...] = (Fold(), Dedup(), Prune(), Order(), Cut(), Partition())

NEEDED_FIRST: tuple[Pass, ...] = (Fold(primitives=False, switches=False),)
"""What runs before all others where it is left out: no engine runs a PASSTHRU port or a reroute."""

NEEDED: tuple[Pass, ...] = (Prune(), Order(), Cut(), Partition(for_speed=False))
"""The passes that a plan relies on; the others only make it better."""


def complete(passes: Sequence[Pass]) -> tuple[Pass, ...]:
    """Return `passes` and those that are needed and not among them; what marks a graph comes after what changes it."""
    given = {each.name for each in passes}
    first, missing = ([each for each in needed if each.name not in given] for needed in (NEEDED_FIRST, NEEDED))
    marks = next((place for place, each in enumerate(passes) if each.name in (Cut.name, Partition.name)), len(passes))
    last = [each for each in missing if each.name == Partition.name]
    return (*first, *passes[:marks], *(each for each in missing if each not in last), *passes[marks:], *last)


def under_rules(passes: Sequence[Pass], rules: PassByRules) -> tuple[Pass, ...]:
    """Return `passes`, completed, with `cut` following pass-by rules."""
    return tuple(cut_under(rules) if each == Cut() else each for each in complete(passes))


def run_passes(graph: Graph, effects: EffectTable, passes: Sequence[Pass], hook: Hook | None = None) -> Graph:
    """Return the graph after `passes`, completed by those that are needed.

    `hook` sees the graph before them all (as "stitch") and after each, to verify, time or dump it: see `hooks`.
    """
    if hook is not None:
        hook("stitch", graph)
    for each in complete(passes):
        graph = each(graph, effects)
        if hook is not None:
            hook(each.name, graph)
    return graph
