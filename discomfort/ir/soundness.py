"""What must hold in the graph of a plan or recipe that was read from JSON, which may be changed or cut short."""

from __future__ import annotations

from collections.abc import Iterator

from discomfort.ir.graph import Graph, Link
from discomfort.ir.structure import structure_findings
from discomfort.ir.walk import producers_first
from discomfort.printable import printable_line

SHOWN_PROBLEMS = 10


def require_sound_graph(graph: Graph, output: Link, what: str) -> None:
    """Check that the graph of a recipe gives its output.

    Raises:
        ValueError: it does not; `what` says of what it is the graph.
    """
    missing = [] if output.node in graph.nodes else [f"its output comes from node {output.node}, which is not in it"]
    require_no_problems(what, [*graph_problems(graph), *missing])


def graph_problems(graph: Graph) -> list[str]:
    """Return what is wrong with links, steps, cuts and conversions, and whether there is a cycle."""
    found = [
        finding.message if finding.where.node is None else f"node {finding.where.node}: {finding.message}"
        for finding in structure_findings(graph)
    ]
    if found:
        return found
    return [*_cut_problems(graph), *_order_problems(graph)]


def _cut_problems(graph: Graph) -> Iterator[str]:
    for link in graph.cuts:
        if link.node not in graph.nodes:
            yield f"a cut is at node {link.node}, which is not in the graph"
    for node_id, name in graph.conversions:
        node = graph.nodes.get(node_id)
        if node is None or not isinstance(node.inputs.get(name), Link):
            yield f"a conversion is at input {name!r} of node {node_id}, where there is no link"


def _order_problems(graph: Graph) -> Iterator[str]:
    if (graph.steps or graph.conversions) and producers_first(graph) is not graph.nodes:
        yield "the nodes do not lie in their order, each behind those that it reads"


def require_no_problems(what: str, problems: list[str]) -> None:
    """Raise a `ValueError` that lists the first problems of `what`, where there are any."""
    if problems:
        more = [f"and {len(problems) - SHOWN_PROBLEMS} more"] if len(problems) > SHOWN_PROBLEMS else []
        shown = map(printable_line, problems[:SHOWN_PROBLEMS])
        raise ValueError("\n  ".join([f"{what}:", *shown, *more]))
