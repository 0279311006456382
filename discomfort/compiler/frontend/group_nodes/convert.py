"""Legacy group nodes (`workflow>Name`), which the editor turns into subgraphs when it loads a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from discomfort.compiler.frontend.group_nodes.left_as_nodes import can_be_created, group_layout
from discomfort.compiler.frontend.group_nodes.shape import GroupShape, GroupShapeBuilder, InnerLink, Slot
from discomfort.compiler.frontend.group_nodes.values import feed_from_primitives, forget_choices, give_values
from discomfort.compiler.frontend.saved.document import (
    INPUT_NODE,
    OUTPUT_NODE,
    BrokenLink,
    SavedGraph,
    SavedInput,
    SavedLink,
    SavedNode,
    SavedPort,
    SavedWorkflow,
    read_node,
    slot_type,
)
from discomfort.compiler.frontend.saved.editor_only_nodes import GROUP_MARKS, PRIMITIVE, VIRTUAL
from discomfort.compiler.frontend.text.javascript import text
from discomfort.compiler.frontend.widgets.class_widgets import MATCH_TYPE, Layout, Layouts
from discomfort.compiler.frontend.widgets.slots import fits
from discomfort.ir.findings import Findings
from discomfort.ir.untrusted_json.numbers import whole_id

_LOST = "the editor finds the ends of a group node's links by position; connect it again in the editor"


def groups_to_subgraphs(workflow: SavedWorkflow, layouts: Layouts, findings: Findings) -> Layouts:
    """Replace each group node by a host of a subgraph of its own; return the layouts of all nodes that are left.

    With L the largest id so far, the k inner nodes get L+1 … L+k and the host L+k+1, group after group.
    """
    groups = workflow.extra.get("groupNodes")
    if type(groups) is not dict:
        return layouts
    hosts = [node for node in workflow.root.nodes.values() if node.type.startswith(GROUP_MARKS)]
    last = max([workflow.last_node_id, *(whole_id(key) or 0 for key in workflow.root.nodes)])
    inside = _groups_inside(workflow, groups, layouts)
    for host in hosts:
        name = host.type[len(GROUP_MARKS[0]) :]
        read = _read_group(name, groups.get(name), last, layouts)
        if read is None:
            continue
        if any(node.type.startswith(GROUP_MARKS) for node in read.nodes):
            _remove_nested(workflow.root, host, findings)
            continue
        read.definition.id = f"group:{host.id}"
        last += len(read.nodes) + 1
        give_values(workflow.root, host, read.nodes, read.shape, layouts)
        forget_choices(read.nodes, read.shape, layouts)
        feed_from_primitives(read.nodes, read.links, layouts)
        _drop_misfits(workflow.root, host, read, layouts, findings)
        _ports(workflow.root, host, read, layouts, findings)
        workflow.definitions[read.definition.id] = read.definition
        _become_host(workflow.root, host, read.definition, str(last))
    return layouts.with_groups(inside) if inside else layouts


def _groups_inside(
    workflow: SavedWorkflow, groups: Mapping[str, Any], layouts: Layouts
) -> dict[str, tuple[str, Layout]]:
    """Return title and layout, by type, of the groups whose nodes are inside subgraphs: those stay as they are."""
    found: dict[str, tuple[str, Layout]] = {}
    for definition in workflow.definitions.values():
        for node in definition.nodes.values():
            name = node.type[len(GROUP_MARKS[0]) :]
            if node.type.startswith(GROUP_MARKS[0]) and node.type not in found:
                read = _read_group(name, groups.get(name), 0, layouts)
                if read is not None:
                    found[node.type] = name, group_layout(read.nodes, read.shape, layouts)
    return found


@dataclass(frozen=True, slots=True)
class _Group:
    """A group node's definition, with its nodes and links in the order of the group, and its shape."""

    definition: SavedGraph
    nodes: list[SavedNode]
    links: list[InnerLink]
    shape: GroupShape


def _read_group(name: str, group: object, last: int, layouts: Layouts) -> _Group | None:
    """Return a group; None for one that stays as it is.

    That is a group with a node of unknown type, or one that the editor cannot create.
    """
    nodes = group.get("nodes") if isinstance(group, dict) else None
    if not isinstance(group, dict) or type(nodes) is not list or not all(type(raw) is dict for raw in nodes):
        return None
    definition = SavedGraph("", f"workflow>{name}", f"$.extra.groupNodes[{name!r}]")
    quiet = Findings("")
    read = [read_node({**raw, "id": last + 1 + row}, row, definition, quiet) for row, raw in enumerate(nodes)]
    present = [node for node in read if node is not None]
    if len(present) != len(nodes) or not all(_is_known(node, layouts) for node in present):
        return None
    definition.nodes = {node.id: node for node in present}
    links = _links_inside(definition, present, group.get("links"))
    shape = GroupShapeBuilder(present, links, group, layouts).shape()
    return _Group(definition, present, links, shape) if can_be_created(shape) else None


def _is_known(node: SavedNode, layouts: Layouts) -> bool:
    return node.type in VIRTUAL or node.type.startswith(GROUP_MARKS) or layouts.get(node.type) is not None


def _remove_nested(root: SavedGraph, host: SavedNode, findings: Findings) -> None:
    """Take a group node that holds another out of the workflow, as the editor does when it fails on it."""
    findings.add(
        "DF116",
        "this group node holds another group node, which the editor cannot take apart",
        root.place_of(host),
        "ungroup it in an older editor, and save again",
    )
    del root.nodes[host.id]
    for node in root.nodes.values():
        for slot in node.inputs or ():
            link = root.links.get(slot.link)
            if link is not None and link.origin == host.id:
                slot.link = None


def _links_inside(definition: SavedGraph, nodes: list[SavedNode], rows: Any) -> list[InnerLink]:
    """Connect the inner nodes; return the links. Saved inputs that no such link feeds have none."""
    found: list[InnerLink] = []
    linked: set[Slot] = set()
    written: dict[int, list[int]] = {}
    listed: list[Any] = rows if type(rows) is list else []
    for number, row in enumerate(listed):
        if type(row) is not list or len(row) < 4 or not all(type(part) is int for part in row[:4]):
            continue
        origin, origin_slot, target, slot = row[:4]
        if not (0 <= origin < len(nodes) and 0 <= target < len(nodes)):
            continue
        inputs = nodes[target].inputs or []
        if 0 <= slot < len(inputs):
            definition.links[number] = SavedLink(nodes[origin].id, origin_slot, nodes[target].id, slot)
            inputs[slot].link = number
            linked.add((target, slot))
        found.append(InnerLink((origin, origin_slot), (target, slot), slot_type(row[5] if len(row) > 5 else None)))
        written.setdefault(origin, []).append(number)
    for place, node in enumerate(nodes):
        if node.type == PRIMITIVE:
            node.raw = {**node.raw, "outputs": [{"links": written.get(place, [])}]}
        for slot, given in enumerate(node.inputs or ()):
            if given.link is not None and (place, slot) not in linked:
                given.link = BrokenLink(given.link, "saved with the group")  # no link inside has it: the editor refuses
    return found


def _ports(root: SavedGraph, host: SavedNode, group: _Group, layouts: Layouts, findings: Findings) -> None:
    """Make an input for each link from outside that arrives at an inner input, and the outputs that the group shows."""
    definition, nodes, shape = group.definition, group.nodes, group.shape
    number = max(definition.links, default=-1) + 1  # those inside are numbered by their rows
    saved = {slot.name: slot for slot in host.inputs or ()}
    slots = [saved.get(name) for name in shape.slots]
    slots += [slot for name, slot in saved.items() if name not in shape.slots]
    lost = {slot.name: slot for slot in host.inputs or () if root.links.get(slot.link) is not None}
    host.inputs = []
    for row, name, place in shape.inputs:
        given = slots[place] if place < len(slots) else None
        link = None if given is None else root.links.get(given.link)
        socket = _inner_input(nodes[row], name, layouts)
        if given is None or link is None or socket is None or not fits(given.type, socket.type):
            continue
        port = f"{row}.{name}"
        socket.link = number
        definition.links[number] = SavedLink(INPUT_NODE, len(definition.inputs), nodes[row].id, -1)
        definition.inputs.append(SavedPort(port, socket.type, [number]))
        host.inputs.append(SavedInput(port, socket.type, given.link, None))
        lost.pop(given.name, None)
        number += 1
    for row, slot in shape.outputs:
        definition.links[number] = SavedLink(nodes[row].id, slot, OUTPUT_NODE, len(definition.outputs))
        definition.outputs.append(SavedPort(f"{row}.{slot}", "*", [number]))
        number += 1
    for name, given in lost.items():
        origin = root.nodes.get(root.links[given.link].origin)
        if origin is not None and origin.type != PRIMITIVE:
            message = "the link to this input of a group node is lost, as in the editor"
            findings.add("DF117", message, root.place_of(host, name), _LOST)


def _drop_misfits(root: SavedGraph, host: SavedNode, group: _Group, layouts: Layouts, findings: Findings) -> None:
    """Cut the links of the group node's outputs that cannot be made again: no such output, or types that do not fit."""
    for node in root.nodes.values():
        for given in node.inputs or ():
            link = root.links.get(given.link)
            if link is None or link.origin != host.id:
                continue
            outputs = group.shape.outputs
            inner = outputs[link.origin_slot] if 0 <= link.origin_slot < len(outputs) else None
            if inner is None or not fits(_output_type(group.nodes[inner[0]], inner[1], layouts), given.type):
                given.link = None
                message = f"the link from output {link.origin_slot} of group node {host.id} is lost, as in the editor"
                findings.add("DF117", message, root.place_of(node, given.name), _LOST)


def _output_type(node: SavedNode, slot: int, layouts: Layouts) -> str:
    known = layouts.catalog.get(node.type)
    if known is None or known.outputs[slot].type == MATCH_TYPE:
        return "*"
    return known.outputs[slot].type


def _inner_input(node: SavedNode, name: str, layouts: Layouts) -> SavedInput | None:
    """Return the input of an inner node, made where it was not saved."""
    for slot in node.inputs or ():
        if slot.name == name:
            return slot
    known = layouts.catalog.get(node.type)
    spec = next((each for each in known.inputs if each.name == name), None) if known else None
    if spec is None:
        return None
    made = SavedInput(name, spec.type, None, None)
    node.inputs = [*(node.inputs or ()), made]
    return made


def _become_host(root: SavedGraph, host: SavedNode, definition: SavedGraph, node_id: str) -> None:
    for link in root.links.values():
        if link.origin == host.id:
            link.origin = node_id
        if link.target == host.id:
            link.target = node_id
    host.type, host.values, host.id = definition.id, None, text(node_id)
    host.mode = 0  # muted or bypassed groups are active again
    root.nodes = {node.id: node for node in root.nodes.values()}
