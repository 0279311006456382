"""DiscomfortPorts of one workflow: which they are, and what the workflow reads, writes and taps under which name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from discomfort.ir.catalog.effects import PORT_CLASS
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings
from discomfort.ir.graph import Graph, Input, Literal, Node, NodeId


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


def read_ports(graph: Graph, place: PlaceOf, findings: Findings) -> Interface:
    """Classify the ports of one workflow's lowered graph, and report what is wrong with them."""
    nodes = [node for node in graph.nodes.values() if node.class_type == PORT_CLASS]
    ids = {node.id for node in nodes}
    consumed: set[NodeId] = set()
    for node in graph.nodes.values() if ids else ():
        for name, link in node.links():
            if link.node in ids:
                consumed.add(link.node)
                if link.slot:
                    message = f"input {name!r} comes from output {link.slot} of {PORT_CLASS}, which has 1"
                    findings.add("DF303", message, place(node, name), "connect the input again")
    reads: dict[str, tuple[Port, ...]] = {}
    writes: dict[str, Port] = {}
    taps: dict[str, Port] = {}
    by_node: dict[NodeId, Port] = {}
    for node in nodes:
        port = _read_port(node, place, findings, consumed=node.id in consumed)
        if port is None:
            continue
        by_node[node.id] = port
        if port.mode is Mode.INPUT:
            reads[port.name] = (*reads.get(port.name, ()), port)
        elif port.mode is Mode.OUTPUT:
            _add_unique(writes, port, "DF203", place, findings)
        elif port.name not in taps or taps[port.name].source != port.source:
            _add_unique(taps, port, "DF205", place, findings)
    _warn_of_shadowed_taps(writes, taps, place, findings)
    return Interface(reads, writes, taps, by_node)


def read_tags(text: str) -> tuple[str, ...]:
    """Return the tags in a comma-separated text, without blanks and repeats, in their order."""
    return tuple(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))


def _read_port(node: Node, place: PlaceOf, findings: Findings, *, consumed: bool) -> Port | None:
    source = node.inputs.get("input")
    if source is None and not consumed:
        findings.add(
            "DF204",
            f"port {_text(node, 'unique_id')!r} is not connected on either side and is left out",
            place(node, None),
            "connect its output to make it an INPUT, its input to make it an OUTPUT, or delete it",
        )
        return None
    name = _port_name(node, place, findings)
    if name is None:
        return None
    mode = Mode.INPUT if source is None else Mode.PASSTHRU if consumed else Mode.OUTPUT
    return Port(node, mode, name, read_tags(_text(node, "tags")), source)


def _port_name(node: Node, place: PlaceOf, findings: Findings) -> str | None:
    value = node.inputs.get("unique_id")
    if value is not None and not (isinstance(value, Literal) and isinstance(value.value, str)):
        found = "a link" if not isinstance(value, Literal) else repr(value.value)
        findings.add(
            "DF202",
            f"a port's unique_id must be text written in the workflow, found {found}",
            place(node, "unique_id"),
            "type the name into the port's unique_id field",
        )
        return None
    name = _text(node, "unique_id").strip()
    if name:
        return name
    findings.add(
        "DF201",
        "a port has no unique_id",
        place(node, "unique_id"),
        "give it the name under which the context holds its value",
    )
    return None


def _text(node: Node, name: str) -> str:
    value = node.inputs.get(name)
    return value.value if isinstance(value, Literal) and isinstance(value.value, str) else ""


def _add_unique(table: dict[str, Port], port: Port, code: str, place: PlaceOf, findings: Findings) -> None:
    first = table.setdefault(port.name, port)
    if first is port:
        return
    findings.add(
        code,
        f"two {port.mode.value} ports are called {port.name!r}",
        place(port.node, "unique_id"),
        "give one of them another unique_id",
        related=(("the other one", place(first.node, "unique_id")),),
    )


def _warn_of_shadowed_taps(
    writes: Mapping[str, Port], taps: dict[str, Port], place: PlaceOf, findings: Findings
) -> None:
    """Drop the taps whose name an OUTPUT port of the same workflow has: the OUTPUT defines it."""
    for name in [name for name in taps if name in writes]:
        tap = taps.pop(name)
        if tap.source == writes[name].source:
            continue
        findings.add(
            "DF206",
            f"PASSTHRU port {name!r} is hidden by the OUTPUT port of that name",
            place(tap.node, "unique_id"),
            "later workflows read the OUTPUT; rename the PASSTHRU if it is meant to be read",
            related=(("the OUTPUT", place(writes[name].node, "unique_id")),),
        )
