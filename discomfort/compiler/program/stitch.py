"""Composition of workflows over names, by reaching definitions (law L2).

Workflows run in list order. A parameter binds to the nearest earlier workflow that writes its name, else to the
nearest earlier PASSTHRU of that name, else to the context. A write after the read is the next iteration's value.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from discomfort.compiler.program.binding import Binding
from discomfort.compiler.program.ports import Mode, Port
from discomfort.compiler.program.workflows import LoadedWorkflow
from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import Findings, make_finding
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Origin, Param
from discomfort.ir.types.language import Signatures, needs_link
from discomfort.ir.walk import find_cycle, settled


@dataclass(frozen=True, slots=True)
class ReachingDefinition:
    """The value of a name at some point of the program, who wrote it and with which port."""

    value: Input
    writer: str
    port: Port


@dataclass(frozen=True, slots=True)
class Program:
    """The composed graph (PASSTHRU ports still in it as nodes), and how names were resolved.

    `reads` and `writes` hold the ports behind each parameter and result, as (workflow, port). `crossings` says for
    the inputs that a port fed which name and which workflow's definition reached them.
    """

    graph: Graph
    bindings: tuple[Binding, ...]
    reads: Mapping[str, tuple[tuple[str, Port], ...]]
    writes: Mapping[str, ReachingDefinition]
    taps: Mapping[str, ReachingDefinition]
    crossings: Mapping[tuple[NodeId, str], tuple[str, str]]


def stitch(units: Sequence[LoadedWorkflow]) -> Program:
    """Compose workflows in the given order. Linear in nodes + links."""
    nodes: dict[NodeId, Node] = {}
    effects: list[NodeId] = []
    bindings: list[Binding] = []
    reads: dict[str, tuple[tuple[str, Port], ...]] = {}
    writes: dict[str, ReachingDefinition] = {}
    taps: dict[str, ReachingDefinition] = {}
    crossings: dict[tuple[NodeId, str], tuple[str, str]] = {}
    for unit in units:
        values: dict[Link, Input] = {}
        for name, ports in unit.ports.reads.items():
            definition = writes.get(name) or taps.get(name)
            if definition is None:
                reads[name] = (*reads.get(name, ()), *((unit.name, port) for port in ports))
            bindings.append(_binding(name, unit.name, definition, written=name in writes))
            value: Input = Param(name) if definition is None else definition.value
            for port in ports:
                values[Link(port.node.id, 0)] = value
        _add_nodes(unit, values, nodes, writes=writes, taps=taps, crossings=crossings)
        effects.extend(NodeId(f"{unit.name}/{node_id}") for node_id in unit.graph.effects)
        for table, ports_by_name in ((writes, unit.ports.writes), (taps, unit.ports.taps)):
            new = {
                name: ReachingDefinition(_rename(port.source, unit.name, values), unit.name, port)
                for name, port in ports_by_name.items()
                if port.source is not None
            }
            table.update(new)
    graph = Graph(
        nodes,
        {name: definition.value for name, definition in writes.items()},
        tuple(effects),
        {name: definition.value for name, definition in taps.items() if name not in writes},
    )
    carried = {name for name in reads if name in writes}
    marked = tuple(_mark_carried(binding, carried) for binding in bindings)
    return Program(graph, marked, reads, writes, taps, crossings)


def _add_nodes(
    unit: LoadedWorkflow,
    values: dict[Link, Input],
    nodes: dict[NodeId, Node],
    *,
    writes: Mapping[str, ReachingDefinition],
    taps: Mapping[str, ReachingDefinition],
    crossings: dict[tuple[NodeId, str], tuple[str, str]],
) -> None:
    """Copy the nodes of a workflow into the program under their new ids, INPUT and OUTPUT ports left out.

    `values` says what replaces a link out of an INPUT port and is filled with the renamed form of all other links.
    """
    prefix = unit.name + "/"
    ports = unit.ports.by_node
    parameters = {Link(port.node.id, 0): port.name for port in ports.values() if port.mode is Mode.INPUT}
    for node_id, node in unit.graph.nodes.items():
        port = ports.get(node_id)
        if port is not None and port.mode is not Mode.PASSTHRU:
            continue
        new_id = NodeId(prefix + node_id)
        inputs = dict(node.inputs)
        for name, value in node.inputs.items():
            if type(value) is not Link:
                continue
            renamed = values.get(value)
            if renamed is None:
                renamed = values[value] = Link(NodeId(prefix + value.node), value.slot)
            elif value in parameters:
                definition = writes.get(parameters[value]) or taps.get(parameters[value])
                if definition is not None:
                    crossings[new_id, name] = (parameters[value], definition.writer)
            inputs[name] = renamed
        nodes[new_id] = Node(new_id, node.class_type, inputs, node.title, Origin(unit.name, node.origin.node))


def _rename(value: Input, workflow: str, values: Mapping[Link, Input]) -> Input:
    if not isinstance(value, Link):
        return value
    known = values.get(value)
    return known if known is not None else Link(NodeId(f"{workflow}/{value.node}"), value.slot)


def _binding(name: str, reader: str, definition: ReachingDefinition | None, *, written: bool) -> Binding:
    if definition is None:
        return Binding(name, reader, None, "context")
    return Binding(name, reader, definition.writer, "output" if written else "passthru")


def _mark_carried(binding: Binding, carried: set[str]) -> Binding:
    if binding.kind == "context" and binding.name in carried:
        return Binding(binding.name, binding.reader, None, "carried")
    return binding


def link_written_values(program: Program, units: Sequence[LoadedWorkflow], signatures: Signatures) -> Program:
    """Return the program with values that a workflow writes into a port linked where a literal may not stay as it is.

    The port that holds such a value becomes a node of the program.
    """
    graph = program.graph
    written = [place for place in program.crossings if type(graph.nodes[place[0]].inputs[place[1]]) is Literal]
    if not written:
        return program
    nodes = dict(graph.nodes)
    ports = {unit.name: unit.ports for unit in units}
    for node_id, input_name in written:
        node = nodes[node_id]
        node_class = signatures.catalog.get(node.class_type) if node.class_type else None
        if node_class is not None and needs_link(signatures.inputs(node_class, node.inputs).get(input_name)):
            name, writer = program.crossings[node_id, input_name]
            port = (ports[writer].writes.get(name) or ports[writer].taps[name]).node
            port_id, origin = NodeId(f"{writer}/{port.id}"), Origin(writer, port.origin.node)
            inputs = {**port.inputs, "input": node.inputs[input_name]}
            nodes.setdefault(port_id, Node(port_id, port.class_type, inputs, port.title, origin))
            nodes[node_id] = replace(node, inputs={**node.inputs, input_name: Link(port_id, 0)})
    return replace(program, graph=replace(graph, nodes=nodes))


def order_units(units: Sequence[LoadedWorkflow], findings: Findings) -> list[LoadedWorkflow]:
    """Return the workflows sorted by what they read and write (`order="auto"`), ties in list order.

    For each name, those that only write it come first, then those that read and write it (in list order), then those
    that only read it. A cycle is reported, and the list order kept.
    """
    after: list[set[int]] = [set() for _ in units]
    reasons: dict[tuple[int, int], str] = {}
    for name in dict.fromkeys(name for unit in units for name in (*unit.ports.reads, *unit.ports.writes)):
        reading = [index for index, unit in enumerate(units) if name in unit.ports.reads]
        writing = [index for index, unit in enumerate(units) if name in unit.ports.writes]
        both = [index for index in reading if index in writing]
        stages = [
            [index for index in writing if index not in reading],
            *([index] for index in both),
            [index for index in reading if index not in writing],
        ]
        filled = [stage for stage in stages if stage]
        for earlier, later in itertools.pairwise(filled):
            for first in earlier:
                for second in later:
                    after[first].add(second)
                    reasons.setdefault((first, second), name)
    order = settled(after)
    if len(order) < len(units):
        findings.extend([_cycle_finding(units, after, set(range(len(units))) - set(order), reasons)])
        return list(units)
    return [units[index] for index in order]


def _cycle_finding(
    units: Sequence[LoadedWorkflow], after: Sequence[set[int]], stuck: set[int], reasons: Mapping[tuple[int, int], str]
) -> Diagnostic:
    """Name one cycle: every stuck workflow waits for another stuck one, so walking back must close a ring."""
    cycle = find_cycle(min(stuck), lambda waiting: min(index for index in stuck if waiting in after[index]))
    ring = [cycle[-1], *cycle]
    steps = [
        f"{units[first].name} writes {reasons[first, second]!r} for {units[second].name}"
        for first, second in itertools.pairwise(ring)
    ]
    return make_finding(
        "DF208",
        f"the workflows need each other: {'; '.join(steps)}",
        Place(file=units[ring[0]].workflow.source),
        'give the workflows in the order in which they run and leave order="list"',
    )
