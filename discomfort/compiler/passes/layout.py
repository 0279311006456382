"""What partition knows of a graph: its nodes in a row with few values between them, and where the row may be cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from discomfort.compiler.effects import EffectTable
from discomfort.compiler.graph import Graph, Link, NodeId

REPEATED_NODES = 64
"""The most nodes that are repeated whole, with the plain values they read, to rebuild a ref in a further prompt. The
nodes then look the same in every prompt, so that a server's cache knows them."""


class Source(NamedTuple):
    """One link of a node: the producer's place in the row, and whether it is a cut, and a conversion."""

    place: int
    link: Link
    is_cut: bool
    converts: bool


class Layout:
    """A graph whose nodes lie in a row, producers first and chains together; everything is told by place.

    `stage`: how many conversions come before a node; a stage is never mixed with another. `whole`: the node and all
    that feeds it may be repeated in further prompts, uncut. `repeatable`: some prompt may repeat it. `rebuilt`: how
    deep the nodes are that bring its output into a further prompt. `closed[place]`: no prompt may end before it.
    `width[place]`: how many values cross where one ends there.
    """

    def __init__(self, graph: Graph, effects: EffectTable) -> None:
        self._graph = graph
        self._effects = effects
        self._cuts = frozenset(graph.cuts)
        self._conversions = frozenset(graph.conversions)
        self.order = depth_first(graph)
        self.stage = self._stages()
        if self.stage and max(self.stage) > 0:
            staged = sorted(range(len(self.order)), key=self.stage.__getitem__)
            self.order = [self.order[place] for place in staged]
            self.stage = [self.stage[place] for place in staged]
        self.place = {node_id: place for place, node_id in enumerate(self.order)}
        self.sources = [self._sources(node_id) for node_id in self.order]
        count = len(self.order)
        self.whole = [False] * count
        self.rebuilt = [1] * count
        self.repeatable = [False] * count
        pinned = self._describe()
        self.closed = self._closed(pinned)
        self.width = self._width()

    def _sources(self, node_id: NodeId) -> list[Source]:
        return [
            Source(self.place[link.node], link, link in self._cuts, (node_id, name) in self._conversions)
            for name, link in self._graph.nodes[node_id].links()
        ]

    def _stages(self) -> list[int]:
        """Count the conversions before each node; an effect comes no earlier than those written before it."""
        if not self._conversions:
            return [0] * len(self.order)
        stages: dict[NodeId, int] = {}
        used: set[NodeId] = set()
        for node_id in self.order:
            stage = 0
            for name, link in self._graph.nodes[node_id].links():
                stage = max(stage, stages[link.node] + ((node_id, name) in self._conversions))
                used.add(link.node)
            stages[node_id] = stage
        latest = 0
        for node_id in self._graph.effects:
            if node_id not in used:
                stages[node_id] = latest = max(latest, stages[node_id])
        return [stages[node_id] for node_id in self.order]

    def _describe(self) -> list[bool]:
        """Fill `whole`, `rebuilt` and `repeatable`; return which nodes may never run in two prompts."""
        effects = frozenset(self._graph.effects)
        rule = self._effects.rule
        nodes = self._graph.nodes
        pinned = [False] * len(self.order)
        sizes = [0] * len(self.order)
        for place, node_id in enumerate(self.order):
            sources = self.sources[place]
            free = rule(nodes[node_id].class_type).mergeable and node_id not in effects
            pinned[place] = not free or any(pinned[source.place] for source in sources if not source.is_cut)
            size = 1 + sum(sizes[source.place] for source in sources)
            sizes[place] = min(size, REPEATED_NODES + 1)
            self.whole[place] = (
                free
                and size <= REPEATED_NODES
                and all(self.whole[source.place] and not source.converts for source in sources)
            )
            deepest = 0
            for source in sources:
                cut = source.is_cut and not self.whole[place]
                deepest = max(deepest, 1 if cut else self.rebuilt[source.place])
            self.rebuilt[place] = 1 + deepest
        for place in range(len(self.order) - 1, -1, -1):
            again = self.whole[place] and self.repeatable[place]
            for source in self.sources[place]:
                if again or not source.is_cut:
                    self.repeatable[source.place] = True
        return pinned

    def _closed(self, pinned: list[bool]) -> list[int]:
        """A ref stays in one prompt with the node that makes it, where that must not run twice."""
        changes = [0] * (len(self.order) + 1)
        for place, sources in enumerate(self.sources):
            for source in sources:
                if not source.is_cut and pinned[source.place]:
                    changes[source.place + 1] += 1
                    changes[place + 1] -= 1
        return list(accumulate(changes))

    def _width(self) -> list[int]:
        last: dict[Link, int] = {}
        for place, sources in enumerate(self.sources):
            for source in sources:
                if source.is_cut:
                    last[source.link] = place
        changes = [0] * (len(self.order) + 1)
        for link, place in last.items():
            changes[self.place[link.node] + 1] += 1
            changes[place + 1] -= 1
        return list(accumulate(changes))


def depth_first(graph: Graph) -> list[NodeId]:
    """Return the node ids with producers first, each chain together: behind the effects in their order, then behind
    the outputs, then the rest.
    """
    nodes = graph.nodes
    done: dict[NodeId, None] = {}
    opened: set[NodeId] = set()
    for root in _roots(graph):
        stack = [root]
        while stack:
            node_id = stack[-1]
            if node_id in done:
                stack.pop()
            elif node_id in opened:
                stack.pop()
                done[node_id] = None
            else:
                opened.add(node_id)
                ahead = [link.node for _, link in nodes[node_id].links() if link.node not in done]
                ahead.reverse()
                stack += ahead
    return list(done)


def _roots(graph: Graph) -> Iterable[NodeId]:
    yield from graph.effects
    for value in graph.outputs.values():
        if type(value) is Link:
            yield value.node
    yield from graph.nodes
