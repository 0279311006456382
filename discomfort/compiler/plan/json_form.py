"""Plans as JSON: versioned, readable in a diff, byte-identical for equal input (law L6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from discomfort.compiler.plan.migrate import migrated
from discomfort.compiler.plan.model import (
    Constraint,
    OutputKind,
    PlanData,
    PlanInput,
    PlanOutput,
    PlanType,
    PlanWorkflow,
    PortPlace,
)
from discomfort.compiler.plan.soundness import require_sound_plan
from discomfort.compiler.program.binding import Binding, BindingKind
from discomfort.ir.codes import Severity
from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.graph import Graph, Link, NodeId, Note, Origin, Step
from discomfort.ir.graph_json import (
    ENVELOPE,
    input_from_json,
    input_to_json,
    links_from_json,
    node_from_json,
    node_to_json,
    read_link,
    write_link,
)
from discomfort.ir.untrusted_json.nesting import DEEPEST, TOO_LONG, place_of_long_number, problem_of_objects
from discomfort.ir.untrusted_json.parts import (
    entries,
    items,
    number_or_none,
    one_of,
    text,
    text_or_none,
    texts,
    truth,
)
from discomfort.settings.pass_by import PassBy

PASS_BY: tuple[PassBy, ...] = ("val", "ref")
_OUTPUTS: tuple[OutputKind, ...] = ("output", "passthru")
_BINDINGS: tuple[BindingKind, ...] = ("output", "passthru", "context", "carried")


def plan_to_json(plan: PlanData) -> dict[str, Any]:
    """Return a plan as JSON-able data."""
    graph = plan.graph
    return {
        "kind": "discomfort plan",
        "version": plan.version,
        "workflows": [{"name": w.name, "source": w.source, "digest": w.digest} for w in plan.workflows],
        "inputs": {name: _port_in(port) for name, port in plan.inputs.items()},
        "outputs": {name: _port_out(port) for name, port in plan.outputs.items()},
        "taps": {name: _port_out(port) for name, port in plan.taps.items()},
        "effects": list(graph.effects),
        "nodes": {node.id: node_to_json(node) for node in graph.nodes.values()},
        "steps": [
            {"id": s.id, "nodes": list(s.nodes), "reads": _links(s.reads), "writes": _links(s.writes)}
            for s in graph.steps
        ],
        "cuts": [write_link(link) for link in graph.cuts],
        "conversions": [list(place) for place in graph.conversions],
        "bindings": [{"name": b.name, "reader": b.reader, "writer": b.writer, "kind": b.kind} for b in plan.bindings],
        "notes": [_note(note) for note in graph.notes],
        "diagnostics": [_finding(finding) for finding in plan.diagnostics],
        "rules": dict(plan.rules),
        "catalog": plan.catalog_digest,
    }


def plan_from_json(cls: type[PlanType], data: Mapping[str, Any]) -> PlanType:
    """Return the plan that `plan_to_json` wrote.

    Raises:
        ValueError: this is not a plan, one of a version that cannot be read, or one that cannot run; says which.
    """
    if not isinstance(data, Mapping) or data.get("kind") != "discomfort plan":
        raise ValueError("this is not a Discomfort plan")
    problem = problem_of_objects(data, DEEPEST + ENVELOPE)
    if problem == TOO_LONG:
        node, name, way = place_of_long_number(data)
        raise ValueError(f"this plan is damaged: {problem}: node {node}, input {name} ({way})")
    if problem is not None:
        raise ValueError(f"this plan is damaged: {problem}")
    data = migrated(data)
    try:
        plan = _read_plan(cls, data)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"this plan is damaged: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"this plan is damaged: {error}") from error
    require_sound_plan(plan)
    return plan


def _read_plan(cls: type[PlanType], data: Mapping[str, Any]) -> PlanType:
    outputs = {name: _read_out(name, port) for name, port in entries(data["outputs"])}
    taps = {name: _read_out(name, port) for name, port in entries(data["taps"])}
    graph = Graph(
        {NodeId(key): node_from_json(key, node) for key, node in entries(data["nodes"])},
        {name: port.source for name, port in outputs.items()},
        tuple(map(NodeId, texts(data["effects"]))),
        {name: port.source for name, port in taps.items()},
        tuple(_read_note(note) for note in items(data["notes"])),
        tuple(map(read_link, texts(data["cuts"]))),
        _read_uses(data["conversions"]),
        tuple(_read_step(step) for step in items(data["steps"])),
    )
    return cls(
        workflows=tuple(
            PlanWorkflow(text(w["name"]), text_or_none(w["source"]), text(w["digest"]))
            for w in items(data["workflows"])
        ),
        graph=graph,
        inputs={name: _read_in(name, port) for name, port in entries(data["inputs"])},
        outputs=outputs,
        bindings=tuple(
            Binding(text(b["name"]), text(b["reader"]), text_or_none(b["writer"]), one_of(b["kind"], _BINDINGS))
            for b in items(data["bindings"])
        ),
        taps=taps,
        diagnostics=tuple(_read_finding(finding) for finding in items(data["diagnostics"])),
        rules={name: one_of(how, PASS_BY) for name, how in entries(data["rules"])},
        catalog_digest=text(data["catalog"]),
    )


def dumps(data: Any) -> str:
    """Return JSON text: indented, keys in their order, a final newline."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _links(links: Iterable[Link]) -> list[list[Any]]:
    return [[link.node, link.slot] for link in links]


def _places(port: PlanInput | PlanOutput) -> list[dict[str, str]]:
    return [{"workflow": p.origin.workflow, "node": p.origin.node, "title": p.title} for p in port.ports]


def _port_in(port: PlanInput) -> dict[str, Any]:
    return {
        "type": port.type,
        "pass_by": port.pass_by,
        "required": port.required,
        "uses": [list(use) for use in port.uses],
        "constraints": [
            {
                "type": c.type,
                "minimum": c.minimum,
                "maximum": c.maximum,
                "step": c.step,
                "choices": None if c.choices is None else list(c.choices),
                "multiselect": c.multiselect,
            }
            for c in port.constraints
        ],
        "tags": list(port.tags),
        "ports": _places(port),
    }


def _read_in(name: str, data: Mapping[str, Any]) -> PlanInput:
    return PlanInput(
        name=name,
        type=text(data["type"]),
        pass_by=one_of(data["pass_by"], PASS_BY),
        required=truth(data["required"]),
        uses=_read_uses(data["uses"]),
        constraints=tuple(_read_constraint(constraint) for constraint in items(data["constraints"])),
        tags=texts(data["tags"]),
        ports=_read_places(data["ports"]),
    )


def _read_constraint(data: Mapping[str, Any]) -> Constraint:
    return Constraint(
        type=text(data["type"]),
        minimum=number_or_none(data["minimum"]),
        maximum=number_or_none(data["maximum"]),
        step=number_or_none(data["step"]),
        choices=None if data["choices"] is None else tuple(items(data["choices"])),
        multiselect=truth(data["multiselect"]),
    )


def _read_uses(data: Iterable[Any]) -> tuple[tuple[NodeId, str], ...]:
    return tuple((NodeId(node), name) for node, name in map(texts, items(data)))


def _read_step(data: Mapping[str, Any]) -> Step:
    nodes = tuple(map(NodeId, texts(data["nodes"])))
    return Step(text(data["id"]), nodes, links_from_json(data["reads"]), links_from_json(data["writes"]))


def _port_out(port: PlanOutput) -> dict[str, Any]:
    return {
        "type": port.type,
        "pass_by": port.pass_by,
        "source": input_to_json(port.source),
        "kind": port.kind,
        "tags": list(port.tags),
        "ports": _places(port),
    }


def _read_out(name: str, data: Mapping[str, Any]) -> PlanOutput:
    return PlanOutput(
        name=name,
        type=text(data["type"]),
        pass_by=one_of(data["pass_by"], PASS_BY),
        source=input_from_json(data["source"]),
        kind=one_of(data["kind"], _OUTPUTS),
        tags=texts(data["tags"]),
        ports=_read_places(data["ports"]),
    )


def _read_places(data: Iterable[Mapping[str, str]]) -> tuple[PortPlace, ...]:
    return tuple(
        PortPlace(Origin(text(place["workflow"]), text(place["node"])), text(place["title"])) for place in items(data)
    )


def _note(note: Note) -> dict[str, Any]:
    into = None if note.into is None else input_to_json(note.into)
    return {"kind": note.kind, "nodes": list(note.nodes), "why": note.why, "into": into}


def _read_note(data: Mapping[str, Any]) -> Note:
    into = None if data["into"] is None else input_from_json(data["into"])
    return Note(text(data["kind"]), tuple(map(NodeId, texts(data["nodes"]))), text(data["why"]), into)


def _finding(finding: Diagnostic) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "where": finding.where.to_json(),
        "message": finding.message,
        "hint": finding.hint,
        "related": [[note, place.to_json()] for note, place in finding.related],
    }


def _read_finding(data: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        text(data["code"]),
        Severity(data["severity"]),
        _read_place(data["where"]),
        text(data["message"]),
        text_or_none(data["hint"]),
        tuple((text(note), _read_place(place)) for note, place in map(items, items(data["related"]))),
    )


def _read_place(data: Mapping[str, Any]) -> Place:
    return Place(**{name: text(part) for name, part in entries(data)})
