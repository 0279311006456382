"""Nodes, inputs and links as JSON, as plans and recipes hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from discomfort.ir.graph import Input, Json, Link, Literal, Node, NodeId, Origin, Param
from discomfort.ir.untrusted_json.nesting import loads_any_number, problem_of_objects
from discomfort.ir.untrusted_json.numbers import whole_id
from discomfort.ir.untrusted_json.parts import entries, items, slot, text, text_or_none, texts

ENVELOPE = 10
"""Levels of the JSON of a plan or recipe above the literals in it."""


def input_to_json(value: Input) -> dict[str, Any]:
    """Return what feeds an input as JSON-able data; `input_from_json` reads it."""
    if isinstance(value, Link):
        return {"link": [value.node, value.slot]}
    if not isinstance(value, Literal):
        return {"param": value.name}
    return {"value": value.value} if _is_json(value.value) else {"python": json.dumps(value.value)}


def _is_json(value: Json) -> bool:
    """Return whether other programs can read a value: JSON has no NaN and no infinities, Python's own text has."""
    if not isinstance(value, (float, list, dict)):
        return True
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def input_from_json(data: Mapping[str, Any]) -> Input:
    """Return what `input_to_json` wrote; bad data raises what Python raises."""
    if "link" in data:
        (link,) = links_from_json([data["link"]])
        return link
    if "param" in data:
        return Param(text(data["param"]))
    return Literal(_read_python(text(data["python"])) if "python" in data else data["value"])


def _read_python(written: str) -> Any:
    """Return a literal that was written as Python's JSON.

    Raises:
        ValueError: it is not such text, or nested too deeply, or has a number with too many digits.
    """
    try:
        value = loads_any_number(written)
    except RecursionError as error:
        raise ValueError("a literal in it is nested too deeply") from error
    problem = problem_of_objects(value) if isinstance(value, (dict, list)) else problem_of_objects([value])
    if problem is not None:
        raise ValueError(problem)
    return value


def _named_input(node: str, name: str, data: Any) -> Input:
    try:
        return input_from_json(data)
    except ValueError as error:
        raise ValueError(f"node {node:.40}, input {name:.40}: {error}") from error


def write_link(link: Link) -> str:
    """Return a link as `node.slot`, which `read_link` reads."""
    return f"{link.node}.{link.slot}"


def read_link(written: str) -> Link:
    """Return the link that is written as `node.slot`.

    Raises:
        ValueError: it is not.
    """
    node, _, number = written.rpartition(".")
    return Link(NodeId(node), slot(whole_id(number)))


def links_from_json(data: Iterable[Any]) -> tuple[Link, ...]:
    """Return links from pairs of node and slot; bad data raises what Python raises."""
    return tuple(Link(NodeId(text(node)), slot(number)) for node, number in map(items, items(data)))


def node_to_json(node: Node) -> dict[str, Any]:
    """Return a node as JSON-able data, without its id; `node_from_json` reads it."""
    return {
        "class": node.class_type,
        "title": node.title,
        "origin": [node.origin.workflow, node.origin.node],
        "inputs": {name: input_to_json(value) for name, value in node.inputs.items()},
    }


def node_from_json(key: str, data: Mapping[str, Any]) -> Node:
    """Return the node that `node_to_json` wrote, under the id `key`; bad data raises what Python raises."""
    inputs = {name: _named_input(key, name, value) for name, value in entries(data["inputs"])}
    workflow, node = texts(data["origin"])
    return Node(NodeId(key), text_or_none(data["class"]), inputs, text(data["title"]), Origin(workflow, node))
