"""What the editor saves, read tolerantly: nodes, links and subgraph definitions as plain objects.

Nothing here judges by catalog. A part of the wrong type becomes a finding and is left out; all of them are reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from discomfort.compiler.frontend.text.javascript import text
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings
from discomfort.ir.untrusted_json.numbers import whole_slot

LinkId: TypeAlias = Any
"""A link's id as saved, numbers nearly always; a `BrokenLink` where no list of links holds it."""


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """A link that was saved for an input and that the editor cannot make: its id as saved, and what happened to it."""

    link: LinkId
    why: str


INPUT_NODE = "-10"
OUTPUT_NODE = "-20"
"""Ids of the nodes that represent a definition's own inputs and outputs inside it (workflow schema 1)."""

MUTED = 2
BYPASSED = 4


class SavedInput:
    """An input slot: its name, its type ("*" for any), the id of the link that feeds it, the widget it shows."""

    __slots__ = ("link", "name", "type", "widget")

    def __init__(self, name: str, type_: str, link: LinkId, widget: str | None) -> None:
        self.name: str = name
        self.type: str = type_
        self.link: LinkId = link
        self.widget: str | None = widget


class SavedNode:
    """A node as saved. `values` is `widgets_values`, whatever it was; `outputs` None when the save has none."""

    __slots__ = ("id", "inputs", "mode", "outputs", "properties", "raw", "row", "title", "type", "values")

    def __init__(self, node_id: str, type_: str, row: int, raw: Mapping[str, Any]) -> None:
        self.id: str = node_id
        self.type: str = type_
        self.row: int = row
        self.raw: Mapping[str, Any] = raw
        self.mode: object = raw.get("mode")
        title = raw.get("title")
        self.title: str | None = title if type(title) is str else None
        self.values: Any = raw.get("widgets_values")
        properties = raw.get("properties")
        self.properties: Mapping[str, Any] = properties if type(properties) is dict else {}
        self.inputs: list[SavedInput] | None = None
        self.outputs: list[str] | None = None


class SavedLink:
    """A link's origin and target; the target matters only for a definition's outputs and for Primitive nodes."""

    __slots__ = ("origin", "origin_slot", "target", "target_slot")

    def __init__(self, origin: str, origin_slot: int, target: str, target_slot: int) -> None:
        self.origin: str = origin
        self.origin_slot: int = origin_slot
        self.target: str = target
        self.target_slot: int = target_slot


class SavedPort:
    """An input or output of a subgraph definition: its name, its type, and the ids of the links on its inside."""

    __slots__ = ("links", "name", "type")

    def __init__(self, name: str, type_: str, links: list[LinkId]) -> None:
        self.name: str = name
        self.type: str = type_
        self.links: list[LinkId] = links


class SavedGraph:
    """The root graph, or one subgraph definition with its `inputs` and `outputs`."""

    __slots__ = ("id", "inputs", "links", "name", "nodes", "outputs", "path")

    def __init__(self, graph_id: str, name: str, path: str) -> None:
        self.id: str = graph_id
        self.name: str = name
        self.path: str = path
        self.nodes: dict[str, SavedNode] = {}
        self.links: dict[LinkId, SavedLink] = {}
        self.inputs: list[SavedPort] = []
        self.outputs: list[SavedPort] = []

    def path_of(self, node: SavedNode) -> str:
        """Return the JSON path of a node in the file."""
        return f"{self.path}.nodes[{node.row}]"

    def place_of(self, node: SavedNode, input_name: str | None = None) -> Place:
        """Return where a node (and one of its inputs) is written."""
        return Place(None, self.path_of(node), node.id, node.title or node.type, input_name)


class SavedWorkflow:
    """A whole save: the root graph, the definitions by id in file order, and `extra`."""

    __slots__ = ("definitions", "extra", "last_node_id", "root")

    def __init__(self, root: SavedGraph, definitions: dict[str, SavedGraph], document: Mapping[str, Any]) -> None:
        self.root: SavedGraph = root
        self.definitions: dict[str, SavedGraph] = definitions
        extra = document.get("extra")
        self.extra: Mapping[str, Any] = extra if type(extra) is dict else {}
        last = document.get("last_node_id")
        state = document.get("state")
        if type(state) is dict and last is None:
            last = state.get("lastNodeId")
        self.last_node_id: int = int(last) if isinstance(last, (int, float)) and abs(last) < 1e18 else 0


def slot_type(value: object) -> str:
    """Return a slot's type as text: any of `*`, 0, -1, "" and nothing is "*"; a list of options is joined by commas."""
    if type(value) is str:
        return value or "*"
    if value is None or value in (0, -1):
        return "*"
    return text(value)


def read_workflow(document: Mapping[str, Any], findings: Findings) -> SavedWorkflow:
    """Return the save's graphs; parts that cannot be read become findings."""
    version = document.get("version")
    by_rows = version == 0.4
    root = SavedGraph("", "", "$")
    if type(version) not in (int, float) and document.get("links"):
        findings.add(
            "DF110",
            f"the workflow's version is {version!r}, so the editor does not read its links",
            Place(path="$.version"),
            'set "version" to 0.4 (links as rows) or 1 (links as objects)',
        )
        by_rows = True
    _read_graph(root, document, findings, by_rows=by_rows)
    definitions: dict[str, SavedGraph] = {}
    saved = document.get("definitions")
    for position, raw in enumerate(_items(saved, "subgraphs", "$.definitions", findings)):
        path = f"$.definitions.subgraphs[{position}]"
        if type(raw) is not dict or type(raw.get("id")) is not str:
            findings.add("DF111", "a subgraph definition is not an object with a text `id`", Place(path=path))
            continue
        definition = SavedGraph(raw["id"], text(raw.get("name") or ""), path)
        _read_graph(definition, raw, findings, by_rows=False)
        definition.inputs = _read_ports(raw, "inputs", path, findings)
        definition.outputs = _read_ports(raw, "outputs", path, findings)
        _repair_ports(definition)
        definitions[definition.id] = definition
    return SavedWorkflow(root, definitions, document)


def _repair_ports(definition: SavedGraph) -> None:
    """Let ports that name a link which is not there name the first link of their own position instead."""
    links = definition.links
    lost = any(link not in links for port in (*definition.inputs, *definition.outputs) for link in port.links)
    if not lost:
        return
    inside: dict[tuple[str, int], LinkId] = {}
    for key, link in links.items():
        if link.origin == INPUT_NODE:
            inside.setdefault((INPUT_NODE, link.origin_slot), key)
        if link.target == OUTPUT_NODE:
            inside.setdefault((OUTPUT_NODE, link.target_slot), key)
    for side, ports in ((INPUT_NODE, definition.inputs), (OUTPUT_NODE, definition.outputs)):
        for position, port in enumerate(ports):
            port.links = [key if key in links else inside.get((side, position), key) for key in port.links]


def _items(holder: object, key: str, path: str, findings: Findings) -> list[Any]:
    """Return the list `holder[key]`; nothing for a missing one, a finding for anything else."""
    if holder is None:
        return []
    if type(holder) is not dict:
        findings.add("DF111", f"expected an object, found {type(holder).__name__}", Place(path=path))
        return []
    value = holder.get(key)
    if value is None:
        return []
    if type(value) is not list:
        findings.add("DF111", f"expected a list, found {type(value).__name__}", Place(path=f"{path}.{key}"))
        return []
    return value


def _read_graph(graph: SavedGraph, raw: Mapping[str, Any], findings: Findings, *, by_rows: bool) -> None:
    for row, item in enumerate(_items(raw, "nodes", graph.path, findings)):
        if findings.full:
            return
        node = read_node(item, row, graph, findings)
        if node is not None:
            key = node.id
            if key in graph.nodes:
                _report_twin(graph.nodes[key], node, graph, findings)
                key = key if graph.path == "$" else f"{key} of row {row}"
            graph.nodes[key] = node
    links = graph.links
    for row, item in enumerate(_items(raw, "links", graph.path, findings)):
        if findings.full:
            return
        link = _link_from_row(item) if by_rows else _link_from_object(item)
        if link is None:
            shape = "a row [id, origin, origin slot, target, target slot, type]" if by_rows else "an object"
            path = f"{graph.path}.links[{row}]"
            findings.add("DF110", f"a link is not {shape}", Place(path=path), "the editor refuses the whole workflow")
        else:
            links[link[0]] = link[1]


def _report_twin(first: SavedNode, second: SavedNode, graph: SavedGraph, findings: Findings) -> None:
    lost = "and is left out" if graph.path == "$" else "and loses its links to this one, which gets a new id"
    findings.add(
        "DF112",
        f"nodes[{first.row}] ({first.title or first.type}) has the same id, {lost}",
        graph.place_of(second),
        "open the workflow in the editor, which renumbers such nodes, and save it again",
    )


def _link_from_row(item: Any) -> tuple[LinkId, SavedLink] | None:
    try:
        link_id, origin, origin_slot, target, target_slot = item[:5]
        return _link(link_id, origin, origin_slot, target, target_slot)
    except (TypeError, ValueError, KeyError):
        return None


def _link_from_object(item: Any) -> tuple[LinkId, SavedLink] | None:
    try:
        return _link(item["id"], item["origin_id"], item["origin_slot"], item["target_id"], item["target_slot"])
    except (TypeError, ValueError, KeyError):
        return None


def _link(link_id: Any, origin: Any, origin_slot: Any, target: Any, target_slot: Any) -> tuple[LinkId, SavedLink]:
    hash(link_id)
    origin = str(origin) if type(origin) is int else text(origin)
    target = str(target) if type(target) is int else text(target)
    slot = target_slot if type(target_slot) is int else -1
    out = whole_slot(origin_slot if type(origin_slot) is float else int(origin_slot))
    return link_id, SavedLink(origin, out, target, slot)


def read_node(raw: Any, row: int, graph: SavedGraph, findings: Findings) -> SavedNode | None:
    """Return one node; None with a finding for what is not a node."""
    if type(raw) is not dict:
        findings.add(
            "DF111", f"a node is {type(raw).__name__}, not an object", Place(path=f"{graph.path}.nodes[{row}]")
        )
        return None
    node_id = raw.get("id")
    node_type = raw.get("type")
    key = str(node_id) if type(node_id) is int else text(node_id)
    if node_id is None or type(node_id) in (list, dict) or type(node_type) is not str:
        part = "type" if type(node_type) is not str else "id"
        found = raw.get(part)
        path = f"{graph.path}.nodes[{row}]"
        findings.add(
            "DF111", f"a node's `{part}` is {found!r:.40}", Place(path=path, node=None if part == "id" else key)
        )
        return None
    node = SavedNode(key, node_type, row, raw)
    inputs = raw.get("inputs")
    if inputs is not None:
        node.inputs = _read_inputs(inputs, node, graph, findings)
    outputs = raw.get("outputs")
    if type(outputs) is list:
        node.outputs = [slot_type(output.get("type")) if type(output) is dict else "*" for output in outputs]
    elif outputs is not None:
        _wrong_part(node, graph, "outputs", outputs, findings)
    return node


def _read_inputs(inputs: Any, node: SavedNode, graph: SavedGraph, findings: Findings) -> list[SavedInput] | None:
    if type(inputs) is not list:
        _wrong_part(node, graph, "inputs", inputs, findings)
        return None
    slots = []
    for raw in inputs:
        if type(raw) is not dict:
            _wrong_part(node, graph, "inputs", raw, findings)
            continue
        name = raw.get("name")
        link = raw.get("link")
        if type(link) in (list, dict):
            _wrong_part(node, graph, "link", link, findings)
            link = None
        slots.append(
            SavedInput(
                name if type(name) is str else text(name),
                slot_type(raw.get("type")),
                link,
                _widget_name(raw.get("widget"), name),
            )
        )
    return slots


def _widget_name(widget: Any, slot_name: Any) -> str | None:
    """Return the name of the widget that a slot shows; None for a plain socket."""
    if widget is None:
        return None
    name = widget.get("name") if type(widget) is dict else None
    return name if type(name) is str else text(slot_name)


def _wrong_part(node: SavedNode, graph: SavedGraph, part: str, found: object, findings: Findings) -> None:
    findings.add(
        "DF111",
        f"`{part}` holds {type(found).__name__} where the editor saves another kind of value",
        graph.place_of(node),
    )


def _read_ports(raw: dict[str, Any], key: str, path: str, findings: Findings) -> list[SavedPort]:
    ports = []
    for row, item in enumerate(_items(raw, key, path, findings)):
        if type(item) is not dict:
            findings.add("DF111", f"a subgraph's slot is {type(item).__name__}", Place(path=f"{path}.{key}[{row}]"))
            continue
        links = item.get("linkIds")
        ids = [link for link in links if type(link) not in (list, dict)] if type(links) is list else []
        ports.append(SavedPort(text(item.get("name") or ""), slot_type(item.get("type")), ids))
    return ports
