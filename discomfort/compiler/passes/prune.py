"""prune: keep only the nodes behind an output or an effect (law L5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph, Link, Note, restricted
from discomfort.ir.walk import ancestors


@dataclass(frozen=True, slots=True)
class Prune:
    """The pass."""

    name: ClassVar[str] = "prune"

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        """Return the graph without dead nodes."""
        return remove_dead_nodes(graph)


def remove_dead_nodes(graph: Graph) -> Graph:
    """Return the graph without the nodes from which neither an output nor an effect is reachable.

    Taps that looked at such nodes go with them.
    """
    alive = ancestors(graph, graph.roots())
    dead = tuple(node_id for node_id in graph.nodes if node_id not in alive)
    if not dead:
        return graph
    return replace(
        restricted(graph, alive),
        taps={name: value for name, value in graph.taps.items() if not isinstance(value, Link) or value.node in alive},
        notes=(*graph.notes, Note("removed", dead, "no output and no effect needs them")),
    )
