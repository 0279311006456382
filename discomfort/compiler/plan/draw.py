"""A plan as a drawing in Graphviz's dot language: a cluster for each workflow, ports by mode, edges by how they travel.

Solid grey edges carry values, dashed orange ones references. Nodes with a dashed border only serve the recipe of a
ref and do not run; nodes in light grey were folded, merged or removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from discomfort.ir.catalog.effects import PORT_CLASS
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, Param
from discomfort.ir.types.language import Signatures, TypeInference
from discomfort.ir.walk import ancestors
from discomfort.printable import printable_line, shortened
from discomfort.settings.pass_by import PassByRules

if TYPE_CHECKING:
    from discomfort.compiler.plan.model import PlanData, PlanInput, PlanOutput
    from discomfort.ir.catalog.catalog import Catalog

VALUE_COLOUR = "#5f6b7a"
REFERENCE_COLOUR = "#d9730d"
_HEAD = """digraph plan {
  rankdir=LR; newrank=true; ranksep=0.5; nodesep=0.2;
  fontname="Helvetica"; fontsize=12; labelloc=b; labeljust=l;
  node [fontname="Helvetica", fontsize=10, shape=box, style="filled,rounded", fillcolor="#eef3fa", color="#7f8ea3"];
  edge [fontname="Helvetica", fontsize=8, arrowsize=0.6];
"""
_LEGEND = "by value: solid · by reference: dashed orange · effect: pink · only for a recipe: dashed border"
_PORT_SHAPES = {"INPUT": "cds", "OUTPUT": "cds", "PASSTHRU": "hexagon"}
_LONGEST_LITERAL = 40
_PORT_FILLS = {"val": "#dff3e3", "ref": "#fde6cf"}


def draw(plan: PlanData, catalog: Catalog, before: Graph | None = None) -> str:
    """Return dot text. `before` is the stitched graph before the passes: what they took away is drawn in grey."""
    drawing = _Drawing(plan, catalog)
    lines = [
        *drawing.clusters(before),
        *drawing.ports(),
        *drawing.edges(),
        *(drawing.grey_edges(before) if before is not None else ()),
    ]
    label_text = _LEGEND + (" · taken away by a pass: light grey" if before is not None else "")
    legend = f'  label={_quote(label_text)}; fontcolor="{VALUE_COLOUR}"; fontsize=9;\n'
    return _HEAD + "".join(f"  {line}\n" for line in lines) + legend + "}\n"


class _Drawing:
    """The parts of one drawing, as lines of dot."""

    def __init__(self, plan: PlanData, catalog: Catalog) -> None:
        self._plan = plan
        self._graph = plan.graph
        self._catalog = catalog
        params = {name: port.type for name, port in plan.inputs.items()}
        self._typing = TypeInference(plan.graph, plan.graph.nodes, Signatures(catalog), params)
        self._rules = PassByRules(plan.rules)
        running = [
            port.source.node
            for port in plan.outputs.values()
            if port.pass_by == "val" and isinstance(port.source, Link)
        ]
        self._running = ancestors(plan.graph, [*running, *plan.effects])
        self._steps = {node_id: step.id for step in reversed(plan.steps) for node_id in step.nodes}

    def clusters(self, before: Graph | None) -> Iterator[str]:
        """Yield one cluster a workflow, with its nodes; nodes of no workflow are outside."""
        grey = [node for node in before.nodes.values() if node.id not in self._graph.nodes] if before else []
        names = [workflow.name for workflow in self._plan.workflows]
        for index, name in enumerate(names):
            yield f"subgraph cluster_{index} {{"
            yield f'  label={_quote(name)}; labelloc=t; style=rounded; color="#b8c2cf";'
            for node in self._graph.nodes.values():
                if node.origin.workflow == name:
                    yield "  " + self._node(node)
            for node in grey:
                if node.origin.workflow == name:
                    yield "  " + _grey_node(node)
            yield "}"
        for node in self._graph.nodes.values():
            if node.origin.workflow not in names:
                yield self._node(node)

    def ports(self) -> Iterator[str]:
        """Yield a node for each port of the plan."""
        plan = self._plan
        for mode, table in (("INPUT", plan.inputs), ("OUTPUT", plan.outputs), ("PASSTHRU", plan.taps)):
            for port in table.values():
                yield _port(mode, port)

    def edges(self) -> Iterator[str]:
        """Yield the links between nodes, from inputs, and to outputs and taps; one line for all between two nodes."""
        labels: dict[tuple[str, str, bool], list[str]] = {}
        for node in self._graph.nodes.values():
            for name, value in node.inputs.items():
                if not isinstance(value, Literal):
                    labels.setdefault((_source(value), node.id, self._by_reference(value)), []).append(name)
        for mode, table in (("OUTPUT", self._plan.outputs), ("PASSTHRU", self._plan.taps)):
            for port in table.values():
                target = _port_id(mode, port.name)
                if isinstance(port.source, Literal):
                    literal = f"literal:{target}"
                    label_text = _quote(shortened(repr(port.source.value), _LONGEST_LITERAL))
                    yield f"{_quote(literal)} [label={label_text}, shape=plaintext, style=solid];"
                    labels[literal, target, False] = []
                else:
                    labels[_source(port.source), target, self._by_reference(port.source)] = []
        for (source, target, reference), names in labels.items():
            style = f'color="{REFERENCE_COLOUR}", style=dashed' if reference else f'color="{VALUE_COLOUR}"'
            label_text = f", label={_quote(*names)}" if names else ""
            yield f"{_quote(source)} -> {_quote(target)} [{style}{label_text}];"

    def grey_edges(self, before: Graph) -> Iterator[str]:
        """Yield the links that the passes took away, and where what they replaced went."""
        kept = self._graph.nodes
        for node in before.nodes.values():
            for _, link in node.links():
                if node.id not in kept or link.node not in kept:
                    yield f'{_quote(link.node)} -> {_quote(node.id)} [color="#d5d9de"];'
        for note in self._graph.notes:
            if isinstance(note.into, Link) and note.into.node in kept:
                for node_id in note.nodes:
                    yield (
                        f"{_quote(node_id)} -> {_quote(note.into.node)} "
                        f'[color="#d5d9de", style=dotted, arrowhead=none, label={_quote(note.kind)}, constraint=false];'
                    )

    def _node(self, node: Node) -> str:
        known = self._catalog.get(node.class_type or "")
        lines = [node.title or node.class_type or "?"]
        if node.title and node.title not in (node.class_type, known.display_name if known else None):
            lines.append(node.class_type or "?")
        if len(self._plan.steps) > 1 and node.id in self._steps:
            lines.append(f"prompt {self._steps[node.id]}")
        options = [f"label={_quote(*lines)}", f"tooltip={_quote(node.id, str(node.class_type))}"]
        if node.id in self._plan.effects:
            options.append('fillcolor="#f7e3f0"')
        if node.id not in self._running:
            options.append('style="filled,rounded,dashed", fillcolor="#fff7ee"')
        return f"{_quote(node.id)} [{', '.join(options)}];"

    def _by_reference(self, value: Input) -> bool:
        return self._rules.of(self._typing.of(value)) == "ref"


def _port(mode: str, port: PlanInput | PlanOutput) -> str:
    tags = [f"[{', '.join(port.tags)}]"] if port.tags else []
    label = _quote(port.name, f"{port.type}, {port.pass_by}", *tags)
    style = "filled" if mode != "PASSTHRU" else "filled,dashed"
    fill = _PORT_FILLS[port.pass_by]
    return (
        f"{_quote(_port_id(mode, port.name))} [label={label}, shape={_PORT_SHAPES[mode]}, "
        f'margin="0.24,0.09", height=0.45, style="{style}", fillcolor="{fill}", color="#4c7a57", '
        f"tooltip={_quote(mode)}];"
    )


def _grey_node(node: Node) -> str:
    lines = [node.title or node.class_type or "?"]
    name = node.inputs.get("unique_id") if node.class_type == PORT_CLASS else None
    if isinstance(name, Literal):
        lines.append(str(name.value))
    return f'{_quote(node.id)} [label={_quote(*lines)}, fillcolor="#f5f6f7", color="#d5d9de", fontcolor="#a8b0ba"];'


def _source(value: Input) -> str:
    if isinstance(value, Literal):
        raise TypeError("a literal comes from no node")
    return _port_id("INPUT", value.name) if isinstance(value, Param) else value.node


def _port_id(mode: str, name: str) -> str:
    return f"{mode}:{name}"


def _quote(*lines: str) -> str:
    """Return lines of text as one quoted dot string; XML, which is what SVG is, has no control characters."""
    one_line = (printable_line(line.replace("\n", " ").replace("\t", " ")) for line in lines)
    escaped: Iterable[str] = (line.replace("\\", "\\\\").replace('"', '\\"') for line in one_line)
    return '"' + "\\n".join(escaped) + '"'
