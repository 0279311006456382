"""What the prompt of a step holds: its own nodes, and those of earlier steps that rebuild the refs it uses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from discomfort.compiler.partition.cost import SAFE_DEPTH
from discomfort.compiler.program.ports import PlaceOf
from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import make_finding
from discomfort.ir.graph import Graph, Link, Node, NodeId
from discomfort.ir.walk import reachable


def step_roots(graph: Graph) -> list[list[NodeId]]:
    """Return for each step the nodes that something outside it needs: results, values for later steps, effects."""
    needed = {value.node for value in graph.outputs.values() if isinstance(value, Link)}
    needed.update(graph.effects)
    return [
        [*(node_id for node_id in step.nodes if node_id in needed), *(link.node for link in step.writes)]
        for step in graph.steps
    ]


def prompt_nodes(graph: Graph, roots: Iterable[NodeId], loaded: Collection[Link]) -> dict[NodeId, None]:
    """Return the nodes behind `roots`, stopping at the outputs in `loaded`, which come from the context."""
    nodes = graph.nodes
    return reachable(
        roots,
        lambda node_id: [
            value.node for value in nodes[node_id].inputs.values() if type(value) is Link and value not in loaded
        ],
    )


def prompt_depths(
    nodes: Mapping[NodeId, Node], order: Iterable[NodeId], kept: Collection[NodeId], loaded: Collection[Link]
) -> dict[NodeId, int]:
    """Return for each node in `kept` how many nodes lie on the longest way to it, itself and a loader included.

    `order` lists at least the nodes in `kept`, producers first.
    """
    depths: dict[NodeId, int] = {}
    for node_id in order:
        if node_id in kept:
            links = nodes[node_id].links()
            depths[node_id] = 1 + max((1 if link in loaded else depths[link.node] for _, link in links), default=0)
    return depths


def step_findings(graph: Graph, place_of: PlaceOf, *, before_binding: bool = False) -> Iterator[Diagnostic]:
    """Yield what partition could not do: keep a prompt at a safe depth, convert a value between two prompts.

    `before_binding`: the engine is not chosen yet, and may be one that takes prompts of any depth.
    """
    conversions = set(graph.conversions)
    place = {node_id: number for number, node_id in enumerate(graph.nodes)}
    for step, roots in zip(graph.steps, step_roots(graph), strict=True):
        loaded = set(step.reads)
        for node_id in step.nodes if conversions else ():
            node = graph.nodes[node_id]
            for name, link in node.links():
                if (node_id, name) in conversions and link not in loaded:
                    message = f"input {name!r} of {node.class_type} expects a type that its link does not provide"
                    hint = "put a node between them that converts the value"
                    yield make_finding(
                        "DF306",
                        f"{message}, and no prompt can end before it to convert the value",
                        place_of(node, name),
                        hint,
                    )
        kept = prompt_nodes(graph, roots, loaded)
        if len(kept) < SAFE_DEPTH:
            continue
        order = sorted(kept, key=place.__getitem__)
        depths = prompt_depths(graph.nodes, order, kept, loaded)
        deepest = max(depths, key=depths.__getitem__)
        if depths[deepest] >= SAFE_DEPTH:
            yield _too_deep(depths[deepest] + 1, place_of(graph.nodes[deepest], None), milder=before_binding)


def _too_deep(depth: int, place: Place, *, milder: bool) -> Diagnostic:
    """Return the finding about a prompt with `depth` nodes in a row, the last of them at `place`."""
    message = f"{depth} nodes in a row must run in one prompt; ComfyUI handles at most {SAFE_DEPTH} levels reliably"
    hint = 'nothing on the way travels by value; set a type to "val" in the rules, or use the embedded engine'
    return make_finding("DF402", message, place, hint, milder=milder)
