"""A plan + values → a bound run: parameters resolved, recipes spliced in, steps as the engine wants them.

Binding happens again for every run, because what a parameter holds differs each time. It reads values and remembers
nothing; `prompts` makes the prompts of what it returns, and the executor runs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.partition.steps import step_findings
from discomfort.compiler.passes.order import order_nodes
from discomfort.compiler.plan.model import PlanData, PlanInput, PlanOutput
from discomfort.compiler.program.ports import PlaceOf
from discomfort.context.errors import UnreadableValueError
from discomfort.context.values.value_list import ValueList
from discomfort.ir.api_prompt import plain_value
from discomfort.ir.catalog.effects import LOADER_CLASS, PORT_CLASS, Effect, EffectTable
from discomfort.ir.diagnostics import Diagnostic, DiscomfortError, Place, render
from discomfort.ir.findings import Findings, make_finding
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Param, Step, restricted
from discomfort.ir.recipe import Recipe, slice_recipe, splice_recipe
from discomfort.ir.types.language import Signatures, needs_link
from discomfort.ir.untrusted_json.nesting import is_too_long
from discomfort.ir.walk import ancestors
from discomfort.near_names import near_names
from discomfort.runtime.binding.prompts import SCALARS, BoundRun, add_loader
from discomfort.runtime.binding.value_check import check_value, convert, fit_value, looks_at
from discomfort.runtime.engines.protocol import Splitting

if TYPE_CHECKING:
    from discomfort.context.snapshot import Snapshot
    from discomfort.ir.catalog.catalog import Catalog, InputSpec


class BindError(DiscomfortError, ValueError):
    """A plan does not fit its context; `diagnostics` holds everything that is missing or wrong.

    Example:
        >>> with discomfort.Context() as context:
        ...     discomfort.compile(["load_vae.json", "main_workflow.json"]).run(context)
        Traceback (most recent call last):
            ...
        discomfort.BindError: ...
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__("\n" + render(self.diagnostics))


def bind(
    plan: PlanData,
    snapshot: Snapshot,
    catalog: Catalog,
    *,
    effects: bool = True,
    digest_of: Callable[[Any], str],
    splitting: Splitting = Splitting.NEVER,
) -> BoundRun:
    """Return `plan` bound to the values in `snapshot`.

    Args:
        plan: what to run.
        snapshot: the values of parameters.
        catalog: the classes of the engine about to run.
        effects: whether nodes run for their effects are part of the run.
        digest_of: stores a value and returns its digest.
        splitting: when several prompts are better than one on the engine about to run.

    The run has no keys yet: see `sources.with_keys`.

    What is missing, does not fit its port or is too deep for the engine is in the run's `findings`: such a run can be
    checked further, so that all that is wrong is reported at once (law L8), but not be made prompts of.
    """
    binder = _Binder(plan, snapshot, catalog, digest_of)
    values = binder.resolve_inputs()
    graph = binder.substitute(values)
    outputs = {name: _resolve(output.source, values) for name, output in plan.outputs.items()}
    kept_effects = tuple(node for node in plan.effects if effects and _can_act(plan.graph.nodes[node], catalog))
    wanted, known, refs = _sort_outputs(plan.outputs, outputs, graph, digest_of)
    roots = [link.node for link in (*wanted.values(), *refs.values())] + list(kept_effects)
    table = EffectTable(catalog)
    asked = replace(restricted(graph, ancestors(graph, roots)), outputs=wanted, effects=kept_effects)
    needed = order_nodes(asked)
    steps, too_deep = _steps(needed, table, splitting, binder.spliced, plan.place_of)
    needed = replace(needed, steps=steps)
    findings = (*binder.findings, *too_deep)
    recipes = (
        {} if findings else {name: slice_recipe(needed, link, plan.outputs[name].type) for name, link in refs.items()}
    )
    return BoundRun(
        needed, wanted, known, recipes, {}, Signatures(catalog), binder.loaded_by, binder.refs, findings=findings
    )


def _can_act(node: Node, catalog: Catalog) -> bool:
    """Return whether the engine runs a node for what it does; it may know a class that the compiler did not."""
    node_class = catalog.get(node.class_type) if node.class_type else None
    return node_class is None or node_class.output_node or node_class.effect == Effect.EFFECT.value


def _steps(
    graph: Graph, effects: EffectTable, splitting: Splitting, spliced: bool, place_of: PlaceOf
) -> tuple[tuple[Step, ...], list[Diagnostic]]:
    """Return the prompts of a run: the plan's own, unless recipes made them larger or the engine wants others.

    Besides them, what makes one too deep for the engine.
    """
    if splitting is Splitting.NEVER:
        partition = Partition(depth=0, for_speed=False)
        return (partition(graph, effects).steps if graph.conversions else (Step("1", tuple(graph.nodes)),)), []
    if splitting is Splitting.FOR_DEPTH:
        graph = Partition(for_speed=False)(graph, effects)
    elif spliced:
        graph = Partition()(graph, effects)
    return graph.steps, list(step_findings(graph, place_of))


class _Binder:
    """Resolves the parameters of one plan and puts their values into its graph."""

    def __init__(self, plan: PlanData, snapshot: Snapshot, catalog: Catalog, digest_of: Callable[[Any], str]) -> None:
        self._plan = plan
        self._snapshot = snapshot
        self._catalog = catalog
        self._signatures = Signatures(catalog)
        self._digest_of = digest_of
        self._recipes: list[Graph] = []
        self._lists: dict[str, ValueList] = {}
        self.loaded_by: dict[NodeId, list[str]] = {}
        self.refs: set[str] = set()
        self._nodes: dict[NodeId, Node] = dict(plan.graph.nodes)
        self.findings = Findings()

    def resolve_inputs(self) -> dict[str, Input]:
        """Return what replaces each parameter in this run: a literal, or a link to a loader or into a recipe.

        One whose value is missing or does not fit stays a parameter, and `findings` says why.
        """
        values: dict[str, Input] = {}
        for name, port in self._plan.inputs.items():
            if not port.required:
                continue
            values[name] = Param(name)
            if name not in self._snapshot:
                self.findings.extend([_missing(port, self._plan.place_of_port(port), self._snapshot.list_keys())])
                continue
            try:
                values[name] = self._resolve_ref(port) if self._snapshot.is_ref(name) else self._resolve_value(port)
            except BindError as error:
                self.findings.extend(error.diagnostics)
        return values

    def substitute(self, values: Mapping[str, Input]) -> Graph:
        """Return the graph with each parameter replaced by its value."""
        for name, value in values.items():
            for node_id, input_name in self._plan.inputs[name].uses:
                node = self._nodes[node_id]
                if name in self._lists:
                    given = self._listed(name, node, input_name)
                else:
                    given = self._carried(value, node, input_name, name)
                self._nodes[node_id] = replace(node, inputs={**node.inputs, input_name: given})
        self._carry_written_values()
        graphs = [self._plan.graph, *self._recipes]
        return replace(
            self._plan.graph,
            nodes=self._nodes,
            cuts=tuple(dict.fromkeys(link for graph in graphs for link in graph.cuts)),
            conversions=tuple(dict.fromkeys(place for graph in graphs for place in graph.conversions)),
        )

    @property
    def spliced(self) -> bool:
        """Whether recipes are part of the graph."""
        return bool(self._recipes)

    def _listed(self, name: str, node: Node, input_name: str) -> Input:
        """Return what passes a list of values to one of several consumers that want it as different types."""
        spec = self._spec(node, input_name)
        value = convert(self._lists[name], spec.type if spec is not None else "*")
        return self._add_loader(self._digest_of(value), "*", name)

    def _carried(self, value: Input, node: Node, input_name: str, name: str) -> Input:
        """Return what passes the value of the input `name` to a consumer: a literal, where it stays as it is there."""
        if type(value) is not Literal or self._stays_as_it_is(value.value, node, input_name):
            return value
        return self._add_loader(self._digest_of(value.value), self._plan.inputs[name].type, name)

    def _stays_as_it_is(self, value: Any, node: Node, input_name: str) -> bool:
        """Return whether a scalar reaches a node unchanged as a literal of the prompt; JSON has no NaN or infinity.

        A class that the engine lacks is refused as a whole, whatever its inputs hold.
        """
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return node.class_type not in self._catalog or not needs_link(self._spec(node, input_name))

    def _carry_written_values(self) -> None:
        """Link what takes a value that a workflow writes into a port to the value's loader: no engine runs ports."""
        written = {
            node_id: value
            for node_id, node in self._nodes.items()
            if node.class_type == PORT_CLASS and type(value := node.inputs.get("input")) is Literal
        }
        for node in list(self._nodes.values()) if written else ():
            loaders = {
                name: add_loader(self._nodes, self._digest_of(plain_value(written[link.node].value)), "*")
                for name, link in node.links()
                if link.node in written
            }
            if loaders:
                self._nodes[node.id] = replace(node, inputs={**node.inputs, **loaders})

    def _spec(self, node: Node, input_name: str) -> InputSpec | None:
        node_class = self._catalog.get(node.class_type) if node.class_type else None
        return None if node_class is None else self._signatures.inputs(node_class, node.inputs).get(input_name)

    def _resolve_ref(self, port: PlanInput) -> Input:
        place = self._plan.place_of_port(port)
        recipe = read_recipe(self._snapshot.recipe(port.name), port.name, self._catalog, place)
        self._recipes.append(recipe.graph)
        self.refs.add(port.name)
        for node in recipe.graph.nodes.values():
            if node.class_type == LOADER_CLASS:
                self.loaded_by.setdefault(node.id, []).append(port.name)
        return splice_recipe(self._nodes, recipe)

    def _resolve_value(self, port: PlanInput) -> Input:
        if self._snapshot.is_pickled(port.name) and not looks_at(port):
            return self._add_loader(self._snapshot.digest(port.name), port.type, port.name)
        try:
            stored = self._snapshot.load(port.name)
        except UnreadableValueError:  # it may be for an engine that can, which the transfer check decides
            return self._add_loader(self._snapshot.digest(port.name), port.type, port.name)
        value = fit_value(stored, port)
        findings = check_value(value, port, self._plan.place_of_port(port), self._plan.graph, self._catalog)
        if findings:
            raise BindError(findings)
        if isinstance(value, SCALARS) and not is_too_long(value):
            return Literal(value)
        if isinstance(value, ValueList) and len({constraint.type for constraint in port.constraints}) > 1:
            self._lists[port.name] = value
        digest = self._snapshot.digest(port.name) if value is stored else self._digest_of(value)
        return self._add_loader(digest, port.type, port.name)

    def _add_loader(self, digest: str, value_type: str, name: str) -> Link:
        """Add the loader of a value of the input `name`; return its output."""
        link = add_loader(self._nodes, digest, value_type)
        names = self.loaded_by.setdefault(link.node, [])
        if name not in names:
            names.append(name)
        return link


def read_recipe(stored: Mapping[str, Any], name: str, catalog: Catalog, place: Place | None = None) -> Recipe:
    """Return the recipe that a context stores under `name`: one of ours, or a workflow saved with `pass_by="ref"`.

    `place` is the port that reads it, if one does.

    Raises:
        BindError: the workflow does not compile, needs inputs, or does not say which of its outputs is meant.
    """
    if stored.get("kind") == "recipe":
        return Recipe.from_json(stored)
    from discomfort.compiler import CompileError, compile_to

    try:
        plan = compile_to(PlanData, [dict(stored)], catalog=catalog)
    except CompileError as error:
        related = ((f"it is saved as the ref {name!r}, which is read by", place),) if place else ()
        raise BindError(replace(found, related=(*found.related, *related)) for found in error.diagnostics) from error
    output = plan.outputs.get(name) or (next(iter(plan.outputs.values())) if len(plan.outputs) == 1 else None)
    if output is None or not isinstance(output.source, Link) or plan.inputs:
        needs = (
            f"needs {', '.join(plan.inputs)}" if plan.inputs else f"has the outputs {', '.join(plan.outputs) or 'none'}"
        )
        message = (
            f"the workflow saved as {name!r} {needs}; a ref wants one OUTPUT port called {name!r} and no INPUT ports"
        )
        raise BindError([make_finding("DF505", message, place or Place(input=name))])
    return slice_recipe(plan.graph, output.source, output.type)


def _sort_outputs(
    ports: Mapping[str, PlanOutput],
    sources: Mapping[str, Input],
    graph: Graph,
    digest_of: Callable[[Any], str],
) -> tuple[dict[str, Link], dict[str, str], dict[str, Link]]:
    """Return the outputs to compute, the digests of those that are known, and the refs to slice."""
    wanted: dict[str, Link] = {}
    known: dict[str, str] = {}
    refs: dict[str, Link] = {}
    for name, source in sources.items():
        if isinstance(source, Literal):
            known[name] = digest_of(source.value)
        elif isinstance(source, Link):
            node = graph.nodes[source.node]
            if node.class_type == LOADER_CLASS and isinstance(digest := node.inputs["digest"], Literal):
                known[name] = str(digest.value)
            elif ports[name].pass_by == "ref":
                refs[name] = source
            else:
                wanted[name] = source
    return wanted, known, refs


def _resolve(source: Input, values: Mapping[str, Input]) -> Input:
    return values[source.name] if isinstance(source, Param) else source


def _missing(port: PlanInput, place: Place, stored: Iterable[str]) -> Diagnostic:
    near = near_names(port.name, sorted(stored))
    hint = f"save it first: context.save({port.name!r}, …), or pass inputs={{{port.name!r}: …}}"
    if near:
        hint += f"; the context holds {', '.join(repr(name) for name in near)}"
    how = "value" if port.pass_by == "val" else "reference"
    message = f"input {port.name!r} ({port.type}, by {how}) is not in the context"
    return make_finding("DF501", message, place, hint)
