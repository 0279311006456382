"""What of a run cannot be sent to its engine, or back: said at bind, of the whole plan at once (law R5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from discomfort.compiler.plan.model import PlanData
from discomfort.context.values.opaque import OpaqueValue, opaque_reason, server_value
from discomfort.ir.catalog.effects import LOADER_CLASS
from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import make_finding
from discomfort.ir.graph import Link, Literal, Node, NodeId
from discomfort.ir.types.language import TypeInference, needs_link
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.binding.prompts import BoundRun, StepWork
from discomfort.runtime.describe_value import describe_value
from discomfort.runtime.engines.protocol import TransferLimits

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.ir.catalog.catalog import Catalog


class RebuildingCrossing:
    """What can be sent to an engine that takes values as they are stored; `here`: it runs in this Python."""

    code = "DF523"
    hint = "run it on the ComfyUI that made the value, or make the value again on this engine"

    def __init__(self, here: bool) -> None:
        self._here = here

    def value_problem(self, value: Any, linked: bool, catalog: Catalog) -> str | None:
        """Return why a value cannot be rebuilt where the engine runs, as far as that is known here."""
        if type(value) is not OpaqueValue:
            return None
        _, reason = opaque_reason(value)
        if server_value(value) is not None:
            return reason
        return f"it cannot be rebuilt in this Python: {reason}" if self._here else None

    def result_problem(self, type_name: str, is_list: bool, catalog: Catalog) -> str | None:
        """Return None: every result is stored as it is."""
        return None


def checked_transfer(
    plan: PlanData,
    run: BoundRun,
    left: Sequence[StepWork],
    crossing: TransferLimits | None,
    digests: Mapping[Link, str],
    context: WorkflowContext,
    here: bool,
) -> BoundRun:
    """Return `run` with the types of what its prompts deliver, where not every type can come back.

    Args:
        plan: what `run` was bound from.
        run: what runs.
        left: what is left of it.
        crossing: what can be sent to the engine and back; None: everything that is here and can be rebuilt there.
        digests: the values that are known already.
        context: where the values are.
        here: whether the engine runs in this Python.

    Raises:
        BindError: the run has findings, values cannot be sent to the engine, or results not back; names all of
            them.
    """
    findings = list(run.findings)
    check = _Check(plan, run, crossing or RebuildingCrossing(here), context)
    if crossing is None:
        findings += check.opaque_inputs(left, ("pickle", "server") if here else ("server",))
    else:
        findings += [*check.inputs(left), *check.remembered(left, digests), *check.outputs(left), *check.between(left)]
    if findings:
        raise BindError(findings)
    if crossing is None:
        return run
    return replace(run, types={link: check.typing.of(link) for work in left for link in work.targets})


class _Check:
    """Looks at each value that crosses once."""

    def __init__(self, plan: PlanData, run: BoundRun, crossing: TransferLimits, context: WorkflowContext) -> None:
        self._plan = plan
        self._run = run
        self._crossing = crossing
        self._context = context

    @cached_property
    def typing(self) -> TypeInference:
        """The types of the graph's values."""
        unresolved = {name: port.type for name, port in self._plan.inputs.items()}
        return TypeInference(self._run.graph, self._run.graph.nodes, self._run.signatures, unresolved)

    def opaque_inputs(self, left: Sequence[StepWork], kinds: Collection[str]) -> Iterator[Diagnostic]:
        """Yield the inputs, and the refs, that hold what cannot be rebuilt where the engine runs.

        Only values of `kinds` are decoded for that, those which may be of a foreign class.
        """
        for node_id in self._run.loaded_by:
            digest = _loaded_digest(self._run.graph.nodes.get(node_id))
            if digest is None or self._context.values.kind(digest) not in kinds:
                continue
            if any(node_id in work.nodes for work in left):
                yield from self._input(node_id, digest, False)

    def inputs(self, left: Sequence[StepWork]) -> Iterator[Diagnostic]:
        """Yield the inputs whose values cannot be sent to the engine, and the refs whose recipes hold such."""
        needed = dict.fromkeys(node_id for work in left for node_id in work.nodes)
        linked = {link.node for link in self._linked(needed)}
        for node_id in needed:
            digest = _loaded_digest(self._run.graph.nodes[node_id])
            if digest is not None:
                yield from self._input(node_id, digest, node_id in linked)

    def _input(self, node_id: NodeId, digest: str, linked: bool) -> Iterator[Diagnostic]:
        value = self._context.values.get_or_opaque(digest)
        problem = self._value_problem(value, linked)
        for name in self._run.loaded_by.get(node_id, ("",)) if problem else ():
            port = self._plan.inputs.get(name)
            place = (
                self._plan.place_of_port(port) if port else self._plan.place_of(self._run.graph.nodes[node_id], None)
            )
            kind = f" ({port.type})" if port and name not in self._run.refs else ""
            yield self._finding(place, f"{self._run.role(name)}{kind} holds {describe_value(value)}: {problem}")

    def remembered(self, left: Sequence[StepWork], digests: Mapping[Link, str]) -> Iterator[Diagnostic]:
        """Yield the values that are known from before and cannot be sent to the engine that needs them."""
        linked = self._linked(node_id for work in left for node_id in work.nodes)
        for link in dict.fromkeys(link for work in left for link in work.loads if link in digests):
            value = self._context.values.get_or_opaque(digests[link])
            problem = self._value_problem(value, link in linked)
            if problem:
                yield self._finding(
                    self._place(link), f"the value remembered of it is {describe_value(value)}: {problem}"
                )

    def outputs(self, left: Sequence[StepWork]) -> Iterator[Diagnostic]:
        """Yield the outputs that cannot be returned."""
        targets = {link for work in left for link in work.targets}
        for name, link in self._run.wanted.items():
            problem = self._result_problem(link) if link in targets else None
            if problem:
                port = self._plan.outputs[name]
                yield self._finding(self._plan.place_of_port(port), f"output {name!r} {problem}")

    def between(self, left: Sequence[StepWork]) -> Iterator[Diagnostic]:
        """Yield the values on their way from one prompt to the next that cannot be returned."""
        for link in dict.fromkeys(link for work in left for link in work.targets):
            problem = None if link in self._run.results else self._result_problem(link)
            if problem:
                node = self._run.graph.nodes[link.node]
                message = f"output {link.slot} of {node.class_type}, which a later prompt of the plan needs,"
                yield self._finding(self._place(link), f"{message} {problem}")

    def _linked(self, nodes: Iterable[NodeId]) -> set[Link]:
        """Return the links that feed inputs in which a literal may not stay as it is."""
        signatures = self._run.signatures
        found: set[Link] = set()
        for node_id in nodes:
            node = self._run.graph.nodes[node_id]
            node_class = signatures.catalog.get(node.class_type) if node.class_type else None
            if node_class is not None:
                specs = signatures.inputs(node_class, node.inputs)
                found.update(link for name, link in node.links() if needs_link(specs.get(name)))
        return found

    def _value_problem(self, value: Any, linked: bool) -> str | None:
        return self._crossing.value_problem(value, linked, self._run.signatures.catalog)

    def _result_problem(self, link: Link) -> str | None:
        kind, is_list = self.typing.of(link), self.typing.is_list(link)
        problem = self._crossing.result_problem(kind, is_list, self._run.signatures.catalog)
        return f"is {'a list of ' if is_list else ''}{kind}: {problem}" if problem else None

    def _place(self, link: Link) -> Place:
        return self._plan.place_of(self._run.graph.nodes[link.node], None)

    def _finding(self, place: Place, message: str) -> Diagnostic:
        return make_finding(self._crossing.code, message, place, self._crossing.hint)


def _loaded_digest(node: Node | None) -> str | None:
    """Return the digest of the value that a node loads; None where it is not a loader."""
    if node is None or node.class_type != LOADER_CLASS:
        return None
    digest = node.inputs["digest"]
    return str(digest.value) if isinstance(digest, Literal) else None
