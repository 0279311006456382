"""What partition knows of a graph: its nodes in a row with few values between them, and where the row may be cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import TypeAlias

from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph, Link, NodeId
from discomfort.ir.walk import depth_first

REPEATED_NODES = 64
"""The most nodes that are repeated whole, with the plain values they read, to rebuild a ref in a further prompt. The
nodes then look the same in every prompt, so that a server's cache knows them."""


ProducerLink: TypeAlias = tuple[int, Link, bool, bool]
"""One link of a node: the producer's place in the row, the link, whether it is a cut, and whether it converts."""


class Row:
    """A graph whose nodes lie in a row, producers first and chains together; everything is indexed by position.

    `stage`: how many conversions come before a node; a stage is never mixed with another. `whole`: the node and all
    that feeds it may be repeated in further prompts, uncut. `repeatable`: some prompt may repeat it. `rebuilt`: how
    deep the nodes are that rebuild its output in a further prompt. `closed[place]`: no prompt may end before it.
    `width[place]`: how many values cross where one ends there.
    """

    def __init__(self, graph: Graph, effects: EffectTable) -> None:
        self._graph = graph
        self._effects = effects
        self._cuts = frozenset(graph.cuts)
        self._conversions = frozenset(graph.conversions)
        self.order: list[NodeId] = chains_together(graph)
        self.stage: list[int] = self._stages()
        if self.stage and max(self.stage) > 0:
            staged = sorted(range(len(self.order)), key=self.stage.__getitem__)
            self.order = [self.order[place] for place in staged]
            self.stage = [self.stage[place] for place in staged]
        self.place: dict[NodeId, int] = {node_id: place for place, node_id in enumerate(self.order)}
        self.sources: list[list[ProducerLink]] = [self._sources(node_id) for node_id in self.order]
        count = len(self.order)
        self.whole: list[bool] = [False] * count
        self.rebuilt: list[int] = [1] * count
        self.repeatable: list[bool] = [False] * count
        pinned = self._describe()
        self.closed: list[int] = self._closed(pinned)
        self.width: list[int] = self._width()

    def _sources(self, node_id: NodeId) -> list[ProducerLink]:
        place, cuts, conversions = self.place, self._cuts, self._conversions
        return [
            (place[value.node], value, value in cuts, bool(conversions) and (node_id, name) in conversions)
            for name, value in self._graph.nodes[node_id].inputs.items()
            if type(value) is Link
        ]

    def _stages(self) -> list[int]:
        """Count the conversions before each node, which then runs as late as its consumers allow; an effect comes no
        earlier than those written before it.
        """
        if not self._conversions:
            return [0] * len(self.order)
        nodes, conversions = self._graph.nodes, self._conversions
        stages: dict[NodeId, int] = {}
        for node_id in self.order:
            stage = 0
            for name, link in nodes[node_id].links():
                stage = max(stage, stages[link.node] + ((node_id, name) in conversions))
            stages[node_id] = stage
        used = {link.node for node in nodes.values() for _, link in node.links()}
        latest = 0
        for node_id in self._graph.effects:
            if node_id not in used:
                stages[node_id] = latest = max(latest, stages[node_id])
        limits: dict[NodeId, int] = {}
        for node_id in reversed(self.order):
            stages[node_id] = limits.get(node_id, stages[node_id])
            for name, link in nodes[node_id].links():
                limit = stages[node_id] - ((node_id, name) in conversions)
                limits[link.node] = min(limit, limits.get(link.node, limit))
        return [stages[node_id] for node_id in self.order]

    def _describe(self) -> list[bool]:
        """Fill `whole`, `rebuilt` and `repeatable`; return which nodes may never run in two prompts."""
        nodes, effects = self._graph.nodes, frozenset(self._graph.effects)
        free = {name: self._effects.rule(name).mergeable for name in {node.class_type for node in nodes.values()}}
        whole, rebuilt = self.whole, self.rebuilt
        pinned = [False] * len(self.order)
        sizes = [0] * len(self.order)
        for place, node_id in enumerate(self.order):
            is_free = free[nodes[node_id].class_type] and node_id not in effects
            is_pinned, is_whole, size = not is_free, is_free, 1
            deepest = deepest_uncut = 0
            for producer, _, is_cut, converts in self.sources[place]:
                size += sizes[producer]
                is_whole = is_whole and whole[producer] and not converts
                is_pinned = is_pinned or (not is_cut and pinned[producer])
                deepest = max(deepest, rebuilt[producer])
                deepest_uncut = max(deepest_uncut, 1 if is_cut else rebuilt[producer])
            pinned[place] = is_pinned
            sizes[place] = size if size <= REPEATED_NODES else REPEATED_NODES + 1
            whole[place] = is_whole = is_whole and size <= REPEATED_NODES
            rebuilt[place] = 1 + (deepest if is_whole else deepest_uncut)
        repeatable = self.repeatable
        for place in range(len(self.order) - 1, -1, -1):
            again = repeatable[place] and whole[place]
            for producer, _, is_cut, _ in self.sources[place]:
                if again or not is_cut:
                    repeatable[producer] = True
        return pinned

    def _closed(self, pinned: list[bool]) -> list[int]:
        """A ref stays in one prompt with the node that makes it, where that must not run twice."""
        changes = [0] * (len(self.order) + 1)
        for place, sources in enumerate(self.sources):
            for producer, _, is_cut, _ in sources:
                if not is_cut and pinned[producer]:
                    changes[producer + 1] += 1
                    changes[place + 1] -= 1
        return list(accumulate(changes))

    def _width(self) -> list[int]:
        last: dict[Link, tuple[int, int]] = {}
        for place, sources in enumerate(self.sources):
            for producer, link, is_cut, _ in sources:
                if is_cut:
                    last[link] = (producer, place)
        changes = [0] * (len(self.order) + 1)
        for producer, place in last.values():
            changes[producer + 1] += 1
            changes[place + 1] -= 1
        return list(accumulate(changes))


def chains_together(graph: Graph) -> list[NodeId]:
    """Return the node ids with producers first, each chain together: behind the effects in their order, then behind
    the outputs, then the rest.
    """
    nodes = graph.nodes
    return depth_first(
        _roots(graph),
        lambda node_id: [value.node for value in nodes[node_id].inputs.values() if type(value) is Link],
    )


def _roots(graph: Graph) -> Iterable[NodeId]:
    yield from graph.effects
    for value in graph.outputs.values():
        if type(value) is Link:
            yield value.node
    yield from graph.nodes
