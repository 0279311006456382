"""From the graph to the API prompt that a ComfyUI server takes.

A `Literal` already holds its value as a prompt shows it: a list is wrapped as `{"__value__": [...]}`, since the server
takes a bare list of two items for a link. `frontend/literals.py` wraps and `plain_value` unwraps.
"""

from __future__ import annotations

from typing import Any

from discomfort.ir.gc_pause import paused_collector
from discomfort.ir.graph import Graph, Json, Link, Literal, Node


def emit_prompt(graph: Graph) -> dict[str, Any]:
    """Return the prompt `{id: {"inputs", "class_type", "_meta"}}` with nodes and inputs in the graph's order.

    A node without a known class has no `class_type`, as in the frontend's own prompts.

    Raises:
        ValueError: an input is a parameter: those are bound before a prompt is made.
    """
    with paused_collector():
        return {node.id: _emit_node(node) for node in graph.nodes.values()}


def _emit_node(node: Node) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, value in node.inputs.items():
        if type(value) is Literal:
            inputs[name] = value.value
        elif type(value) is Link:
            inputs[name] = [value.node, value.slot]
        else:
            raise ValueError(f"input {name!r} of node {node.id!r} is the parameter {value}, which has no value yet")
    emitted: dict[str, Any] = {"inputs": inputs}
    if node.class_type is not None:
        emitted["class_type"] = node.class_type
    emitted["_meta"] = {"title": node.title} if node.title or node.class_type is not None else {}
    return emitted


def plain_value(value: Json) -> Json:
    """Return what a node receives for a prompt's literal: the server unwraps `__value__`."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value
