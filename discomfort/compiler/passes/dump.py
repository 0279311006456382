"""`DISCOMFORT_DUMP=dir`: the graph after each pass, as text to read and to diff; a folder for each compile."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from discomfort.ir.graph import Graph, Input, Link, Literal

if TYPE_CHECKING:
    from discomfort.compiler.passes import Hook


_compiles: defaultdict[Path, Iterator[int]] = defaultdict(lambda: itertools.count(1))
"""Counts this process's compiles, for each folder; the next process counts from 1 again, so that runs compare."""


def dumping_hook(folder: Path) -> Hook:
    """Return a hook for one compile, which writes each graph as `01-stitch.txt`, `02-fold.txt`…

    They lie in a folder of their own: `001` below `folder` for the first compile of this process, `002` for the next…
    """
    into = folder / f"{next(_compiles[folder.absolute()]):03d}"
    number = itertools.count(1)

    def dump(name: str, graph: Graph) -> None:
        into.mkdir(parents=True, exist_ok=True)
        (into / f"{next(number):02d}-{name}.txt").write_text(render_graph(graph), encoding="utf-8")

    return dump


def render_graph(graph: Graph) -> str:
    """Return a graph as text: one line a node, then outputs, taps and effects, cuts and steps, then what passes did."""
    lines = []
    for node in graph.nodes.values():
        inputs = ", ".join(f"{name}={render_input(value)}" for name, value in node.inputs.items())
        lines.append(f"{node.id} = {node.class_type}({inputs})")
    lines += [f"output {name} = {render_input(value)}" for name, value in graph.outputs.items()]
    lines += [f"tap {name} = {render_input(value)}" for name, value in graph.taps.items()]
    lines += [f"effect {node_id}" for node_id in graph.effects]
    lines += [f"cut {render_input(link)}" for link in graph.cuts]
    lines += [f"convert {node_id} {name}" for node_id, name in graph.conversions]
    for step in graph.steps:
        lines.append(f"step {step.id} = {' '.join(step.nodes)}")
        lines += [f"  reads {render_input(link)}" for link in step.reads]
        lines += [f"  writes {render_input(link)}" for link in step.writes]
    lines += [f"# {note.kind} {', '.join(note.nodes)}: {note.why}{_arrow(note.into)}" for note in graph.notes]
    return "\n".join(lines) + "\n"


def _arrow(into: Input | None) -> str:
    return "" if into is None else f" -> {render_input(into)}"


def render_input(value: Input) -> str:
    """Return an input as text: `node.slot`, `$parameter`, or JSON."""
    if isinstance(value, Link):
        return f"{value.node}.{value.slot}"
    return json.dumps(value.value, ensure_ascii=False) if isinstance(value, Literal) else f"${value.name}"
