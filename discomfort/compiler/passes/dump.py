"""`DISCOMFORT_DUMP=dir`: the graph after each pass, as text to read and to diff."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from discomfort.compiler.graph import Graph, Input, Link, Literal

if TYPE_CHECKING:
    from discomfort.compiler.passes import Hook

VARIABLE = "DISCOMFORT_DUMP"


def dumping_hook(inner: Hook | None) -> Hook | None:
    """Return a hook that writes each graph into the folder `DISCOMFORT_DUMP` names, and then calls `inner`."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return inner
    number = itertools.count(1)

    def dump(name: str, graph: Graph) -> None:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{next(number):02d}-{name}.txt").write_text(render_graph(graph), encoding="utf-8")
        if inner is not None:
            inner(name, graph)

    return dump


def render_graph(graph: Graph) -> str:
    """Return a graph as text: one line a node, then outputs, taps and effects."""
    lines = []
    for node in graph.nodes.values():
        inputs = ", ".join(f"{name}={render_input(value)}" for name, value in node.inputs.items())
        lines.append(f"{node.id} = {node.class_type}({inputs})")
    lines += [f"output {name} = {render_input(value)}" for name, value in graph.outputs.items()]
    lines += [f"tap {name} = {render_input(value)}" for name, value in graph.taps.items()]
    lines += [f"effect {node_id}" for node_id in graph.effects]
    return "\n".join(lines) + "\n"


def render_input(value: Input) -> str:
    """Return an input as text: `node.slot`, `$parameter`, or JSON."""
    if isinstance(value, Link):
        return f"{value.node}.{value.slot}"
    return json.dumps(value.value, ensure_ascii=False) if isinstance(value, Literal) else f"${value.name}"
