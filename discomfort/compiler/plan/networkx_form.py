"""A plan as a networkx graph, for people who want to analyse it: never used by the compiler itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discomfort.ir.graph import Input, Link, Literal, Param

if TYPE_CHECKING:
    import networkx

    from discomfort.compiler.plan.model import PlanData


def to_networkx(plan: PlanData) -> networkx.MultiDiGraph[Any]:
    """Return a graph whose nodes are the plan's nodes and ports, and whose edges lead from producer to consumer.

    A node's `kind` is "node", "input" or "output". Nodes also have `class_type`, `title`, `workflow`, `node` (the id in
    the editor), `step`, `effect` (a bool) and `literals` (input name → value); ports have `name`, `type`, `pass_by` and
    `tags`, and are called "INPUT:name" and "OUTPUT:name". An edge's key is the consumer's input; its `slot` is the
    producer's output, from 0. An output that is a literal has it as `value`.
    """
    import networkx

    graph = networkx.MultiDiGraph()
    for port in plan.inputs.values():
        graph.add_node(
            f"INPUT:{port.name}", kind="input", name=port.name, type=port.type, pass_by=port.pass_by, tags=port.tags
        )
    steps = {node_id: step.id for step in reversed(plan.steps) for node_id in step.nodes}
    effects = set(plan.effects)
    for node in plan.graph.nodes.values():
        graph.add_node(
            node.id,
            kind="node",
            class_type=node.class_type,
            title=node.title,
            workflow=node.origin.workflow,
            node=node.origin.node,
            step=steps.get(node.id),
            effect=node.id in effects,
            literals={name: value.value for name, value in node.inputs.items() if isinstance(value, Literal)},
        )
    for node in plan.graph.nodes.values():
        for name, value in node.inputs.items():
            _connect(graph, value, node.id, name)
    for result in plan.outputs.values():
        name = f"OUTPUT:{result.name}"
        graph.add_node(
            name, kind="output", name=result.name, type=result.type, pass_by=result.pass_by, tags=result.tags
        )
        if isinstance(result.source, Literal):
            graph.nodes[name]["value"] = result.source.value
        _connect(graph, result.source, name, result.name)
    return graph


def _connect(graph: networkx.MultiDiGraph, source: Input, target: str, name: str) -> None:
    if isinstance(source, Link):
        graph.add_edge(source.node, target, key=name, slot=source.slot)
    elif isinstance(source, Param):
        graph.add_edge(f"INPUT:{source.name}", target, key=name, slot=0)
