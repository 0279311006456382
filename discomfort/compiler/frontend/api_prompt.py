"""API prompts, read as they are: `{id: {"class_type", "inputs", "_meta"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Origin
from discomfort.ir.untrusted_json.numbers import whole_slot


def is_prompt(document: Mapping[str, Any]) -> bool:
    """Return whether the document is an API prompt: an object of objects, at least one with a `class_type`."""
    if type(document.get("nodes")) is list:
        return False
    return any(isinstance(node, Mapping) and "class_type" in node for node in document.values())


def read_prompt(
    document: Mapping[str, Any], name: str, catalog: Catalog, findings: Findings
) -> tuple[Graph, dict[str, str]]:
    """Return the prompt's graph and where each node is; links to missing nodes are errors."""
    nodes: dict[NodeId, Node] = {}
    paths: dict[str, str] = {}
    for key, raw in document.items():
        node = _read_node(str(key), raw, name, catalog, findings)
        if node is not None:
            nodes[node.id] = node
            paths[node.id] = f"$[{key!r}]"
    for node in nodes.values():
        for input_name, link in node.links():
            if link.node not in nodes:
                findings.add(
                    "DF113",
                    f"the link comes from node {link.node}, which is not in the prompt",
                    Place(node=node.id, title=node.title, input=input_name, path=paths[node.id]),
                )
    return Graph(nodes), paths


def _read_node(key: str, raw: object, name: str, catalog: Catalog, findings: Findings) -> Node | None:
    path = f"$[{key!r}]"
    class_type = raw.get("class_type") if isinstance(raw, Mapping) else None
    if not isinstance(raw, Mapping) or type(class_type) is not str:
        findings.add("DF111", "a prompt's node is not an object with a text `class_type`", Place(path=path, node=key))
        return None
    inputs = raw.get("inputs", {})
    if not isinstance(inputs, Mapping):
        message = f"a prompt's `inputs` is {type(inputs).__name__}, not an object"
        findings.add("DF111", message, Place(path=f"{path}.inputs", node=key, title=class_type))
        return None
    known = catalog.get(class_type)
    meta = raw.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    if type(title) is not str:
        title = known.display_name if known is not None else class_type
    if known is None:
        hint = "give a catalog of the ComfyUI that has it: discomfort-graph catalog pull URL -o FILE"
        message = f"the node type {class_type!r} is not in the catalog, so its inputs are not known"
        findings.add("DF130", message, Place(path=path, node=key, title=title), hint)
    read = {str(input_name): _read_input(value) for input_name, value in inputs.items()}
    return Node(NodeId(key), class_type, read, title, Origin(name, key))


def _read_input(value: Any) -> Input:
    """Return the link that `[node id, slot]` is, as the server decides it, or the literal."""
    if type(value) is list and len(value) == 2 and type(value[0]) is str and type(value[1]) in (int, float):
        return Link(NodeId(value[0]), whole_slot(value[1]))
    return Literal(value)
