"""From an optimised graph to the plan: what it needs, what it gives, and in how many prompts it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from discomfort.compiler.catalog import InputSpec
from discomfort.compiler.diagnostics import Diagnostic, Place, Severity
from discomfort.compiler.graph import Graph, Input, NodeId, Origin, Param
from discomfort.compiler.plan import (
    Constraint,
    Plan,
    PlanInput,
    PlanOutput,
    PlanWorkflow,
    PortPlace,
    Step,
)
from discomfort.compiler.ports import Port
from discomfort.compiler.types import ANY, UNKNOWN, Signatures, Typing, meet_value, wanted_type
from discomfort.rules import PassByRules

if TYPE_CHECKING:
    from discomfort.compiler.catalog import Catalog
    from discomfort.compiler.stitch import Definition, Program
    from discomfort.compiler.units import Unit


def assemble(
    graph: Graph,
    program: Program,
    units: Sequence[Unit],
    catalog: Catalog,
    rules: PassByRules,
    findings: list[Diagnostic],
) -> Plan:
    """Return the plan of an optimised graph, whose nodes lie with producers first."""
    signatures = Signatures(catalog)
    order = list(graph.nodes)
    inputs = _inputs(graph, program, signatures, rules, findings)
    typing = Typing(graph, order, signatures, {name: port.type for name, port in inputs.items()})
    outputs = {name: _output(name, value, program, typing, rules, findings) for name, value in graph.outputs.items()}
    taps = {name: _output(name, value, program, typing, rules, findings) for name, value in graph.taps.items()}
    return Plan(
        workflows=tuple(PlanWorkflow(unit.name, unit.workflow.source, unit.digest()) for unit in units),
        graph=graph,
        inputs=inputs,
        outputs=outputs,
        steps=(Step("1", tuple(order)),),
        bindings=program.bindings,
        taps=taps,
        diagnostics=tuple(findings),
        rules=dict(rules.rules),
        catalog_digest=catalog.digest,
    )


def _inputs(
    graph: Graph,
    program: Program,
    signatures: Signatures,
    rules: PassByRules,
    findings: list[Diagnostic],
) -> dict[str, PlanInput]:
    uses: dict[str, list[tuple[NodeId, str]]] = {name: [] for name in program.reads}
    specs: dict[str, list[InputSpec]] = {name: [] for name in program.reads}
    for node in graph.nodes.values():
        node_class = signatures.catalog.get(node.class_type) if node.class_type else None
        for name, value in node.inputs.items():
            if type(value) is Param:
                uses[value.name].append((node.id, name))
                spec = signatures.inputs(node_class, node.inputs).get(name) if node_class else None
                if spec is not None:
                    specs[value.name].append(spec)
    asked = {value.name for value in graph.outputs.values() if isinstance(value, Param)}
    inputs = {}
    for name, ports in program.reads.items():
        kind = _common_type(name, specs[name], ports, findings)
        inputs[name] = PlanInput(
            name=name,
            type=kind,
            pass_by=rules.of(kind),
            required=bool(uses[name]) or name in asked,
            uses=tuple(uses[name]),
            constraints=tuple(dict.fromkeys(_constraint(spec) for spec in specs[name])),
            tags=tuple(dict.fromkeys(tag for _, port in ports for tag in port.tags)),
            ports=tuple(_port_place(workflow, port) for workflow, port in ports),
        )
    return inputs


def _common_type(
    name: str, specs: Sequence[InputSpec], ports: Sequence[tuple[str, Port]], findings: list[Diagnostic]
) -> str:
    """Return the type of the values that fit every consumer of a parameter."""
    common = ANY
    for spec in specs:
        wanted = wanted_type(spec)
        met = meet_value(common, wanted)
        if met is None:
            workflow, port = ports[0]
            place = Place(workflow, None, port.node.origin.node, port.node.title, name)
            message = f"the consumers of {name!r} want types that do not fit together: {common} and {wanted}"
            findings.append(Diagnostic("DF313", Severity.ERROR, place, message, "use two ports"))
            return common
        common = met
    return common


def _constraint(spec: InputSpec) -> Constraint:
    low, high, step = (spec.options.get(key) for key in ("min", "max", "step"))
    return Constraint(
        type=wanted_type(spec),
        minimum=low if isinstance(low, (int, float)) else None,
        maximum=high if isinstance(high, (int, float)) else None,
        step=step if isinstance(step, (int, float)) else None,
        choices=spec.choices,
        multiselect=bool(spec.options.get("multiselect")),
    )


def _output(
    name: str,
    value: Input,
    program: Program,
    typing: Typing,
    rules: PassByRules,
    findings: list[Diagnostic],
) -> PlanOutput:
    written: Mapping[str, Definition] = program.writes if name in program.writes else program.taps
    definition = written[name]
    kind = typing.of(value)
    kind = ANY if kind == UNKNOWN else kind
    if rules.rule(kind) is None:
        port = definition.port.node
        place = Place(definition.writer, None, port.origin.node, port.title, name)
        message = f"type {kind} of output {name!r} has no pass-by rule and travels by reference"
        findings.append(Diagnostic("DF210", Severity.NOTE, place, message, "name it in pass_by_rules.json"))
    return PlanOutput(
        name=name,
        type=kind,
        pass_by=rules.of(kind),
        source=value,
        kind="output" if name in program.writes else "passthru",
        tags=definition.port.tags,
        ports=(_port_place(definition.writer, definition.port),),
    )


def _port_place(workflow: str, port: Port) -> PortPlace:
    return PortPlace(Origin(workflow, port.node.origin.node), port.node.title)
