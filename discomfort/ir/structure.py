"""The structure of every graph (law L4): ids unique, links resolve, acyclic, steps hold what they say."""

from __future__ import annotations

from collections.abc import Iterator

from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import make_finding
from discomfort.ir.graph import Graph, Link, Node, NodeId
from discomfort.ir.walk import CycleError, producers_first

HINT = "this is a mistake of the compiler itself: please report it, with the workflows"


def structure_findings(graph: Graph) -> list[Diagnostic]:
    """Return what is wrong with the structure of a graph, with code DF410; linear, and cheap compared with any pass."""
    findings = [*_nodes(graph), *_names(graph), *_steps(graph)]
    if findings:
        return findings
    try:
        producers_first(graph)
    except CycleError as error:
        return [_finding(graph.nodes[error.cycle[0]], str(error))]
    return []


def _nodes(graph: Graph) -> Iterator[Diagnostic]:
    nodes = graph.nodes
    for node_id, node in nodes.items():
        if node.id != node_id:
            yield _finding(node, f"node {node.id} is kept under the id {node_id}")
        for name, value in node.inputs.items():
            if type(value) is Link and (value.node not in nodes or value.slot < 0):
                yield _finding(node, _dangling(value), name)


def _names(graph: Graph) -> Iterator[Diagnostic]:
    tables = (("output", graph.outputs), ("tap", graph.taps))
    for kind, name, value in ((kind, *entry) for kind, table in tables for entry in table.items()):
        if isinstance(value, Link) and value.node not in graph.nodes:
            yield _finding(None, f"{kind} {name!r} {_dangling(value)}", name)
    for node_id in graph.effects:
        if node_id not in graph.nodes:
            yield _finding(None, f"effect {node_id} is not in the graph")
    if len(set(graph.effects)) < len(graph.effects):
        yield _finding(None, "an effect is listed twice")


def _steps(graph: Graph) -> Iterator[Diagnostic]:
    """Each node belongs to one step, and what a step reads was written by an earlier one."""
    owner: dict[NodeId, str] = {}
    written: set[Link] = set()
    for step in graph.steps:
        for node_id in step.nodes:
            if node_id in owner or node_id not in graph.nodes:
                yield _finding(None, f"step {step.id} holds node {node_id}, which {_whose(owner.get(node_id))}")
            owner[node_id] = step.id
        for link in step.reads:
            if link not in written:
                message = f"step {step.id} reads output {link.slot} of node {link.node}, which no earlier step writes"
                yield _finding(None, message)
        for link in step.writes:
            if owner.get(link.node) != step.id:
                yield _finding(None, f"step {step.id} writes output {link.slot} of node {link.node}, which is not its")
        written.update(step.writes)
    for node_id in graph.nodes if graph.steps and len(owner) < len(graph.nodes) else ():
        if node_id not in owner:
            yield _finding(graph.nodes[node_id], f"node {node_id} is in no step")


def _whose(step: str | None) -> str:
    return "is not in the graph" if step is None else f"belongs to step {step}"


def _dangling(link: Link) -> str:
    return f"comes from output {link.slot} of node {link.node}, which is not in the graph"


def _finding(node: Node | None, message: str, name: str | None = None) -> Diagnostic:
    return make_finding("DF410", message, Place(input=name) if node is None else place_of(node, name), HINT)


def place_of(node: Node, name: str | None) -> Place:
    """Return where a node, or an input of it, is in the workflows."""
    return Place(node.origin.workflow, None, node.origin.node, node.title, name)
