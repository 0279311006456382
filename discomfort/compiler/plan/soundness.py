"""What must hold in a plan that was read from JSON, which may have been changed or cut short on its way."""

from __future__ import annotations

from collections.abc import Iterator

from discomfort.compiler.plan.model import PlanData
from discomfort.ir.graph import NodeId, Param
from discomfort.ir.soundness import graph_problems, require_no_problems


def require_sound_plan(plan: PlanData) -> None:
    """Check that a plan can be explained, drawn and run.

    Raises:
        ValueError: it cannot; lists what is wrong.
    """
    require_no_problems("this plan is damaged", [*graph_problems(plan.graph), *_parameter_problems(plan)])


def _parameter_problems(plan: PlanData) -> Iterator[str]:
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
