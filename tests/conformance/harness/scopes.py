"""One level of a workflow document, the root or a subgraph definition, with the bookkeeping that edits need."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


@dataclass
class Row:
    """One link, whichever of the two ways it is written."""

    id: int
    origin: Any
    origin_slot: int
    target: Any
    target_slot: int
    type: Any


class Scope:
    """The nodes and links of one level; edits keep `input.link`, `output.links` and the rows in step."""

    def __init__(self, document: Json, level: Json) -> None:
        self.document = document
        self.level = level
        self.is_root = level is document

    @property
    def nodes(self) -> list[Json]:
        """The nodes of this level, in file order."""
        found = self.level.setdefault("nodes", [])
        return [node for node in found if isinstance(node, dict)]

    def node(self, node_id: Any) -> Json | None:
        """The first node with this id."""
        return next((node for node in self.nodes if node.get("id") == node_id), None)

    def rows(self) -> list[Row]:
        """All links that are well formed."""
        return list(self._read())

    def _read(self) -> Iterator[Row]:
        for link in self.level.get("links") or []:
            if isinstance(link, list) and len(link) >= 5:
                yield Row(link[0], link[1], link[2], link[3], link[4], link[5] if len(link) > 5 else "*")
            elif isinstance(link, dict) and "origin_id" in link:
                ends = (link["origin_id"], link["origin_slot"], link["target_id"], link["target_slot"])
                yield Row(link["id"], *ends, link.get("type"))

    def write_rows(self, rows: list[Row]) -> None:
        """Replace all links, in the notation of this level."""
        as_objects = not self.is_root or self.document.get("version") == 1
        self.level["links"] = [
            {
                "id": row.id,
                "origin_id": row.origin,
                "origin_slot": row.origin_slot,
                "target_id": row.target,
                "target_slot": row.target_slot,
                "type": row.type,
            }
            if as_objects
            else [row.id, row.origin, row.origin_slot, row.target, row.target_slot, row.type]
            for row in rows
        ]

    def fresh_link_id(self) -> int:
        """The id the editor would give the next link of this level; the level's counter moves on."""
        holder, key = (
            (self.level, "last_link_id") if self.is_root else (self.level.setdefault("state", {}), "lastLinkId")
        )
        fresh = 1 + max(_number(holder.get(key)), *(_number(row.id) for row in self._read()), 0)
        holder[key] = fresh
        return fresh

    def fresh_node_id(self) -> int:
        """The id the editor would give the next node: new in the whole document; the root's counter moves on."""
        ids = [_number(node.get("id")) for scope in scopes(self.document) for node in scope.nodes]
        fresh = 1 + max(_number(self.document.get("last_node_id")), *ids, 0)
        self.document["last_node_id"] = fresh
        return fresh

    def connect(self, origin: Json, origin_slot: int, target: Json, target_slot: int, kind: Any) -> int:
        """Add a link between existing slots, replacing what the input had; returns its id."""
        slot = target["inputs"][target_slot]
        if slot.get("link") is not None:
            self.disconnect(slot["link"])
        link_id = self.fresh_link_id()
        self.write_rows([*self.rows(), Row(link_id, origin["id"], origin_slot, target["id"], target_slot, kind)])
        slot["link"] = link_id
        output = origin["outputs"][origin_slot]
        output["links"] = [*(output.get("links") or []), link_id]
        return link_id

    def disconnect(self, link_id: Any) -> None:
        """Remove a link as the editor does: row, input and output."""
        self.write_rows([row for row in self.rows() if row.id != link_id])
        for node in self.nodes:
            for slot in node.get("inputs") or []:
                if slot.get("link") == link_id:
                    slot["link"] = None
            for output in node.get("outputs") or []:
                if isinstance(output.get("links"), list) and link_id in output["links"]:
                    output["links"] = [each for each in output["links"] if each != link_id]
        for port in [*(self.level.get("inputs") or []), *(self.level.get("outputs") or [])]:
            if not self.is_root and isinstance(port.get("linkIds"), list) and link_id in port["linkIds"]:
                port["linkIds"] = [each for each in port["linkIds"] if each != link_id]

    def inner_rows(self) -> list[Row]:
        """The links between two nodes of this level (not to the level's own inputs and outputs)."""
        ids = {str(node.get("id")) for node in self.nodes}
        return [row for row in self._read() if str(row.origin) in ids and str(row.target) in ids]


def _number(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) else 0


def definitions(document: Json) -> list[Json]:
    """The subgraph definitions of a workflow."""
    found = (document.get("definitions") or {}).get("subgraphs") or []
    return [each for each in found if isinstance(each, dict)]


def scopes(document: Json) -> list[Scope]:
    """The root level and every subgraph definition."""
    return [Scope(document, document), *(Scope(document, each) for each in definitions(document))]


def clone(document: Json) -> Json:
    """A deep copy to edit."""
    return copy.deepcopy(document)
