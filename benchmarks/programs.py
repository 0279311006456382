"""Synthetic programs of a given size, as the editor saves them: what large compiles are measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]


class Sheet:
    """One graph being drawn: a workflow, or the inside of a subgraph."""

    def __init__(self, first: int = 1) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.links: list[list[Any]] = []
        self._next = first

    def add(self, class_type: str, kind: str, *sources: tuple[str, int, str], widgets: list[Any] | None = None) -> int:
        """Add a node with one output of type `kind`, fed by `(input name, node, type)`; return its id."""
        node = self._next
        self._next += 1
        slots: list[dict[str, Any]] = []
        for name, source, wanted in sources:
            slots.append({"name": name, "type": wanted, "link": self.connect(source, 0, node, len(slots), wanted)})
        self.nodes.append(
            {
                "id": node,
                "type": class_type,
                "pos": [node * 20, 100],
                "size": [210, 58],
                "flags": {},
                "order": node,
                "mode": 0,
                "inputs": slots,
                "outputs": [{"name": kind, "type": kind, "links": []}],
                "properties": {"Node name for S&R": class_type},
                "widgets_values": widgets or [],
            }
        )
        return node

    def connect(self, source: int, slot: int, node: int, target: int, kind: str) -> int:
        """Add a link and return its id."""
        self.links.append([len(self.links) + 1, source, slot, node, target, kind])
        return len(self.links)

    def image(self, width: int = 8) -> int:
        return self.add("EmptyImage", "IMAGE", widgets=[width, 8, 1, 0])

    def invert(self, source: int) -> int:
        return self.add("ImageInvert", "IMAGE", ("image", source, "IMAGE"))

    def port(self, name: str, *source: int) -> int:
        return self.add("DiscomfortPort", "*", *(("input", node, "*") for node in source), widgets=[name, ""])

    def document(self) -> Document:
        return {
            "last_node_id": self._next,
            "last_link_id": len(self.links),
            "nodes": self.nodes,
            "links": self.links,
            "version": 0.4,
        }


def chain(count: int) -> list[Document]:
    """One workflow: every node feeds the next."""
    sheet = Sheet()
    last = sheet.image()
    for _ in range(count - 2):
        last = sheet.invert(last)
    sheet.port("x", last)
    return [sheet.document()]


def wide(count: int) -> list[Document]:
    """One workflow: an INPUT port feeds pairs of nodes, each of which ends in an effect."""
    sheet = Sheet()
    source = sheet.port("x")
    for index in range(count // 2):
        widgets = ["lanczos", 16 + index % 8000, 16 + index // 8000, "disabled"]
        scaled = sheet.add("ImageScale", "IMAGE", ("image", source, "IMAGE"), widgets=widgets)
        sheet.add("PreviewImage", "IMAGE", ("images", scaled, "IMAGE"))
    return [sheet.document()]


def workflows(count: int) -> list[Document]:
    """Many workflows of 100 nodes, each of which reads and writes what the one before wrote."""
    documents = []
    for _ in range(count // 100):
        sheet = Sheet()
        last = sheet.port("x")
        for _ in range(98):
            last = sheet.invert(last)
        sheet.port("x", last)
        documents.append(sheet.document())
    return documents


def subgraphs(count: int) -> list[Document]:
    """One workflow: instances of one subgraph of 100 nodes, in a chain."""
    inner = Sheet(10_000_000)
    first = last = inner.invert(-10)
    for _ in range(99):
        last = inner.invert(last)
    inner.connect(last, 0, -20, 0, "IMAGE")
    links = [
        {"id": link, "origin_id": a, "origin_slot": s, "target_id": b, "target_slot": t, "type": kind}
        for link, a, s, b, t, kind in inner.links
    ]
    definition = {
        "id": "11111111-1111-4111-8111-111111111111",
        "version": 1,
        "state": {"lastNodeId": last, "lastLinkId": len(links), "lastGroupId": 0, "lastRerouteId": 0},
        "name": "hundred",
        "inputNode": {"id": -10, "bounding": [0, 0, 10, 10]},
        "outputNode": {"id": -20, "bounding": [0, 0, 10, 10]},
        "inputs": [{"id": "in", "name": "image", "type": "IMAGE", "linkIds": [links[0]["id"]]}],
        "outputs": [{"id": "out", "name": "IMAGE", "type": "IMAGE", "linkIds": [links[-1]["id"]]}],
        "widgets": [],
        "nodes": inner.nodes,
        "links": links,
    }
    assert first == 10_000_000
    sheet = Sheet()
    last = sheet.image()
    for _ in range(count // 100):
        last = sheet.add(str(definition["id"]), "IMAGE", ("image", last, "IMAGE"))
    sheet.port("x", last)
    return [{**sheet.document(), "definitions": {"subgraphs": [definition]}}]


def equal(count: int) -> list[Document]:
    """One workflow in which half of the nodes is equal to another and is merged away."""
    sheet = Sheet()
    first = second = sheet.image()
    for _ in range(count // 2 - 1):
        first, second = sheet.invert(first), sheet.invert(second)
    sheet.port("x", first)
    sheet.port("y", second)
    return [sheet.document()]


def passed_on(count: int) -> list[Document]:
    """One workflow in which every second node is a PASSTHRU port, which folds away."""
    sheet = Sheet()
    last = sheet.image()
    for index in range(count // 2 - 1):
        last = sheet.port(f"tap {index}", sheet.invert(last))
    sheet.port("x", last)
    return [sheet.document()]


SHAPES: Mapping[str, Callable[[int], list[Document]]] = {
    "chain": chain,
    "wide": wide,
    "workflows": workflows,
    "subgraphs": subgraphs,
    "equal": equal,
    "passed on": passed_on,
}
