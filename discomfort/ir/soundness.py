"""What must hold in a plan or recipe that was read from JSON, which may have been changed or cut short on its way."""

from __future__ import annotations

from collections.abc import Iterator

from discomfort.compiler.passes.verify import verify
from discomfort.compiler.plan.model import Plan
from discomfort.ir.graph import Graph, Link, NodeId, Param
from discomfort.ir.order import producers_first
from discomfort.printable import printable_line

SHOWN_PROBLEMS = 10


def require_sound_plan(plan: Plan) -> None:
    """Check that a plan can be explained, drawn and run.

    Raises:
        ValueError: it cannot; lists what is wrong.
    """
    _require("this plan is damaged", [*graph_problems(plan.graph), *_parameter_problems(plan)])


def require_sound_graph(graph: Graph, output: Link, what: str) -> None:
    """Check that the graph of a recipe gives its output.

    Raises:
        ValueError: it does not; `what` says of what it is the graph.
    """
    missing = [] if output.node in graph.nodes else [f"its output comes from node {output.node}, which is not in it"]
    _require(what, [*graph_problems(graph), *missing])


def graph_problems(graph: Graph) -> list[str]:
    """Return what is wrong with links, steps, cuts and conversions, and whether there is a cycle."""
    found = [
        finding.message if finding.where.node is None else f"node {finding.where.node}: {finding.message}"
        for finding in verify(graph)
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


def _parameter_problems(plan: Plan) -> Iterator[str]:
    """Yield parameters that the plan does not declare, and uses of those it declares that are not there."""
    nodes = plan.graph.nodes
    used: dict[str, set[tuple[NodeId, str]]] = {name: set() for name in plan.inputs}
    for node in nodes.values():
        for name, value in node.inputs.items():
            if not isinstance(value, Param):
                continue
            if value.name not in used:
                yield f"node {node.id} reads the parameter {value.name!r}, which is not an input of the plan"
            else:
                used[value.name].add((node.id, name))
    asked = set()
    for name, port in (*plan.outputs.items(), *plan.taps.items()):
        if isinstance(port.source, Param):
            if port.source.name not in used:
                yield f"{name!r} is the parameter {port.source.name!r}, which is not an input of the plan"
            elif name in plan.outputs:
                asked.add(port.source.name)
    for name, given in plan.inputs.items():
        if set(given.uses) != used[name]:
            yield f"input {name!r} does not list the nodes that read it"
        if (given.uses or name in asked) and not given.required:
            yield f"input {name!r} is read, and declared as not required"


def _require(what: str, problems: list[str]) -> None:
    if problems:
        more = [f"and {len(problems) - SHOWN_PROBLEMS} more"] if len(problems) > SHOWN_PROBLEMS else []
        shown = map(printable_line, problems[:SHOWN_PROBLEMS])
        raise ValueError("\n  ".join([f"{what}:", *shown, *more]))
