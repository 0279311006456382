"""Random edits that move nodes between levels: subgraphs, copies of them, and the group nodes of older editors."""

from __future__ import annotations

import uuid
from random import Random
from typing import Any

from .scopes import WIDGET_TYPES, Json, Row, Scope, clone, definitions, scopes

INPUT_SIDE, OUTPUT_SIDE = -10, -20
"""The node ids by which links inside a definition name its own inputs and outputs."""

VIRTUAL = ("Reroute", "PrimitiveNode", "Note", "MarkdownNote")


def _cluster(scope: Scope, random: Random) -> list[Json]:
    """A connected handful of nodes."""
    nodes = [node for node in scope.nodes if node.get("inputs") is not None and node.get("outputs") is not None]
    if not nodes:
        return []
    chosen = [random.choice(nodes)]
    by_id = {node["id"]: node for node in nodes}
    rows = scope.inner_rows()
    for _ in range(random.choice([0, 1, 2, 4])):
        ids = {node["id"] for node in chosen}
        near = [
            by_id.get(r.origin if r.target in ids else r.target) for r in rows if (r.origin in ids) != (r.target in ids)
        ]
        found = [node for node in near if node is not None]
        if not found:
            break
        chosen.append(random.choice(found))
    return chosen


class _Move:
    """Moves a cluster out of its level into a definition of its own, with a host in its place."""

    def __init__(self, scope: Scope, cluster: list[Json], random: Random) -> None:
        self.scope, self.cluster, self.random = scope, cluster, random
        self.ids = {node["id"] for node in cluster}
        self.inner: list[Row] = []
        self.inputs: list[Json] = []
        self.outputs: list[Json] = []
        self.host_inputs: list[Json] = []
        self.host_outputs: list[Json] = []
        self.outer: list[Row] = []
        self.host_id = scope.fresh_node_id()

    def run(self) -> Json:
        """Do it; returns the host."""
        self._sort_rows()
        promoted = self._promote() if self.random.random() < 0.7 else []
        name = uuid.UUID(int=self.random.getrandbits(128), version=4)
        definition: Json = {
            "id": str(name), "version": 1, "revision": 0, "name": "Wrapped", "config": {}, "groups": [],
            "state": {"lastNodeId": self.host_id, "lastLinkId": 9999, "lastGroupId": 0, "lastRerouteId": 0},
            "inputNode": {"id": INPUT_SIDE, "bounding": [0, 0, 120, 60]},
            "outputNode": {"id": OUTPUT_SIDE, "bounding": [900, 0, 120, 60]},
            "inputs": self.inputs, "outputs": self.outputs, "widgets": [], "extra": {},
            "nodes": self.cluster, "links": [],
        }  # fmt: skip
        document = self.scope.document
        held = document.setdefault("definitions", {}).setdefault("subgraphs", [])
        held.insert(self.random.randrange(len(held) + 1), definition)
        Scope(document, definition).write_rows(self.inner)
        host: Json = {
            "id": self.host_id, "type": str(name), "pos": [0, 0], "size": [200, 100], "flags": {}, "order": 0,
            "mode": self.random.choice([0, 0, 0, 0, 2, 4]), "inputs": self.host_inputs, "outputs": self.host_outputs,
            "properties": {}, "widgets_values": promoted if self.random.random() < 0.7 else [],
        }  # fmt: skip
        self.scope.level["nodes"] = [node for node in self.scope.nodes if node["id"] not in self.ids] + [host]
        self.scope.write_rows(self.outer)
        return host

    def _sort_rows(self) -> None:
        ports: dict[tuple[Any, int], int] = {}
        entries: dict[tuple[Any, int], int] = {}
        for row in self.scope.rows():
            origin, target = row.origin in self.ids, row.target in self.ids
            if origin and target:
                self.inner.append(row)
            elif target:
                self._enter(row, entries)
            elif origin:
                self._leave(row, ports)
            else:
                self.outer.append(row)

    def _enter(self, row: Row, entries: dict[tuple[Any, int], int]) -> None:
        source = (row.origin, row.origin_slot)
        index = entries.get(source)
        inner_id = 5000 + row.id if isinstance(row.id, int) else 5000
        if index is None:
            index = entries[source] = len(self.inputs)
            self.inputs.append(self._port(f"in_{index}", row.type))
            self.host_inputs.append({"name": f"in_{index}", "type": row.type, "link": row.id})
            self.outer.append(Row(row.id, row.origin, row.origin_slot, self.host_id, index, row.type))
        self.inputs[index]["linkIds"].append(inner_id)
        self.inner.append(Row(inner_id, INPUT_SIDE, index, row.target, row.target_slot, row.type))
        for node in self.cluster:
            for slot in node["inputs"]:
                if node["id"] == row.target and slot.get("link") == row.id:
                    slot["link"] = inner_id

    def _leave(self, row: Row, ports: dict[tuple[Any, int], int]) -> None:
        source = (row.origin, row.origin_slot)
        index = ports.get(source)
        if index is None:
            index = ports[source] = len(self.outputs)
            inner_id = 7000 + index
            self.outputs.append(self._port(f"out_{index}", row.type) | {"linkIds": [inner_id]})
            self.host_outputs.append({"name": f"out_{index}", "type": row.type, "links": []})
            self.inner.append(Row(inner_id, row.origin, row.origin_slot, OUTPUT_SIDE, index, row.type))
            for node in self.cluster:
                if node["id"] == row.origin and row.origin_slot < len(node["outputs"]):
                    node["outputs"][row.origin_slot]["links"] = [inner_id]
        self.host_outputs[index]["links"].append(row.id)
        self.outer.append(Row(row.id, self.host_id, index, row.target, row.target_slot, row.type))

    def _port(self, name: str, kind: Any) -> Json:
        identifier = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        return {"id": identifier, "name": name, "type": kind, "linkIds": [], "localized_name": name, "pos": [0, 0]}

    def _promote(self) -> list[Any]:
        """Lead some free widget inputs out to the host; returns the host's values for them."""
        values: list[Any] = []
        free = [
            (node, i, slot)
            for node in self.cluster
            for i, slot in enumerate(node["inputs"])
            if slot.get("widget") and slot.get("link") is None and slot.get("type") in WIDGET_TYPES
        ]
        for node, i, slot in self.random.sample(free, min(len(free), self.random.choice([1, 2, 3]))):
            index, inner_id = len(self.inputs), 8000 + len(self.inputs)
            name = (
                slot["name"] if all(port["name"] != slot["name"] for port in self.inputs) else f"{slot['name']}_{index}"
            )
            self.inputs.append(self._port(name, slot["type"]) | {"linkIds": [inner_id]})
            self.host_inputs.append({"name": name, "type": slot["type"], "widget": {"name": name}, "link": None})
            self.inner.append(Row(inner_id, INPUT_SIDE, index, node["id"], i, slot["type"]))
            slot["link"] = inner_id
            defaults: dict[str, Any] = {"STRING": "outer text", "BOOLEAN": True, "COMBO": "euler", "FLOAT": 0.5}
            values.append(defaults.get(slot["type"], 12))
        return values


def wrap_in_subgraph(document: Json, random: Random) -> bool:
    """Put a connected handful of nodes into a subgraph; repeated, this nests."""
    found = [scope for scope in scopes(document) if scope.nodes]
    scope = found[0] if found and random.random() < 0.6 else (random.choice(found) if found else None)
    cluster = _cluster(scope, random) if scope else []
    ids = [node["id"] for node in cluster]
    if scope is None or not cluster or len(set(map(str, ids))) < len(ids):
        return False
    _Move(scope, cluster, random).run()
    return True


def duplicate_host(document: Json, random: Random) -> bool:
    """A second instance of a subgraph on the same sources, with values of its own."""
    ids = {definition.get("id") for definition in definitions(document)}
    hosts = [(scope, node) for scope in scopes(document) for node in scope.nodes if node.get("type") in ids]
    if not hosts:
        return False
    scope, host = random.choice(hosts)
    sources = {row.id: row for row in scope.rows()}
    copy = clone(host)
    copy["id"] = scope.fresh_node_id()
    for output in copy.get("outputs") or []:
        output["links"] = []
    scope.level["nodes"].append(copy)
    for index, slot in enumerate(copy.get("inputs") or []):
        row = sources.get(slot.get("link"))
        slot["link"] = None
        origin = scope.node(row.origin) if row else None
        if row and origin and row.origin_slot < len(origin.get("outputs") or []) and random.random() < 0.8:
            scope.connect(origin, row.origin_slot, copy, index, row.type)
    if isinstance(copy.get("widgets_values"), list) and copy["widgets_values"] and random.random() < 0.6:
        copy["widgets_values"][0] = random.choice([1, 0.25, "other", None])
    return True


def legacy_group(document: Json, random: Random) -> bool:
    """Put nodes into a group node, as editors before subgraphs saved them."""
    scope = Scope(document, document)
    if document.get("version") == 1:
        return False
    names = {definition.get("id") for definition in definitions(document)}
    cluster = [n for n in _cluster(scope, random) if n.get("type") not in names and n.get("type") not in VIRTUAL]
    if not cluster or len({str(node["id"]) for node in cluster}) < len(cluster):
        return False
    position = {node["id"]: i for i, node in enumerate(cluster)}
    inner = [r for r in scope.rows() if r.origin in position and r.target in position]
    group: Json = {
        "nodes": [clone(node) | {"index": i} for i, node in enumerate(cluster)],
        "links": [
            [position[r.origin], r.origin_slot, position[r.target], r.target_slot, r.origin, r.type] for r in inner
        ],
        "external": [],
    }
    name = f"{random.choice(['Group', 'my group'])} {random.randrange(1 << 30)}"  # a page remembers groups by name
    extra = document.setdefault("extra", {})
    if not isinstance(extra, dict):
        return False
    extra.setdefault("groupNodes", {})[name] = group
    for row in scope.rows():
        if row.origin in position or row.target in position:
            scope.disconnect(row.id)
    values: list[Any] = []
    for node in cluster:
        own = node.get("widgets_values")
        values += own if isinstance(own, list) else []
    host: Json = {
        "id": scope.fresh_node_id(), "type": random.choice(["workflow>", "workflow/"]) + name, "pos": [0, 0],
        "size": [200, 100], "flags": {}, "order": 0, "mode": random.choice([0, 0, 0, 2, 4]),
        "inputs": [], "outputs": [],
        "properties": {"Node name for S&R": f"workflow>{name}"},
        "widgets_values": values,
    }  # fmt: skip
    document["nodes"] = [node for node in scope.nodes if node["id"] not in position] + [host]
    return True
