"""From an optimised graph to the plan: what it needs and what it gives, each with its type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from discomfort.compiler.plan.model import (
    Constraint,
    PlanInput,
    PlanOutput,
    PlanType,
    PlanWorkflow,
    PortPlace,
    Source,
)
from discomfort.compiler.program.ports import PlaceOf, Port
from discomfort.compiler.program.type_check import merge_duplicate_findings
from discomfort.compiler.program.workflows import place_in
from discomfort.ir.catalog.catalog import Catalog, InputSpec
from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import Findings, make_finding
from discomfort.ir.graph import Graph, Input, NodeId, Origin, Param
from discomfort.ir.types.language import ANY, UNKNOWN, Signatures, TypeInference, accepts_value, meet_value
from discomfort.ir.types.parameters import ParameterTypes
from discomfort.settings.pass_by import PassByRules

if TYPE_CHECKING:
    from discomfort.compiler.program.stitch import Program, ReachingDefinition
    from discomfort.compiler.program.workflows import LoadedWorkflow


def assemble(
    plan_type: type[PlanType],
    graph: Graph,
    program: Program,
    *,
    units: Sequence[LoadedWorkflow],
    catalog: Catalog,
    rules: PassByRules,
    sources: tuple[Source, ...],
    findings: Findings,
) -> PlanType:
    """Return the plan of an optimised graph, whose nodes lie with producers first.

    New findings join `findings`, which the plan holds.
    """
    signatures = Signatures(catalog)
    order = list(graph.nodes)
    where = {unit.name: place_in(unit.workflow) for unit in units}
    inputs = _inputs(graph, program, signatures=signatures, rules=rules, where=where, findings=findings)
    typing = TypeInference(graph, order, signatures, {name: port.type for name, port in inputs.items()})
    given = {**graph.taps, **graph.outputs}
    made = {name: _output(name, value, program, typing, rules) for name, value in given.items()}
    outputs = {name: made[name] for name in graph.outputs}
    taps = {name: made[name] for name in graph.taps}
    findings.extend(_output_findings(made, inputs, program, rules, where))
    if not graph.nodes and not outputs:
        message = "nothing is computed: no port gives a result and no node has an effect"
        hint = "connect a DiscomfortPort to what you want, or a node such as SaveImage"
        findings.add("DF401", message, Place(file=units[0].workflow.source), hint)
    return plan_type(
        workflows=tuple(PlanWorkflow(unit.name, unit.workflow.source, unit.digest()) for unit in units),
        graph=graph,
        inputs=inputs,
        outputs=outputs,
        bindings=program.bindings,
        taps=taps,
        diagnostics=tuple(merge_duplicate_findings(findings)),
        rules=dict(rules.rules),
        catalog_digest=catalog.digest,
        sources=sources,
    )


def _output_findings(
    outputs: Mapping[str, PlanOutput],
    inputs: Mapping[str, PlanInput],
    program: Program,
    rules: PassByRules,
    where: Mapping[str, PlaceOf],
) -> Iterator[Diagnostic]:
    """Yield the types without a rule, and the loop-carried variables that the next iteration cannot read."""
    for name, written in outputs.items():
        definition = _definition(name, program)
        place = where[definition.writer](definition.port.node, None)
        if rules.rule(written.type) is None:
            message = f"type {written.type} of output {name!r} has no pass-by rule and travels by reference"
            yield make_finding("DF210", message, place, "name it in pass_by_rules.json")
        read = inputs.get(name)
        if read is not None and written.kind == "output" and not accepts_value(written.type, read.type):
            message = f"{name!r} is written as {written.type}, which the next iteration cannot read as {read.type}"
            yield make_finding("DF211", message, place, "give the two ports different names")


def _definition(name: str, program: Program) -> ReachingDefinition:
    return program.writes[name] if name in program.writes else program.taps[name]


def _inputs(
    graph: Graph,
    program: Program,
    *,
    signatures: Signatures,
    rules: PassByRules,
    where: Mapping[str, PlaceOf],
    findings: Findings,
) -> dict[str, PlanInput]:
    uses: dict[str, list[tuple[NodeId, str]]] = {name: [] for name in program.reads}
    specs: dict[str, list[InputSpec]] = {name: [] for name in program.reads}
    asked_types: dict[str, list[str]] = {name: [] for name in program.reads}
    demands = ParameterTypes(graph, signatures)
    for node in graph.nodes.values():
        node_class = signatures.catalog.get(node.class_type) if node.class_type else None
        for name, value in node.inputs.items():
            if type(value) is Param:
                uses[value.name].append((node.id, name))
                spec = signatures.inputs(node_class, node.inputs).get(name) if node_class else None
                if spec is not None:
                    specs[value.name].append(spec)
                    asked_types[value.name].append(demands.of(node.id, spec))
    asked = {value.name for value in graph.outputs.values() if isinstance(value, Param)}
    inputs = {}
    for name, ports in program.reads.items():
        kind = _common_type(name, asked_types[name], ports, where, findings)
        inputs[name] = PlanInput(
            name=name,
            type=kind,
            pass_by=rules.of(kind),
            required=bool(uses[name]) or name in asked,
            uses=tuple(uses[name]),
            constraints=tuple(dict.fromkeys(map(_constraint, specs[name], asked_types[name]))),
            tags=tuple(dict.fromkeys(tag for _, port in ports for tag in port.tags)),
            ports=tuple(_port_place(workflow, port) for workflow, port in ports),
        )
    return inputs


def _common_type(
    name: str,
    asked: Sequence[str],
    ports: Sequence[tuple[str, Port]],
    where: Mapping[str, PlaceOf],
    findings: Findings,
) -> str:
    """Return the type of the values that fit every consumer of a parameter."""
    common = ANY
    for wanted in asked:
        met = meet_value(common, wanted)
        if met is None:
            workflow, port = ports[0]
            place = where[workflow](port.node, None)
            message = f"the consumers of {name!r} want types that do not fit together: {common} and {wanted}"
            findings.add("DF313", message, place, "use two ports")
            return common
        common = met
    return common


def _constraint(spec: InputSpec, asked: str) -> Constraint:
    low, high, step = (spec.options.get(key) for key in ("min", "max", "step"))
    return Constraint(
        type=asked,
        minimum=_limit(low),
        maximum=_limit(high),
        step=_limit(step),
        choices=spec.choices,
        multiselect=bool(spec.options.get("multiselect")),
    )


def _limit(value: Any) -> float | None:
    """Return a limit that limits something: not an infinity, which JSON does not have either."""
    return value if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else None


def _output(name: str, value: Input, program: Program, typing: TypeInference, rules: PassByRules) -> PlanOutput:
    definition = _definition(name, program)
    kind = typing.of(value)
    kind = ANY if kind == UNKNOWN else kind
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
