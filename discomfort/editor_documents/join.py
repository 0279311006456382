"""Workflows as the editor saves them, joined without leaving the editor's format.

What the compiler does on graphs, this does on documents: the result opens in ComfyUI. It serves `Tools`, and the
workflow that goes into the images a run saves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from discomfort.compiler.call_checks import list_sources
from discomfort.compiler.frontend import Workflow, load_workflow
from discomfort.compiler.plan.model import PlanInput, PlanOutput
from discomfort.compiler.program.ports import Mode, read_ports
from discomfort.editor_documents.read import (
    EditorLink,
    is_distance,
    is_id,
    is_point,
    read_group_nodes,
    read_groups,
    read_links,
    read_nodes,
    read_subgraphs,
)
from discomfort.ir.catalog.effects import PORT_CLASS
from discomfort.ir.diagnostics import CompileError, Diagnostic, Place
from discomfort.ir.findings import Findings, make_finding
from discomfort.ir.untrusted_json.numbers import whole_id
from discomfort.ir.walk import CycleError, topological_order

GAP = 120
"""Pixels between two workflows laid side by side."""


@dataclass(slots=True)
class Canvas:
    """A document being built: its nodes and links by id, and everything else it carries."""

    nodes: dict[int, dict[str, Any]] = field(default_factory=dict)
    links: dict[int, EditorLink] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    subgraphs: dict[str, dict[str, Any]] = field(default_factory=dict)
    group_nodes: dict[str, Any] = field(default_factory=dict)
    right: float = 0.0

    def connect(self, link: EditorLink) -> None:
        """Add a link and enter it at both of its ends."""
        self.links[link.id] = link
        _slot(self.nodes[link.target], "inputs", link.target_slot)["link"] = link.id
        output = _slot(self.nodes[link.origin], "outputs", link.origin_slot)
        output["links"] = [*(output.get("links") or []), link.id]

    def disconnect(self, link_id: int) -> EditorLink:
        """Take a link out, at both of its ends, and return it."""
        link = self.links.pop(link_id)
        _slot(self.nodes[link.target], "inputs", link.target_slot)["link"] = None
        output = _slot(self.nodes[link.origin], "outputs", link.origin_slot)
        output["links"] = [other for other in output.get("links") or [] if other != link_id]
        return link

    def remove(self, node_id: int) -> None:
        """Take a node out together with every link that touches it."""
        for link in [link for link in self.links.values() if node_id in (link.origin, link.target)]:
            self.disconnect(link.id)
        del self.nodes[node_id]

    def document(self) -> dict[str, Any]:
        """Return the whole as a litegraph 0.4 document."""
        document: dict[str, Any] = {
            "last_node_id": max(self.nodes, default=0),
            "last_link_id": max(self.links, default=0),
            "nodes": list(self.nodes.values()),
            "links": [link.row() for link in self.links.values()],
            "groups": self.groups,
            "config": {},
            "extra": {"groupNodes": self.group_nodes} if self.group_nodes else {},
            "version": 0.4,
        }
        if self.subgraphs:
            document["definitions"] = {"subgraphs": list(self.subgraphs.values())}
        return document


@dataclass(frozen=True, slots=True)
class EditorPort:
    """A DiscomfortPort: its node id as text, its name, and what it is."""

    node: str
    unique_id: str
    mode: Mode


def editor_ports(workflow: Workflow) -> tuple[list[EditorPort], Findings]:
    """Return the ports of a workflow, classified after reroutes, bypass, mute and subgraphs, and all findings."""
    findings = Findings()
    findings.extend(workflow.diagnostics)
    interface = read_ports(
        workflow.graph,
        lambda node, name: Place(workflow.source, workflow.paths.get(node.id), node.id, node.title, name),
        findings,
    )
    return [EditorPort(str(node), port.name, port.mode) for node, port in interface.by_node.items()], findings


def discover_ports(source: Any) -> dict[str, Any]:
    """See `WorkflowTools.discover_port_nodes`."""
    from discomfort.compiler import compile_to
    from discomfort.compiler.plan.model import PlanData
    from discomfort.ir.catalog.catalog import default_catalog

    workflow = load_workflow(source, default_catalog())
    plan = compile_to(PlanData, [source])
    nodes = {node["id"]: node for node in read_nodes(workflow.document)}
    tables: dict[str, dict[str, Any]] = {
        "inputs": {name: _port_info(port) for name, port in plan.inputs.items()},
        "outputs": {name: _port_info(port) for name, port in plan.outputs.items()},
        "passthrus": {name: _port_info(port) for name, port in plan.taps.items()},
    }
    return {
        **tables,
        "execution_order": [_number(node) for node in _execution_order(workflow)],
        "nodes": nodes,
        "links": [link.row() for link in read_links(workflow.document)],
        "unique_id_to_node": {name: info["node_id"] for table in tables.values() for name, info in table.items()},
    }


def is_valid_document(document: Any) -> bool:
    """See `WorkflowTools.validate_workflow`."""
    if not isinstance(document, Mapping) or not isinstance(document.get("nodes"), list):
        return False
    if not isinstance(document.get("links"), list):
        return False
    nodes = document["nodes"]
    if not all(isinstance(node, Mapping) and "id" in node and "type" in node for node in nodes):
        return False
    ids = {node["id"] for node in nodes if is_id(node["id"])}
    links = read_links(document)
    return (
        len(ids) == len(nodes)
        and len(links) == len(document["links"])
        and all(link.origin in ids and link.target in ids for link in links)
    )


def stitch(sources: Sequence[Any], *, delete_input_ports: bool, delete_output_ports: bool) -> dict[str, Any]:
    """See `WorkflowTools.stitch_workflows`."""
    from discomfort.ir.catalog.catalog import default_catalog

    catalog = default_catalog()
    canvas = stitch_documents([load_workflow(source, catalog) for source in list_sources(sources)])
    by_mode = discover_ports(canvas.document())
    unwanted = {Mode.INPUT} if delete_input_ports else set()
    unwanted |= {Mode.OUTPUT} if delete_output_ports else set()
    ports, _ = editor_ports(load_workflow(canvas.document(), catalog)) if unwanted else ([], [])
    for port in ports:
        if port.mode in unwanted:
            canvas.remove(int(port.node))  # the canvas has numbered it
    return {
        "stitched_workflow": canvas.document(),
        "inputs": {} if delete_input_ports else by_mode["inputs"],
        "outputs": {} if delete_output_ports else by_mode["outputs"],
        "execution_order": [node for node in by_mode["execution_order"] if node in canvas.nodes],
    }


def remove_reroutes(
    nodes: Mapping[Any, Mapping[str, Any]], links: Sequence[Sequence[Any]]
) -> tuple[dict[Any, dict[str, Any]], list[list[Any]], dict[int, int]]:
    """See `WorkflowTools.remove_reroute_nodes`."""
    canvas = Canvas({key: copy.deepcopy(dict(node)) for key, node in nodes.items()})
    canvas.links = {link.id: link for link in read_links({"links": links})}
    became: dict[int, int] = {}
    for reroute in [key for key, node in nodes.items() if node.get("type") == "Reroute"]:
        feeding = next((link for link in canvas.links.values() if link.target == reroute), None)
        for link in [link for link in canvas.links.values() if link.origin == reroute]:
            canvas.disconnect(link.id)
            if feeding is not None:
                became[feeding.id] = link.id
                link.origin, link.origin_slot, link.type = feeding.origin, feeding.origin_slot, feeding.type
                canvas.connect(link)
        canvas.remove(reroute)
    return canvas.nodes, [link.row() for link in canvas.links.values()], became


def _port_info(port: PlanInput | PlanOutput) -> dict[str, Any]:
    return {
        "node_id": _number(port.ports[0].origin.node),
        "tags": list(port.tags),
        "type": port.type,
        "input_type": port.type if isinstance(port, PlanOutput) else None,
        "output_type": port.type if isinstance(port, PlanInput) or port.kind == "passthru" else None,
    }


def _execution_order(workflow: Workflow) -> Sequence[str]:
    """Return the nodes, producers first.

    Raises:
        CompileError: there is a cycle, also among nodes that no result needs.
    """
    try:
        return topological_order(workflow.graph)
    except CycleError as error:
        node = workflow.graph.nodes[error.cycle[0]]
        place = Place(workflow.source, workflow.paths.get(node.id), node.id, node.title)
        raise CompileError([make_finding("DF301", str(error), place)]) from error


def _number(node: str) -> int | str:
    number = whole_id(node)
    return node if number is None else number


def stitch_documents(workflows: Sequence[Workflow]) -> Canvas:
    """Return one canvas of several workflows, laid side by side.

    An INPUT port reads what the nearest earlier workflow wrote under its name: its consumers are wired to that
    source and the port disappears. Of the ports of several workflows that write one name the last OUTPUT stays, else
    the last PASSTHRU.

    Raises:
        CompileError: a workflow is not one that the editor saved, or has a port inside a subgraph.
    """
    ports: list[list[EditorPort]] = []
    findings = Findings()
    if not workflows:
        findings.add("DF209", "there is no workflow to join", Place())
    for workflow in workflows:
        own, own_findings = editor_ports(workflow)
        ports.append(own)
        findings.extend(own_findings)
        findings.extend(_refusals(workflow, own))
    findings.raise_errors()
    canvas = Canvas()
    written: dict[str, list[int]] = {}
    tapped: dict[str, list[int]] = {}
    replaced: list[int] = []
    for workflow, own in zip(workflows, ports, strict=True):
        renamed = _place(canvas, workflow.document)
        placed: dict[Mode, dict[str, list[int]]] = {mode: {} for mode in Mode}
        for port in own:
            placed[port.mode].setdefault(port.unique_id, []).append(renamed[port.node])
        for name, nodes in placed[Mode.INPUT].items():
            if (sources := written.get(name) or tapped.get(name)) is not None:
                _wire_past(canvas, nodes, _feeding(canvas, sources[0]))
        for name, nodes in placed[Mode.PASSTHRU].items():
            _dissolve(canvas, tapped.get(name, []))
            tapped[name] = nodes
        for name, nodes in placed[Mode.OUTPUT].items():
            replaced += written.get(name, [])
            written[name] = nodes
    for name in [name for name in tapped if name in written and len(workflows) > 1]:
        _dissolve(canvas, tapped[name])
    for node in replaced:
        _remove_with_feeders(canvas, node)
    return canvas


def _refusals(workflow: Workflow, ports: Iterable[EditorPort]) -> Iterable[Diagnostic]:
    if workflow.kind != "ui":
        yield make_finding(
            "DF150",
            "this is an API prompt; only workflows saved by the editor can be joined into one that it opens",
            Place(file=workflow.source),
            "save it from the editor with Save instead of Export (API)",
        )
    for port in ports:
        if ":" in port.node:
            yield make_finding(
                "DF151",
                f"the port {port.unique_id!r} is inside a subgraph, where documents cannot be joined",
                Place(file=workflow.source, node=port.node),
                "move the port to the root of the workflow and link it through the subgraph's slots",
            )


def _feeding(canvas: Canvas, port: int) -> EditorLink:
    """Return the link into a port; its texts may be linked too."""
    slots = canvas.nodes[port]["inputs"]
    into = (link for link in canvas.links.values() if link.target == port)
    return next(link for link in into if slots[link.target_slot].get("name") == "input")


def _wire_past(canvas: Canvas, ports: Iterable[int], feeding: EditorLink) -> None:
    """Wire the consumers of ports to the output from which `feeding` comes, and take the ports out."""
    for port in ports:
        for link in [link for link in canvas.links.values() if link.origin == port]:
            canvas.disconnect(link.id)
            link.origin, link.origin_slot = feeding.origin, feeding.origin_slot
            canvas.connect(link)
        canvas.remove(port)


def _dissolve(canvas: Canvas, taps: Iterable[int]) -> None:
    """Take out PASSTHRU ports whose name means something else now."""
    for tap in taps:
        _wire_past(canvas, [tap], _feeding(canvas, tap))


def _remove_with_feeders(canvas: Canvas, port: int) -> None:
    """Take out an OUTPUT port, and the ports and reroutes that handed a value to nothing else."""
    stack = [port]
    while stack:
        node = stack.pop()
        feeders = [link.origin for link in canvas.links.values() if link.target == node]
        canvas.remove(node)
        stack += [
            feeder
            for feeder in dict.fromkeys(feeders)
            if canvas.nodes[feeder]["type"] in (PORT_CLASS, "Reroute")
            and not any(link.origin == feeder for link in canvas.links.values())
        ]


def _place(canvas: Canvas, document: Mapping[str, Any]) -> dict[str, int]:
    """Put a document on the canvas right of what is there; return its old node ids (as text) → new ones."""
    nodes = read_nodes(document)
    types = _merge_subgraphs(canvas, document)
    canvas.group_nodes.update(read_group_nodes(document))
    first_node = max(canvas.nodes, default=0) + 1
    renamed = {str(node["id"]): first_node + index for index, node in enumerate(nodes)}
    links = [link for link in read_links(document) if {str(link.origin), str(link.target)} <= renamed.keys()]
    first_link = max(canvas.links, default=0) + 1
    numbers = {link.id: first_link + index for index, link in enumerate(links)}
    left, right = _extent(nodes)
    shift = canvas.right + GAP - left if canvas.nodes else 0.0
    for node in nodes:
        _move(node, numbers, shift)
        node["id"] = renamed[str(node["id"])]
        node["type"] = types.get(str(node.get("type")), node.get("type"))
        canvas.nodes[node["id"]] = node
    for link in links:
        link.id, link.origin, link.target = numbers[link.id], renamed[str(link.origin)], renamed[str(link.target)]
        canvas.links[link.id] = link
    for group in read_groups(document):
        if is_point(group.get("bounding")):
            group["bounding"][0] += shift
        canvas.groups.append(group)
    canvas.right = max(canvas.right, right + shift)
    return renamed


def _move(node: dict[str, Any], numbers: Mapping[int, int], shift: float) -> None:
    """Shift a node to the right, and give its links their new numbers."""
    for slot in node.get("inputs", ()):
        slot["link"] = numbers.get(slot["link"])
    for slot in node.get("outputs", ()):
        slot["links"] = [numbers[link] for link in slot["links"] if link in numbers]
    position: Any = node.get("pos")
    if is_point(position):
        node["pos"] = [position[0] + shift, position[1]]
    elif isinstance(position, dict) and is_distance(position.get("0", 0)):  # older saves write {"0": x, "1": y}
        node["pos"] = {**position, "0": position.get("0", 0) + shift}


def _merge_subgraphs(canvas: Canvas, document: Mapping[str, Any]) -> dict[str, str]:
    """Add the document's subgraph definitions; return new ids for those whose id means something else already."""
    definitions = read_subgraphs(document)
    renamed: dict[str, str] = {
        definition["id"]: _free_id(definition["id"], canvas.subgraphs)
        for definition in definitions
        if canvas.subgraphs.get(definition["id"], definition) != definition
    }
    for definition in definitions:
        saved: str = definition["id"]
        own = definition["id"] = renamed.get(saved, saved)
        for node in definition["nodes"]:
            if is_id(node.get("type")):
                node["type"] = renamed.get(node["type"], node["type"])
        canvas.subgraphs[own] = definition
    return renamed


def _free_id(taken: str, used: Mapping[str, Any]) -> str:
    number = 2
    while f"{taken}-{number}" in used:
        number += 1
    return f"{taken}-{number}"


def _slot(node: Mapping[str, Any], side: str, index: int) -> dict[str, Any]:
    slots = node.get(side) or []
    return slots[index] if 0 <= index < len(slots) else {}


def _extent(nodes: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the leftmost and rightmost x of the nodes, in pixels; 0 and 0 where no node has a position."""
    read: Callable[[Any], tuple[float, ...]] = lambda value: tuple(value[:2]) if is_point(value) else (0.0, 0.0)  # noqa: E731
    spans = [(read(node.get("pos"))[0], read(node.get("size"))[0]) for node in nodes]
    return min((x for x, _ in spans), default=0.0), max((x + width for x, width in spans), default=0.0)
