"""Legacy group nodes (`workflow>Name`), which the editor turns into subgraphs when it loads a workflow."""

from __future__ import annotations

from typing import Any

from discomfort.compiler.catalog import NodeClass
from discomfort.compiler.frontend.findings import Findings
from discomfort.compiler.frontend.javascript import text
from discomfort.compiler.frontend.layout import Layout, Layouts
from discomfort.compiler.frontend.models import (
    INPUT_NODE,
    OUTPUT_NODE,
    SavedGraph,
    SavedLink,
    SavedNode,
    SavedPort,
    SavedWorkflow,
    read_node,
)
from discomfort.compiler.frontend.virtual import VIRTUAL
from discomfort.compiler.frontend.widgets import widget_values

_MARKS = ("workflow>", "workflow/")


def groups_to_subgraphs(workflow: SavedWorkflow, layouts: Layouts, findings: Findings) -> None:
    """Replace each group node by a host of a subgraph of its own.

    With L the largest id so far, the k inner nodes get L+1 … L+k and the host L+k+1, group after group.
    """
    groups = workflow.extra.get("groupNodes")
    if type(groups) is not dict:
        return
    hosts = [node for node in workflow.root.nodes.values() if node.type.startswith(_MARKS)]
    last = max([workflow.last_node_id, *(int(key) for key in workflow.root.nodes if key.isdecimal())])
    for host in hosts:
        group = groups.get(host.type[len(_MARKS[0]) :])
        if not isinstance(group, dict):
            continue
        nodes, rows = group.get("nodes"), group.get("links")
        if type(nodes) is not list or not all(type(raw) is dict for raw in nodes):
            continue
        definition = SavedGraph(f"group:{host.id}", host.type, f"$.extra.groupNodes[{host.type[9:]!r}]")
        inner = [read_node({**raw, "id": last + 1 + row}, row, definition, findings) for row, raw in enumerate(nodes)]
        present = [node for node in inner if node is not None]
        if len(present) != len(nodes) or not all(_converted(node, layouts) for node in present):
            continue
        last += len(present) + 1
        definition.nodes = {node.id: node for node in present}
        linked = _links_inside(definition, present, rows)
        _distribute(host, present, linked, layouts)
        _ports(definition, present, linked)
        workflow.definitions[definition.id] = definition
        _become_host(workflow.root, host, definition, str(last))


_UNCONVERTED = frozenset({"LoadImage", "LoadImageMask"})
"""Groups with one of these stay as they are in the editor (observed), and so are of an unknown type."""


def _converted(node: SavedNode, layouts: Layouts) -> bool:
    """Return whether the editor takes the node into a subgraph: a group with a node of unknown type stays a group."""
    return node.type not in _UNCONVERTED and (node.type in VIRTUAL or layouts.get(node.type) is not None)


def _links_inside(definition: SavedGraph, nodes: list[SavedNode], rows: Any) -> set[tuple[int, int]]:
    """Connect the inner nodes; return (row of the target, slot) of each connected input."""
    linked: set[tuple[int, int]] = set()
    for number, row in enumerate(rows if type(rows) is list else ()):
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
    return linked


def _distribute(host: SavedNode, nodes: list[SavedNode], linked: set[tuple[int, int]], layouts: Layouts) -> None:
    """Give the host's values to the inner widgets, as the editor counts them: lists of options keep their own.

    What a dynamic combo adds has places among the host's values too, but gets its defaults: taking a choice anew
    makes these widgets anew.
    """
    values = host.values if type(host.values) is list else []
    base = 0
    for row, node in enumerate(nodes):
        layout = layouts.get(node.type)
        if layout is None:
            continue
        own = node.values if type(node.values) is list else []
        given: list[Any] = []
        position = base
        added = 0
        for place, widget in enumerate(layout.widgets):
            if widget.kind == "COMBO" and widget.listed:
                given.append(own[place] if place < len(own) else widget.default)
                continue
            given.append(values[position] if position < len(values) else widget.default)
            position += 1
            branch = None if widget.branches is None else widget.branches.get(text(given[-1]))
            if branch is not None:
                given += _saved_values(branch, None)
                count = len(_saved_values(branch, values[position:]))
                position, added = position + count, added + count
        node.values = given
        base += len(layout.widgets) + added - _hidden(layout, layouts.catalog[node.type], row, linked)


def _saved_values(layout: Layout, values: list[Any] | None) -> list[Any]:
    """Return the values of all widgets, those of taken choices among them, as a node would save them."""
    loaded = widget_values(layout, SavedNode("", "", 0, {"widgets_values": values}))
    return [value for widget, value in loaded if widget.saved]


def _hidden(layout: Layout, known: NodeClass, row: int, linked: set[tuple[int, int]]) -> int:
    """Return how many of an inner node's widgets the host does not count because links inside feed them."""
    declared = [spec for spec in known.inputs if spec.group != "hidden"]
    names = {widget.name for widget in layout.widgets}
    return sum(
        target == row
        and slot < len(declared)
        and declared[slot].name in names
        and declared[slot].type in ("INT", "COMBO")
        for target, slot in linked
    )


def _ports(definition: SavedGraph, nodes: list[SavedNode], linked: set[tuple[int, int]]) -> None:
    """Make an input of each open inner input and an output of each inner output, named as groups name them."""
    number = len(definition.links) + 10_000
    names: set[str] = set()
    for row, node in enumerate(nodes):
        for slot, given in enumerate(node.inputs or ()):
            if (row, slot) in linked:
                continue
            if given.link is not None:
                given.link = f"{given.link}, saved with the group,"  # no link inside has it: the editor refuses
                continue
            if given.widget is not None:
                continue
            name = _free(given.name, node.title or node.type, names)
            given.link = number
            definition.links[number] = SavedLink(INPUT_NODE, len(definition.inputs), node.id, slot)
            definition.inputs.append(SavedPort(name, given.type, [number]))
            number += 1
    for node in nodes:
        for slot, type_ in enumerate(node.outputs or ()):
            definition.links[number] = SavedLink(node.id, slot, OUTPUT_NODE, len(definition.outputs))
            definition.outputs.append(SavedPort(f"{node.id}.{slot}", type_, [number]))
            number += 1


def _free(name: str, owner: str, taken: set[str]) -> str:
    found = name
    count = 1
    while found in taken:
        found = f"{owner} {name}" if count == 1 else f"{owner} {name} {count}"
        count += 1
    taken.add(found)
    return found


def _become_host(root: SavedGraph, host: SavedNode, definition: SavedGraph, node_id: str) -> None:
    for link in root.links.values():
        if link.origin == host.id:
            link.origin = node_id
        if link.target == host.id:
            link.target = node_id
    host.type, host.values, host.id = definition.id, None, text(node_id)
    host.mode = 0  # muted or bypassed groups wake up
    root.nodes = {node.id: node for node in root.nodes.values()}
