"""The parts of a document of the editor that can be joined with others: copies of them, in the shapes that count.

What a document holds in another shape (a group that is a number, a slot without its lists) is left out or empty: the
readers of the compiler have reported what matters about it, or found that nothing follows from it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FARTHEST = 1e9
"""Pixels from the origin beyond which nothing lies: the sum of two such numbers is one, too."""


@dataclass(slots=True)
class EditorLink:
    """One link of a document: from an output slot to an input slot."""

    id: int
    origin: int
    origin_slot: int
    target: int
    target_slot: int
    type: Any

    def row(self) -> list[Any]:
        """Return the link as litegraph 0.4 writes it."""
        return [self.id, self.origin, self.origin_slot, self.target, self.target_slot, self.type]


def read_nodes(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return copies of the root's nodes, their slots as lists of objects."""
    return [_node(node) for node in _objects(document.get("nodes")) if is_id(node.get("id"))]


def read_links(document: Mapping[str, Any]) -> list[EditorLink]:
    """Return the links of a document's root, written as rows (0.4) or as objects (schema 1)."""
    links = []
    for link in _items(document.get("links")):
        if isinstance(link, Mapping):
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            parts = [*(link.get(name) for name in names), link.get("type", "*")]
        elif isinstance(link, Sequence) and not isinstance(link, str) and len(link) >= 5:
            parts = [*link[:5], link[5] if len(link) > 5 else "*"]
        else:
            continue
        if all(map(is_id, (parts[0], parts[1], parts[3]))) and isinstance(parts[2], int) and isinstance(parts[4], int):
            links.append(EditorLink(*parts))
    return links


def read_groups(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return copies of the frames that are drawn around nodes."""
    return [copy.deepcopy(dict(group)) for group in _objects(document.get("groups"))]


def read_group_nodes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definitions of group nodes by name."""
    extra = document.get("extra")
    entries = extra.get("groupNodes") if isinstance(extra, Mapping) else None
    return dict(entries) if isinstance(entries, Mapping) else {}


def read_subgraphs(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return copies of the definitions of subgraphs."""
    definitions = document.get("definitions")
    entries = _objects(definitions.get("subgraphs")) if isinstance(definitions, Mapping) else []
    return [
        {**copy.deepcopy(dict(one)), "nodes": [copy.deepcopy(dict(node)) for node in _objects(one.get("nodes"))]}
        for one in entries
        if is_id(one.get("id"))
    ]


def is_id(value: Any) -> bool:
    """Return whether a value can be the id of a node, a link or a definition: a whole number or text."""
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def is_point(value: Any) -> bool:
    """Return whether a value is a place or a size: two numbers of pixels, or more."""
    return isinstance(value, list) and len(value) >= 2 and all(map(is_distance, value))


def is_distance(value: Any) -> bool:
    """Return whether a value is a number of pixels."""
    return isinstance(value, (int, float)) and -FARTHEST < value < FARTHEST


def _node(node: Mapping[str, Any]) -> dict[str, Any]:
    copied = copy.deepcopy(dict(node))
    for side in ("inputs", "outputs"):
        if side in copied:
            copied[side] = [dict(slot) for slot in _objects(copied[side])]
    for slot in copied.get("inputs", ()):
        slot["link"] = slot.get("link") if is_id(slot.get("link")) else None
    for slot in copied.get("outputs", ()):
        slot["links"] = [link for link in _items(slot.get("links")) if is_id(link)]
    return copied


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in _items(value) if isinstance(item, Mapping)]
