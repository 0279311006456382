"""Which effects of one prompt must be done before which: those of an earlier workflow before those of a later one.

An engine that runs a prompt node by node keeps the plan's order anyway. A ComfyUI server runs what a prompt asks for in
no order that can be predicted, so one group is requested after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from discomfort.ir.graph import Node, NodeId
from discomfort.ir.walk import reachable


def effect_groups(
    nodes: Mapping[NodeId, Node],
    effects: Sequence[NodeId],
    results: Iterable[NodeId],
    may_run_twice: Callable[[str | None], bool],
) -> tuple[tuple[NodeId, ...], ...]:
    """Return the effects of a prompt in groups, each of one workflow, in the order of the plan.

    Args:
        nodes: the prompt's, producers first.
        effects: those of them that are run for what they do, in the order of the plan.
        results: the nodes whose outputs are wanted; they come with the last group.
        may_run_twice: returns for a class whether running a node again changes nothing but time.

    Returns nothing where no order has to be kept, or where groups share what must not run twice: a server that keeps no
    results between two prompts would run it for each.
    """
    groups = [tuple(group) for _, group in groupby(effects, key=lambda node_id: nodes[node_id].origin.workflow)]
    if len(groups) < 2:
        return ()
    once: set[NodeId] = set()
    for node_id, node in nodes.items():
        if not may_run_twice(node.class_type) or any(link.node in once for _, link in node.links()):
            once.add(node_id)
    earlier: set[NodeId] = set()

    def producers(node_id: NodeId) -> list[NodeId]:
        return [] if node_id in earlier else [link.node for _, link in nodes[node_id].links()]

    for group in groups:
        found = reachable([*group, *(results if group is groups[-1] else ())], producers).keys()
        if not once.isdisjoint(found & earlier):
            return ()
        earlier |= found
    return tuple(groups)
