"""Plans as JSON: versioned, readable in a diff, byte-identical for equal input (law L6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from discomfort.compiler.diagnostics import Diagnostic, Place, Severity
from discomfort.compiler.graph import Graph, Input, Link, Literal, Node, NodeId, Note, Origin, Param, Step
from discomfort.compiler.plan import (
    PLAN_VERSION,
    Binding,
    Constraint,
    Plan,
    PlanInput,
    PlanOutput,
    PlanType,
    PlanWorkflow,
    PortPlace,
)


def plan_to_json(plan: Plan) -> dict[str, Any]:
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
        ValueError: the data is no plan, or one of another version.
    """
    if not isinstance(data, Mapping) or data.get("kind") != "discomfort plan":
        raise ValueError("this is no Discomfort plan")
    if data.get("version") != PLAN_VERSION:
        raise ValueError(f"this plan has version {data.get('version')}; this Discomfort reads version {PLAN_VERSION}")
    try:
        outputs = {name: _read_out(name, port) for name, port in data["outputs"].items()}
        taps = {name: _read_out(name, port) for name, port in data["taps"].items()}
        graph = Graph(
            {NodeId(key): node_from_json(key, node) for key, node in data["nodes"].items()},
            {name: port.source for name, port in outputs.items()},
            tuple(NodeId(node) for node in data["effects"]),
            {name: port.source for name, port in taps.items()},
            tuple(_read_note(note) for note in data["notes"]),
            tuple(read_link(text) for text in data["cuts"]),
            tuple((NodeId(node), name) for node, name in data["conversions"]),
            tuple(
                Step(s["id"], tuple(map(NodeId, s["nodes"])), _read_links(s["reads"]), _read_links(s["writes"]))
                for s in data["steps"]
            ),
        )
        return cls(
            workflows=tuple(PlanWorkflow(w["name"], w["source"], w["digest"]) for w in data["workflows"]),
            graph=graph,
            inputs={name: _read_in(name, port) for name, port in data["inputs"].items()},
            outputs=outputs,
            bindings=tuple(Binding(b["name"], b["reader"], b["writer"], b["kind"]) for b in data["bindings"]),
            taps=taps,
            diagnostics=tuple(_read_finding(finding) for finding in data["diagnostics"]),
            rules=dict(data["rules"]),
            catalog_digest=data["catalog"],
        )
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ValueError(f"this plan is damaged: {error!r}") from error


def dumps(data: Any) -> str:
    """Return JSON text: indented, keys in their order, a final newline."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _input(value: Input) -> dict[str, Any]:
    if isinstance(value, Link):
        return {"link": [value.node, value.slot]}
    return {"value": value.value} if isinstance(value, Literal) else {"param": value.name}


def _read_input(data: Mapping[str, Any]) -> Input:
    if "link" in data:
        return Link(NodeId(data["link"][0]), int(data["link"][1]))
    return Param(data["param"]) if "param" in data else Literal(data["value"])


def write_link(link: Link) -> str:
    """Return a link as `node.slot`, which `read_link` reads."""
    return f"{link.node}.{link.slot}"


def read_link(text: str) -> Link:
    """Return the link that is written as `node.slot`.

    Raises:
        ValueError: it is not.
    """
    node, _, slot = text.rpartition(".")
    return Link(NodeId(node), int(slot))


def _links(links: Iterable[Link]) -> list[list[Any]]:
    return [[link.node, link.slot] for link in links]


def _read_links(data: Iterable[Any]) -> tuple[Link, ...]:
    return tuple(Link(NodeId(node), slot) for node, slot in data)


def node_to_json(node: Node) -> dict[str, Any]:
    """Return a node as JSON-able data, without its id; `node_from_json` reads it."""
    return {
        "class": node.class_type,
        "title": node.title,
        "origin": [node.origin.workflow, node.origin.node],
        "inputs": {name: _input(value) for name, value in node.inputs.items()},
    }


def node_from_json(key: str, data: Mapping[str, Any]) -> Node:
    """Return the node that `node_to_json` wrote, under the id `key`; bad data raises what Python raises."""
    inputs = {name: _read_input(value) for name, value in data["inputs"].items()}
    return Node(NodeId(key), data["class"], inputs, data["title"], Origin(*data["origin"]))


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
    constraints = [{**c, "choices": None if c["choices"] is None else tuple(c["choices"])} for c in data["constraints"]]
    return PlanInput(
        name=name,
        type=data["type"],
        pass_by=data["pass_by"],
        required=data["required"],
        uses=tuple((NodeId(node), input_name) for node, input_name in data["uses"]),
        constraints=tuple(Constraint(**c) for c in constraints),
        tags=tuple(data["tags"]),
        ports=_read_places(data["ports"]),
    )


def _port_out(port: PlanOutput) -> dict[str, Any]:
    return {
        "type": port.type,
        "pass_by": port.pass_by,
        "source": _input(port.source),
        "kind": port.kind,
        "tags": list(port.tags),
        "ports": _places(port),
    }


def _read_out(name: str, data: Mapping[str, Any]) -> PlanOutput:
    return PlanOutput(
        name=name,
        type=data["type"],
        pass_by=data["pass_by"],
        source=_read_input(data["source"]),
        kind=data["kind"],
        tags=tuple(data["tags"]),
        ports=_read_places(data["ports"]),
    )


def _read_places(data: Iterable[Mapping[str, str]]) -> tuple[PortPlace, ...]:
    return tuple(PortPlace(Origin(place["workflow"], place["node"]), place["title"]) for place in data)


def _note(note: Note) -> dict[str, Any]:
    into = None if note.into is None else _input(note.into)
    return {"kind": note.kind, "nodes": list(note.nodes), "why": note.why, "into": into}


def _read_note(data: Mapping[str, Any]) -> Note:
    into = None if data["into"] is None else _read_input(data["into"])
    return Note(data["kind"], tuple(map(NodeId, data["nodes"])), data["why"], into)


def _finding(finding: Diagnostic) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "where": finding.where.to_json(),
        "message": finding.message,
        "hint": finding.hint,
        "related": [[words, place.to_json()] for words, place in finding.related],
    }


def _read_finding(data: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        data["code"],
        Severity(data["severity"]),
        Place(**data["where"]),
        data["message"],
        data["hint"],
        tuple((words, Place(**place)) for words, place in data["related"]),
    )
