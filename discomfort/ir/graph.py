"""The IR: a graph of nodes in single-assignment form.

Every node produces numbered outputs exactly once; an input is a literal, a link to an output, or a parameter.
Values are frozen and compare by content; a node never holds another node, so nothing here recurses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NewType, TypeAlias

NodeId = NewType("NodeId", str)
"""The id of a node: in one workflow the frontend's own (`12:3`), in a stitched program `main/12:3`."""

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class Link:
    """Output `slot` (from 0) of node `node`."""

    node: NodeId
    slot: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A JSON value written in the workflow, exactly as it goes into a prompt."""

    value: Json


@dataclass(frozen=True, slots=True)
class Param:
    """A value that arrives from outside under a `unique_id`: from the context or from `inputs`."""

    name: str


Input: TypeAlias = Link | Literal | Param


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node was written: the workflow's name and the node's id in it (a path `host:inner` in subgraphs)."""

    workflow: str
    node: str


@dataclass(frozen=True, slots=True)
class Node:
    """One use of a node class.

    `class_type` is None for a node type that neither catalog nor workflow could name.
    `inputs` keeps the order in which a prompt shows them and is never mutated.
    """

    id: NodeId
    class_type: str | None
    inputs: Mapping[str, Input]
    title: str
    origin: Origin

    def links(self) -> Iterator[tuple[str, Link]]:
        """Yield each linked input as `(input name, link)`, in input order."""
        for name, value in self.inputs.items():
            if type(value) is Link:
                yield name, value


@dataclass(frozen=True, slots=True)
class Note:
    """What a pass did to some nodes and why: `kind` is "folded", "merged" or "removed".

    `into` is what replaces the nodes now, where something does.
    """

    kind: str
    nodes: tuple[NodeId, ...]
    why: str
    into: Input | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One prompt of a run: the `nodes` it is there for, producers first, the outputs of earlier steps it `reads`, and
    those of its own that later steps need (`writes`). What crosses between steps is always a val.

    Besides them the prompt holds what rebuilds the refs that its nodes use, wherever those nodes are: see `steps.py`.
    """

    id: str
    nodes: tuple[NodeId, ...]
    reads: tuple[Link, ...] = ()
    writes: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by id, the outputs requested by name, and the nodes kept for their effects, in their order.

    `taps` are names for values inside the graph (PASSTHRU ports) that keep nothing alive. `cuts` are the outputs whose
    value, once known, may replace the nodes behind them; `conversions` the inputs (node, name) that take a value of
    a different type from what their link provides, so that it must be known before the prompt is made; `steps` holds
    the prompts of a run (none: one prompt). `notes` is the record of what passes did and takes no part in equality.
    """

    nodes: Mapping[NodeId, Node]
    outputs: Mapping[str, Input] = field(default_factory=dict)
    effects: tuple[NodeId, ...] = ()
    taps: Mapping[str, Input] = field(default_factory=dict)
    notes: tuple[Note, ...] = field(default=(), compare=False)
    cuts: tuple[Link, ...] = ()
    conversions: tuple[tuple[NodeId, str], ...] = ()
    steps: tuple[Step, ...] = ()

    def roots(self) -> Iterator[NodeId]:
        """Yield the nodes that must stay: those behind an output, then those with effects."""
        for value in self.outputs.values():
            if type(value) is Link:
                yield value.node
        yield from self.effects


def restricted(graph: Graph, kept: Collection[NodeId]) -> Graph:
    """Return the graph with only the nodes in `kept`, and only their notes and marks; `kept` holds their ancestors."""
    steps = (
        Step(
            step.id,
            tuple(node for node in step.nodes if node in kept),
            tuple(link for link in step.reads if link.node in kept),
            tuple(link for link in step.writes if link.node in kept),
        )
        for step in graph.steps
    )
    return replace(
        graph,
        nodes={node_id: node for node_id, node in graph.nodes.items() if node_id in kept},
        cuts=tuple(link for link in graph.cuts if link.node in kept),
        conversions=tuple(place for place in graph.conversions if place[0] in kept),
        steps=tuple(step for step in steps if step.nodes),
    )


def with_inputs(node: Node, inputs: Mapping[str, Input]) -> Node:
    """Return `node` with other inputs."""
    return Node(node.id, node.class_type, inputs, node.title, node.origin)


def replace_names(table: Mapping[str, Input], replacement: Callable[[Link], Input | None]) -> Mapping[str, Input]:
    """Return outputs or taps with each link replaced for which `replacement` has something; else `table` itself."""
    changed: dict[str, Input] = {}
    for name, value in table.items():
        new = replacement(value) if isinstance(value, Link) else None
        if new is not None:
            changed[name] = new
    return {**table, **changed} if changed else table
