"""What a run depends on besides its inputs, asked of the engine before the run and again after it.

A result goes under its key only where both answers agree: a file may change between the moment in which its content is
taken down and the one in which a node reads it, and be changed back.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Link, Node, NodeId
from discomfort.ir.keys import Source, node_keys
from discomfort.runtime.binding.prompts import BoundRun, StepWork
from discomfort.runtime.engines.protocol import Engine

logger: logging.Logger = logging.getLogger("discomfort")


async def with_keys(run: BoundRun, engine: Engine) -> BoundRun:
    """Return a run with the keys under which the results of its nodes are remembered."""
    nodes = run.graph.nodes
    table = EffectTable(run.signatures.catalog)
    sources = {} if run.findings else await engine.sources(nodes.values(), table)
    return replace(run, keys=node_keys(run.graph, nodes, {}, table, sources), sources=sources)


class Soundness:
    """Which results of one run must not be remembered, since what they depend on changed during the run."""

    def __init__(self) -> None:
        self._spoiled: set[NodeId] = set()

    async def check(self, run: BoundRun, work: StepWork, engine: Engine) -> None:
        """Ask again about the nodes of a step that has run."""
        asked = _with_sources(run, work)
        if not asked:
            return
        now = await engine.sources(asked, EffectTable(run.signatures.catalog))
        changed = [node for node in asked if not _agree(run.sources[node.id], now.get(node.id))]
        if changed:
            names = ", ".join(f"{node.origin.workflow}, node {node.origin.node}" for node in changed)
            logger.warning("what it reads changed during the run, whose results are not remembered: %s", names)
            self._spoil(run, {node.id for node in changed})
            engine.doubt(_read(run, changed))

    def give_up(self, run: BoundRun, work: StepWork, engine: Engine) -> None:
        """Note that a step did not come to its end, so that nothing is known of what its nodes read."""
        engine.doubt(_read(run, _with_sources(run, work)))

    def is_spoiled(self, link: Link) -> bool:
        """Return whether the value of `link` must not be remembered."""
        return link.node in self._spoiled

    def _spoil(self, run: BoundRun, changed: set[NodeId]) -> None:
        """Note `changed` and all that comes of it."""
        self._spoiled |= changed
        for node_id, node in run.graph.nodes.items():  # producers first
            if any(link.node in self._spoiled for _, link in node.links()):
                self._spoiled.add(node_id)


def _with_sources(run: BoundRun, work: StepWork) -> list[Node]:
    """Return the nodes of a step whose sources are known."""
    nodes = [run.graph.nodes[node_id] for node_id in work.nodes if node_id in run.sources]
    return [node for node in nodes if run.sources[node.id].token is not None]


def _read(run: BoundRun, nodes: Collection[Node]) -> list[tuple[Node, Source]]:
    return [(node, run.sources[node.id]) for node in nodes]


def _agree(before: Source, after: Source | None) -> bool:
    return after is not None and (before.token, before.version) == (after.token, after.version)
