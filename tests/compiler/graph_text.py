"""Graphs written by hand, in the text that `DISCOMFORT_DUMP` writes: `render_graph` backwards.

    a = EmptyImage(width=8, height=8, batch_size=1, color=0)
    b = ImageInvert(image=a.0)
    output x = b.0

A value is `node.slot`, `$parameter` or JSON; what starts with `#` is a comment. Node ids start with a letter here, so
that `a.0` is not a number. A title is the class, the origin the id before and after its last `/`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Origin, Param
from discomfort.ir.graph_json import read_link

_NODE = re.compile(r"(?P<id>\S+) = (?P<kind>[^\s(]+)\((?P<inputs>.*)\)$")
_NAMED = re.compile(r"(?P<table>output|tap) (?P<name>.+?) = (?P<value>.+)$")
_WORD = re.compile(r"\$?[^,()\s]+")
_JSON = json.JSONDecoder()


def parse_graph(text: str) -> Graph:
    """Return the graph that a text describes; a line that cannot be read raises ValueError."""
    nodes: dict[NodeId, Node] = {}
    tables: dict[str, dict[str, Input]] = {"output": {}, "tap": {}}
    effects: list[NodeId] = []
    cuts: list[Link] = []
    conversions: list[tuple[NodeId, str]] = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if named := _NAMED.match(line):
            tables[named["table"]][named["name"]] = _value(named["value"], 0)[0]
        elif line.startswith("effect "):
            effects.append(NodeId(line.removeprefix("effect ")))
        elif line.startswith("cut "):
            cuts.append(read_link(line.removeprefix("cut ")))
        elif line.startswith("convert "):
            _, node, name = line.split(" ")
            conversions.append((NodeId(node), name))
        elif found := _NODE.match(line):
            node_id, kind = NodeId(found["id"]), found["kind"]
            workflow, _, own = node_id.rpartition("/")
            nodes[node_id] = Node(node_id, kind, dict(_inputs(found["inputs"])), kind, Origin(workflow, own))
        else:
            raise ValueError(f"not a line of a graph: {line}")
    return Graph(
        nodes, tables["output"], tuple(effects), tables["tap"], cuts=tuple(cuts), conversions=tuple(conversions)
    )


def _inputs(text: str) -> Iterator[tuple[str, Input]]:
    at = 0
    while at < len(text):
        equals = text.index("=", at)
        name = text[at:equals]
        value, at = _value(text, equals + 1)
        yield name, value
        if at < len(text) and not text.startswith(", ", at):
            raise ValueError(f"expected a comma in {text} at {at}")
        at += 2


def _value(text: str, at: int) -> tuple[Input, int]:
    try:
        value, end = _JSON.raw_decode(text, at)
    except json.JSONDecodeError:
        word = _WORD.match(text, at)
        if word is None:
            raise ValueError(f"expected a value in {text} at {at}") from None
        if word[0].startswith("$"):
            return Param(word[0][1:]), word.end()
        node, _, slot = word[0].rpartition(".")
        return Link(NodeId(node), int(slot)), word.end()
    return Literal(value), end
