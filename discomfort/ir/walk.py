"""Walks over graphs: every order, every search and every cycle in this project is found here. Nothing recurses."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from typing import TypeVar

from discomfort.ir.graph import Graph, Link, NodeId

Key = TypeVar("Key", bound=Hashable)
Name = TypeVar("Name", bound=str)


class CycleError(ValueError):
    """The graph has a cycle; `cycle` lists its node ids in link order, producer first."""

    def __init__(self, cycle: tuple[str, ...]) -> None:
        super().__init__(f"the graph has a cycle: {' -> '.join([*cycle, cycle[0]])}")
        self.cycle: tuple[NodeId, ...] = tuple(map(NodeId, cycle))


def producers_first(graph: Graph) -> Iterable[NodeId]:
    """Return the node ids with producers before consumers; `graph.nodes` itself where they lie so already.

    Raises:
        CycleError: naming one cycle.
    """
    nodes = graph.nodes
    seen: set[NodeId] = set()
    for node_id, node in nodes.items():
        for value in node.inputs.values():
            if type(value) is Link and value.node not in seen and value.node in nodes:
                return topological_order(graph)
        seen.add(node_id)
    return nodes


def topological_order(graph: Graph) -> list[NodeId]:
    """Return the node ids with producers before consumers, ties in the order of `graph.nodes`.

    Links to missing nodes are ignored. An order that is right already stays as it is.

    Raises:
        CycleError: naming one cycle.
    """
    nodes = graph.nodes
    names = list(nodes)
    index_of = {node_id: index for index, node_id in enumerate(names)}
    consumers: list[list[int]] = [[] for _ in names]
    for index, node in enumerate(nodes.values()):
        for value in node.inputs.values():
            if type(value) is Link and value.node in index_of:
                consumers[index_of[value.node]].append(index)
    order = [names[index] for index in settled(consumers)]
    if len(order) != len(names):
        raise CycleError(_cycle_among(graph, index_of.keys() - order))
    return order


def _cycle_among(graph: Graph, stuck: AbstractSet[NodeId]) -> tuple[NodeId, ...]:
    """Return one cycle among `stuck`, nodes each of which waits for another stuck node."""

    def before(node_id: NodeId) -> NodeId:
        return next(link.node for _, link in graph.nodes[node_id].links() if link.node in stuck)

    return find_cycle(min(stuck), before)


def settled(after: Sequence[Iterable[int]]) -> list[int]:
    """Return the numbers from 0 to `len(after) - 1`, each before all of `after[number]`, otherwise small ones first.

    Numbers of a cycle, and those after one, are left out. One number may be listed several times in `after[number]`.
    """
    waiting = [0] * len(after)
    for later in after:
        for number in later:
            waiting[number] += 1
    ready = [number for number, count in enumerate(waiting) if count == 0]
    heapify(ready)
    order: list[int] = []
    while ready:
        number = heappop(ready)
        order.append(number)
        for later_number in after[number]:
            waiting[later_number] -= 1
            if waiting[later_number] == 0:
                heappush(ready, later_number)
    return order


def find_cycle(start: Key, before: Callable[[Key], Key]) -> tuple[Key, ...]:
    """Return the cycle that is reached from `start` by going from each key to the key `before` it, which there must be.

    The cycle is listed forwards: each key is before the next one, and the last one before the first.
    """
    path: dict[Key, int] = {}
    current = start
    while current not in path:
        path[current] = len(path)
        current = before(current)
    return tuple(reversed(list(path)[path[current] :]))


def depth_first(roots: Iterable[Name], producers: Callable[[Name], Iterable[Name]]) -> list[Name]:
    """Return `roots` and all that feeds them, producers first and each chain together, in the order of the roots.

    `producers` is called once for each node.

    Raises:
        CycleError: naming one cycle.
    """
    done: dict[Name, None] = {}
    opened: dict[Name, None] = {}
    for root in roots:
        stack = [root]
        while stack:
            node_id = stack[-1]
            if node_id in done:
                stack.pop()
            elif node_id in opened:
                stack.pop()
                del opened[node_id]
                done[node_id] = None
            else:
                opened[node_id] = None
                ahead = [producer for producer in producers(node_id) if producer not in done]
                ahead.reverse()
                for producer in ahead:
                    if producer in opened:
                        descent = list(opened)
                        raise CycleError(tuple(reversed(descent[descent.index(producer) :])))
                stack += ahead
    return list(done)


def reachable(roots: Iterable[Key], neighbours: Callable[[Key], Iterable[Key]]) -> dict[Key, None]:
    """Return `roots` and all that is reached from them by way of `neighbours`, which is called once for each."""
    found: dict[Key, None] = {}
    stack = list(roots)
    while stack:
        key = stack.pop()
        if key not in found:
            found[key] = None
            stack += neighbours(key)
    return found


def ancestors(graph: Graph, roots: Iterable[NodeId]) -> set[NodeId]:
    """Return `roots` and every node from which one of them is reachable; nodes that do not exist are left out."""
    nodes = graph.nodes

    def producers(node_id: NodeId) -> list[NodeId]:
        return [value.node for value in nodes[node_id].inputs.values() if type(value) is Link and value.node in nodes]

    return set(reachable((root for root in roots if root in nodes), producers))
