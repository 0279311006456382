"""Cut a workflow into several at chosen links: what crosses leaves one by an OUTPUT port and enters another by an
INPUT port.

Only the root graph is cut; subgraph instances stay whole. The natural seams of a picture's workflow are before and
after its samplers: what is loaded and encoded | what is sampled | what is decoded and saved.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from discomfort.ir.catalog.catalog import Catalog

Document = dict[str, Any]
NodeKey = int | str
VIRTUAL = ("PrimitiveNode", "SetNode", "GetNode", "Reroute")
"""Nodes that mean something only with what they feed, as muted and bypassed ones do: no seam is behind them."""


def stages(document: Document, catalog: Catalog) -> dict[NodeKey, int]:
    """Return the stage of every root node: 0 before anything is sampled, 1 where it is, 2 behind it.

    A node never lies in an earlier stage than one that feeds it. What is virtual counts as part of what it feeds.
    """
    inside = {part["id"]: part for part in document.get("definitions", {}).get("subgraphs", ())}
    samplers = {node["id"] for node in document["nodes"] if _samples(node["type"], inside, catalog)}
    links = _links(document)
    behind = _reach(samplers, [(origin, target) for _, origin, _, target, _ in links])
    before = _reach(samplers, [(target, origin) for _, origin, _, target, _ in links]) - behind
    found = {node["id"]: 2 if node["id"] in behind - samplers else 0 for node in document["nodes"]}
    for node in samplers:
        found[node] = 1
    for node in found:
        if node not in behind and node not in before and node not in samplers:
            found[node] = 2
    return _monotone(document, found, links)


def cut(document: Document, stage: Mapping[NodeKey, int]) -> list[Document]:
    """Return one document a stage, the first first; a document without nodes is left out."""
    count = max(stage.values(), default=0) + 1
    parts = [copy.deepcopy(document) for _ in range(count)]
    for number, part in enumerate(parts):
        part["nodes"] = [node for node in part["nodes"] if stage[node["id"]] == number]
        part["links"] = [row for row in part["links"] if _inside(row, stage, number)]
    graphs = [document, *document.get("definitions", {}).get("subgraphs", ())]
    numbers = [int(node["id"]) for graph in graphs for node in graph["nodes"] if str(node["id"]).isdigit()]
    last_node = max([document.get("last_node_id") or 0, *numbers])
    last_link = max(
        [document.get("last_link_id") or 0, *(link for link, *_ in _links(document) if isinstance(link, int))]
    )
    written: set[tuple[int, NodeKey, int]] = set()
    read: dict[tuple[int, NodeKey, int], NodeKey] = {}
    for link, origin, slot, target, target_slot in _links(document):
        first, second = stage[origin], stage[target]
        if first == second:
            continue
        name = f"seam {origin}.{slot}"
        if (first, origin, slot) not in written:
            written.add((first, origin, slot))
            last_node, last_link = last_node + 1, last_link + 1
            parts[first]["nodes"].append(_port(last_node, name, source=last_link))
            parts[first]["links"].append(_row(document, last_link, origin, slot, last_node, 0))
        if (second, origin, slot) not in read:
            last_node += 1
            read[second, origin, slot] = last_node
            parts[second]["nodes"].append(_port(last_node, name, source=None))
        parts[second]["links"].append(_row(document, link, read[second, origin, slot], 0, target, target_slot))
    for part in parts:
        part["last_node_id"], part["last_link_id"] = last_node, last_link
    return [part for part in parts if part["nodes"]]


def _samples(kind: str, inside: Mapping[str, Any], catalog: Catalog) -> bool:
    if kind in inside:
        return any(_samples(node["type"], inside, catalog) for node in inside[kind]["nodes"])
    if kind not in catalog:
        return False
    takes, gives = ({spec.type for spec in specs} for specs in (catalog[kind].inputs, catalog[kind].outputs))
    return "LATENT" in gives and ("GUIDER" in takes or {"MODEL", "LATENT"} <= takes)


def _links(document: Document) -> list[tuple[Any, NodeKey, int, NodeKey, int]]:
    nodes = {node["id"] for node in document["nodes"]}
    rows = [
        (row["id"], row["origin_id"], row["origin_slot"], row["target_id"], row["target_slot"])
        if isinstance(row, dict)
        else tuple(row[:5])
        for row in document["links"]
    ]
    return [row for row in rows if row[1] in nodes and row[3] in nodes]


def _inside(row: Any, stage: Mapping[NodeKey, int], number: int) -> bool:
    origin, target = (row["origin_id"], row["target_id"]) if isinstance(row, dict) else (row[1], row[3])
    return stage.get(origin, number) == number and stage.get(target, number) == number


def _reach(start: set[NodeKey], edges: list[tuple[NodeKey, NodeKey]]) -> set[NodeKey]:
    following: dict[NodeKey, list[NodeKey]] = {}
    for origin, target in edges:
        following.setdefault(origin, []).append(target)
    seen: set[NodeKey] = set()
    stack = [target for node in start for target in following.get(node, ())]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += following.get(node, ())
    return seen


def _monotone(
    document: Document, found: dict[NodeKey, int], links: list[tuple[Any, NodeKey, int, NodeKey, int]]
) -> dict[NodeKey, int]:
    """Return the stages with each node as late as what feeds it, and what is virtual as late as what it feeds."""
    virtual = {node["id"] for node in document["nodes"] if node["type"] in VIRTUAL or node.get("mode") in (2, 4)}
    changed = True
    while changed:
        changed = False
        for _, origin, _, target, _ in links:
            if found[origin] > found[target]:
                found[target], changed = found[origin], True
            elif origin in virtual and found[origin] < found[target]:
                found[origin], changed = found[target], True
    return found


def _port(node: int, name: str, source: int | None) -> dict[str, Any]:
    return {
        "id": node,
        "type": "DiscomfortPort",
        "pos": [0, 0],
        "size": [210, 82],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [{"name": "input", "type": "*", "link": source}],
        "outputs": [{"name": "output", "type": "*", "links": []}],
        "properties": {},
        "widgets_values": [name, ""],
    }


def _row(document: Document, link: Any, origin: NodeKey, slot: int, target: NodeKey, target_slot: int) -> Any:
    if document.get("version") == 0.4:
        return [link, origin, slot, target, target_slot, "*"]
    return {
        "id": link,
        "origin_id": origin,
        "origin_slot": slot,
        "target_id": target,
        "target_slot": target_slot,
        "type": "*",
    }
