"""What a compiled program is: an immutable, deterministic description of a run.

A plan is data. It names what a run needs (`inputs`), what it gives (`outputs`) and does (`effects`), and holds the
optimised graph in which a consumer of an input holds `Param(name)`. `discomfort.plan.Plan` is this data with the
methods that explain, write, compare and run it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar

from discomfort.compiler.program.binding import Binding
from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.graph import Graph, Input, Json, Node, NodeId, Origin, Param, Step, restricted
from discomfort.ir.walk import ancestors
from discomfort.printable import counted, printable_line
from discomfort.settings.pass_by import PassBy

Source: TypeAlias = "str | bytes | os.PathLike[str] | Mapping[str, Any]"
"""A workflow as it is given: its path, its parsed JSON, JSON text, or the content of a media file that embeds it."""

OutputKind: TypeAlias = Literal["output", "passthru"]
PlanType = TypeVar("PlanType", bound="PlanData")

PLAN_VERSION = 1
"""Of the JSON of plans. Raise it when the JSON changes, and add a step to `migrate.MIGRATIONS`."""


@dataclass(frozen=True, slots=True)
class PlanWorkflow:
    """One workflow of the program: its name in node ids, the file it came from, and the digest of its document."""

    name: str
    source: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class PortPlace:
    """A DiscomfortPort behind an input or output: where it was written and what its title says."""

    origin: Origin
    title: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """What one or more consumers ask of a value.

    `type` is ComfyUI's type of the consuming input; `minimum` and `maximum` are inclusive; `choices` are the options
    of a combo, None where any value will do.
    """

    type: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[Json, ...] | None = None
    multiselect: bool = False


@dataclass(frozen=True, slots=True)
class PlanInput:
    """A parameter: a value that the context or `inputs` must hold under `name` when the plan is bound.

    `uses` lists every consumer as `(node id, input name)`; `required` is False when nothing in the plan reads it.
    """

    name: str
    type: str
    pass_by: PassBy
    required: bool = True
    uses: tuple[tuple[NodeId, str], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    tags: tuple[str, ...] = ()
    ports: tuple[PortPlace, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanOutput:
    """A result: `kind` is "output" for an OUTPUT port, "passthru" for a PASSTHRU port that was requested."""

    name: str
    type: str
    pass_by: PassBy
    source: Input
    kind: OutputKind = "output"
    tags: tuple[str, ...] = ()
    ports: tuple[PortPlace, ...] = ()


@dataclass(frozen=True)
class PlanData:
    """An optimised program, ready to be bound to a context.

    Node ids stay traceable: `main/12:3` is node 3 in subgraph node 12 of `main.json`.
    """

    workflows: tuple[PlanWorkflow, ...]
    graph: Graph
    inputs: Mapping[str, PlanInput]
    outputs: Mapping[str, PlanOutput]
    bindings: tuple[Binding, ...] = ()
    taps: Mapping[str, PlanOutput] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    rules: Mapping[str, PassBy] = field(default_factory=dict)
    catalog_digest: str = ""
    version: int = PLAN_VERSION
    sources: tuple[Source, ...] = field(default=(), compare=False, repr=False)
    """The workflows as they were given, for the pictures that a run saves; not in the plan's JSON."""

    @property
    def effects(self) -> tuple[NodeId, ...]:
        """The nodes that are run for what they do, in their order."""
        return self.graph.effects

    @property
    def steps(self) -> tuple[Step, ...]:
        """The prompts of a run on a ComfyUI server, in their order; engines to which size costs nothing join them."""
        return self.graph.steps or (Step("1", tuple(self.graph.nodes)),)

    @property
    def carried(self) -> tuple[str, ...]:
        """The loop-carried variables: read from outside and written, so that an iteration feeds the next."""
        return tuple(name for name in self.inputs if name in self.outputs)

    def place_of(self, node: Node, input_name: str | None) -> Place:
        """Return where a node (and one of its inputs) is written; that of a spliced recipe is in a workflow by name."""
        return self._place(node.origin, node.title, input_name)

    def place_of_port(self, port: PlanInput | PlanOutput) -> Place:
        """Return where a port is written: the first of those that share its name."""
        first = port.ports[0] if port.ports else None
        return Place(input=port.name) if first is None else self._place(first.origin, first.title, port.name)

    def _place(self, origin: Origin, title: str, name: str | None) -> Place:
        source = next((workflow.source for workflow in self.workflows if workflow.name == origin.workflow), None)
        is_file = source is not None and not source.startswith("<")  # "<dict>" says less than a name
        return Place(source if is_file else origin.workflow, None, origin.node, title, name)

    def __repr__(self) -> str:
        names = printable_line(", ".join(workflow.name for workflow in self.workflows))
        return (
            f"<Plan {names}: {counted(len(self.inputs), 'input')}, {counted(len(self.outputs), 'output')},"
            f" {counted(len(self.effects), 'effect')}, {counted(len(self.graph.nodes), 'node')},"
            f" {counted(len(self.steps), 'step')}>"
        )

    __str__ = __repr__

    def select(self: PlanType, *, tags: str | Iterable[str]) -> PlanType:
        """Return the plan of only those outputs that carry one of `tags`; effects stay.

        Raises:
            ValueError: no output carries any of them.
        """
        wanted = {tags} if isinstance(tags, str) else set(tags)
        kept = {name: port for name, port in self.outputs.items() if wanted.intersection(port.tags)}
        if not kept:
            known = sorted({tag for port in self.outputs.values() for tag in port.tags})
            raise ValueError(f"no output is tagged {', '.join(sorted(wanted))}; tags are {', '.join(known) or 'none'}")
        return self._restricted(kept)

    def _restricted(self: PlanType, outputs: Mapping[str, PlanOutput]) -> PlanType:
        asked = replace(self.graph, outputs={name: port.source for name, port in outputs.items()})
        alive = ancestors(asked, asked.roots())
        graph = restricted(asked, alive)
        inputs = {name: _still_used(port, alive, outputs) for name, port in self.inputs.items()}
        return replace(self, graph=graph, outputs=outputs, inputs=inputs)


def _still_used(port: PlanInput, alive: set[NodeId], outputs: Mapping[str, PlanOutput]) -> PlanInput:
    uses = tuple(use for use in port.uses if use[0] in alive)
    asked = any(isinstance(output.source, Param) and output.source.name == port.name for output in outputs.values())
    return replace(port, uses=uses, required=bool(uses) or asked)
