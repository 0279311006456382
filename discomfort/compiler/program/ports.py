"""DiscomfortPorts of one workflow: which they are, and what the workflow reads, writes and taps under which name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from discomfort.ir.catalog.effects import PORT_CLASS
from discomfort.ir.diagnostics import Diagnostic, Place, Severity
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId


class Mode(str, Enum):
    """What a port is, by what is connected to it."""

    INPUT = "INPUT"
    OUTPUT = "OUTPUT"
    PASSTHRU = "PASSTHRU"


@dataclass(frozen=True, slots=True)
class Port:
    """A port: its node in the workflow, its mode, its name, and for OUTPUT and PASSTHRU what comes in (`source`)."""

    node: Node
    mode: Mode
    name: str
    tags: tuple[str, ...]
    source: Input | None


@dataclass(frozen=True, slots=True)
class Interface:
    """The ports of a workflow: parameters, results and taps by name; all of them by node id.

    Several INPUT ports of one name are one parameter.
    """

    reads: Mapping[str, tuple[Port, ...]]
    writes: Mapping[str, Port]
    taps: Mapping[str, Port]
    by_node: Mapping[NodeId, Port]


PlaceOf = Callable[[Node, "str | None"], Place]
"""Where a node (and one of its inputs) is written."""


def read_ports(graph: Graph, place: PlaceOf, findings: list[Diagnostic]) -> Interface:
    """Classify the ports of one workflow's lowered graph, and report what is wrong with them."""
    nodes = [node for node in graph.nodes.values() if node.class_type == PORT_CLASS]
    ids = {node.id for node in nodes}
    consumed: set[NodeId] = set()
    for node in graph.nodes.values() if ids else ():
        for name, link in node.links():
            if link.node in ids:
                consumed.add(link.node)
                findings += [_missing_output(name, link, place(node, name))] if link.slot else ()
    reads: dict[str, tuple[Port, ...]] = {}
    writes: dict[str, Port] = {}
    taps: dict[str, Port] = {}
    by_node: dict[NodeId, Port] = {}
    for node in nodes:
        port = _read_port(node, node.id in consumed, place, findings)
        if port is None:
            continue
        by_node[node.id] = port
        if port.mode is Mode.INPUT:
            reads[port.name] = (*reads.get(port.name, ()), port)
        elif port.mode is Mode.OUTPUT:
            _add_unique(writes, port, "DF203", "OUTPUT", place, findings)
        elif port.name not in taps or taps[port.name].source != port.source:
            _add_unique(taps, port, "DF205", "PASSTHRU", place, findings)
    _warn_of_shadowed_taps(writes, taps, place, findings)
    return Interface(reads, writes, taps, by_node)


def _missing_output(name: str, link: Link, where: Place) -> Diagnostic:
    message = f"input {name!r} comes from output {link.slot} of {PORT_CLASS}, which has 1"
    return Diagnostic("DF303", Severity.ERROR, where, message, "connect the input again")


def read_tags(text: str) -> tuple[str, ...]:
    """Return the tags in a comma-separated text, without blanks and repeats, in their order."""
    return tuple(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))


def _read_port(node: Node, consumed: bool, place: PlaceOf, findings: list[Diagnostic]) -> Port | None:
    source = node.inputs.get("input")
    if source is None and not consumed:
        findings.append(
            Diagnostic(
                "DF204",
                Severity.WARNING,
                place(node, None),
                f"port {_text(node, 'unique_id')!r} is not connected on either side and is left out",
                "connect its output to make it an INPUT, its input to make it an OUTPUT, or delete it",
            )
        )
        return None
    name = _port_name(node, place, findings)
    if name is None:
        return None
    mode = Mode.INPUT if source is None else Mode.PASSTHRU if consumed else Mode.OUTPUT
    return Port(node, mode, name, read_tags(_text(node, "tags")), source)


def _port_name(node: Node, place: PlaceOf, findings: list[Diagnostic]) -> str | None:
    value = node.inputs.get("unique_id")
    if value is not None and not (isinstance(value, Literal) and isinstance(value.value, str)):
        found = "a link" if not isinstance(value, Literal) else repr(value.value)
        findings.append(
            Diagnostic(
                "DF202",
                Severity.ERROR,
                place(node, "unique_id"),
                f"a port's unique_id must be text written in the workflow, found {found}",
                "type the name into the port's unique_id field",
            )
        )
        return None
    name = _text(node, "unique_id").strip()
    if name:
        return name
    findings.append(
        Diagnostic(
            "DF201",
            Severity.ERROR,
            place(node, "unique_id"),
            "a port has no unique_id",
            "give it the name under which the context holds its value",
        )
    )
    return None


def _text(node: Node, name: str) -> str:
    value = node.inputs.get(name)
    return value.value if isinstance(value, Literal) and isinstance(value.value, str) else ""


def _add_unique(
    table: dict[str, Port], port: Port, code: str, mode: str, place: PlaceOf, findings: list[Diagnostic]
) -> None:
    first = table.setdefault(port.name, port)
    if first is port:
        return
    findings.append(
        Diagnostic(
            code,
            Severity.ERROR,
            place(port.node, "unique_id"),
            f"two {mode} ports are called {port.name!r}",
            "give one of them another unique_id",
            (("the other one", place(first.node, "unique_id")),),
        )
    )


def _warn_of_shadowed_taps(
    writes: Mapping[str, Port], taps: dict[str, Port], place: PlaceOf, findings: list[Diagnostic]
) -> None:
    """Drop the taps whose name an OUTPUT port of the same workflow has: the OUTPUT defines it."""
    for name in [name for name in taps if name in writes]:
        tap = taps.pop(name)
        if tap.source == writes[name].source:
            continue
        findings.append(
            Diagnostic(
                "DF206",
                Severity.WARNING,
                place(tap.node, "unique_id"),
                f"PASSTHRU port {name!r} is hidden by the OUTPUT port of that name",
                "later workflows read the OUTPUT; rename the PASSTHRU if it is meant to be read",
                (("the OUTPUT", place(writes[name].node, "unique_id")),),
            )
        )
