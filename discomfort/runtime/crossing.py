"""What of a run cannot be brought to its engine, or back: said at bind, of the whole plan at once (law R5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from discomfort.compiler.diagnostics import Diagnostic, Place, Severity
from discomfort.compiler.effects import LOADER_CLASS
from discomfort.compiler.graph import Link, Literal, NodeId
from discomfort.compiler.plan import Plan
from discomfort.compiler.types import Typing, needs_link
from discomfort.runtime.bind import BindError
from discomfort.runtime.check import describe
from discomfort.runtime.engine import Crossing
from discomfort.runtime.prompts import BoundRun, Work

Read = Callable[[str], Any]
"""Gives the value of a digest."""


def checked_crossing(
    plan: Plan, run: BoundRun, left: Sequence[Work], crossing: Crossing | None, digests: Mapping[Link, str], read: Read
) -> BoundRun:
    """Return `run` with the types of what its prompts deliver, where not every type can come back.

    Args:
        plan: what `run` was bound from.
        run: what runs.
        left: what is left of it.
        crossing: what can be brought to the engine and back; None: everything.
        digests: the values that are known already.
        read: gives the value of a digest.

    Raises:
        BindError: the run has findings, values cannot be brought to the engine, or results not back; names all of
            them.
    """
    findings = list(run.findings)
    if crossing is None:
        if findings:
            raise BindError(findings)
        return run
    check = _Check(plan, run, crossing, read)
    findings += [*check.inputs(left), *check.remembered(left, digests), *check.outputs(left), *check.between(left)]
    if findings:
        raise BindError(findings)
    return replace(run, types={link: check.typing.of(link) for work in left for link in work.targets})


class _Check:
    """Looks at each value that crosses once."""

    def __init__(self, plan: Plan, run: BoundRun, crossing: Crossing, read: Read) -> None:
        unresolved = {name: port.type for name, port in plan.inputs.items()}
        self.typing = Typing(run.graph, run.graph.nodes, run.signatures, unresolved)
        self._plan = plan
        self._run = run
        self._crossing = crossing
        self._read = read

    def inputs(self, left: Sequence[Work]) -> Iterator[Diagnostic]:
        """Yield the inputs whose values cannot be brought to the engine, and the refs whose recipes hold such."""
        needed = dict.fromkeys(node_id for work in left for node_id in work.nodes)
        linked = {link.node for link in self._linked(needed)}
        for node_id in needed:
            node = self._run.graph.nodes[node_id]
            if node.class_type != LOADER_CLASS or not isinstance(digest := node.inputs["digest"], Literal):
                continue
            value = self._read(str(digest.value))
            problem = self._value_problem(value, node_id in linked)
            for name in self._run.loaded_by.get(node_id, ("",)) if problem else ():
                port = self._plan.inputs.get(name)
                place = self._plan.place_of_port(port) if port else self._plan.place_of(node, None)
                role = f"input {name!r} ({port.type})" if port and port.pass_by == "val" else f"the recipe of {name!r}"
                yield self._finding(place, f"{role} holds {describe(value)}: {problem}")

    def remembered(self, left: Sequence[Work], digests: Mapping[Link, str]) -> Iterator[Diagnostic]:
        """Yield the values that are known from before and cannot be brought to the engine that needs them."""
        linked = self._linked(node_id for work in left for node_id in work.nodes)
        for link in dict.fromkeys(link for work in left for link in work.loads if link in digests):
            value = self._read(digests[link])
            problem = self._value_problem(value, link in linked)
            if problem:
                yield self._finding(self._place(link), f"the value remembered of it is {describe(value)}: {problem}")

    def outputs(self, left: Sequence[Work]) -> Iterator[Diagnostic]:
        """Yield the outputs that cannot be brought back."""
        targets = {link for work in left for link in work.targets}
        for name, link in self._run.wanted.items():
            problem = self._result_problem(link) if link in targets else None
            if problem:
                port = self._plan.outputs[name]
                yield self._finding(self._plan.place_of_port(port), f"output {name!r} {problem}")

    def between(self, left: Sequence[Work]) -> Iterator[Diagnostic]:
        """Yield the values on their way from one prompt to the next that cannot be brought back."""
        for link in dict.fromkeys(link for work in left for link in work.targets):
            problem = None if link in self._run.results else self._result_problem(link)
            if problem:
                node = self._run.graph.nodes[link.node]
                words = f"output {link.slot} of {node.class_type}, which a later prompt of the plan needs,"
                yield self._finding(self._place(link), f"{words} {problem}")

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
        return Diagnostic(self._crossing.code, Severity.ERROR, place, message, self._crossing.hint)
