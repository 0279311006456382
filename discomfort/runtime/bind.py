"""A plan + a context → a bound run: parameters resolved, recipes spliced in, known results cut out.

Binding happens anew for every run, because what a parameter holds and what is already known differ each time. It
reads values and remembers nothing; the executor runs what it returns.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from discomfort.compiler.diagnostics import Diagnostic, DiscomfortError, Place, Severity, render
from discomfort.compiler.effects import LOADER_CLASS, EffectTable
from discomfort.compiler.emit import emit_prompt
from discomfort.compiler.graph import (
    Graph,
    Input,
    Link,
    Literal,
    Node,
    NodeId,
    Origin,
    Param,
    ancestors,
    topological_order,
)
from discomfort.compiler.keys import Stamp, node_keys, output_key
from discomfort.compiler.plan import Plan, PlanInput, PlanOutput, Step
from discomfort.compiler.recipe import Recipe, slice_recipe, splice_recipe
from discomfort.runtime.check import check_value, fit_value
from discomfort.runtime.engine import SAVER_CLASS, NodePlace, Prompt

if TYPE_CHECKING:
    from discomfort.compiler.catalog import Catalog
    from discomfort.context.context import WorkflowContext

SCALARS = (bool, int, float, str, type(None))
"""Values that go into a prompt as literals; everything else goes through a loader node (law R4)."""


class BindError(DiscomfortError, ValueError):
    """A plan does not fit its context; `diagnostics` holds everything that is missing or wrong."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n" + render(self.diagnostics))


@dataclass(frozen=True, slots=True)
class BoundPrompt:
    """One prompt ready for an engine: `outputs` maps the names it delivers to saver nodes, `links` to what they are."""

    prompt: Prompt
    outputs: Mapping[str, str]
    links: Mapping[str, Link]
    places: Mapping[str, NodePlace]
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BoundRun:
    """A plan whose parameters have values.

    `wanted` maps outputs to the links that compute them, `known` to digests that need no computing, `recipes` to how
    a ref is rebuilt. `keys` are the memo keys of nodes (None: never remembered).
    """

    graph: Graph
    steps: tuple[Step, ...]
    wanted: Mapping[str, Link]
    known: Mapping[str, str]
    recipes: Mapping[str, Recipe]
    effects: tuple[NodeId, ...]
    keys: Mapping[NodeId, str | None]

    def memo_key(self, link: Link) -> str | None:
        """Return the key under which the value of `link` is remembered, or None where it must not be."""
        key = self.keys.get(link.node)
        return None if key is None else output_key(key, link.slot)

    def loose_nodes(self) -> set[NodeId]:
        """Return the nodes behind wanted outputs that no step of the plan holds: those that recipes brought in."""
        planned = {node for step in self.steps for node in step.nodes}
        return {link.node for link in self.wanted.values() if link.node not in planned}


def bind(
    plan: Plan,
    context: WorkflowContext,
    catalog: Catalog,
    *,
    stamp: Stamp | None = None,
    effects: bool = True,
    digest_of: Callable[[Any], str],
) -> BoundRun:
    """Return `plan` bound to what `context` holds.

    Args:
        plan: what to run.
        context: where the values of parameters are.
        catalog: the classes of the engine about to run.
        stamp: tells the content of the files that nodes read (see `keys.Stamp`).
        effects: whether nodes run for their effects are part of the run.
        digest_of: stores a value and returns its digest.

    Raises:
        BindError: values are missing or do not fit their ports; lists all of them.
    """
    binder = _Binder(plan, context, catalog)
    values = binder.resolve_inputs()
    graph = binder.substitute(values)
    outputs = {name: _resolve(output.source, values) for name, output in plan.outputs.items()}
    kept_effects = plan.effects if effects else ()
    wanted, known, refs = _sort_outputs(plan.outputs, outputs, graph, digest_of)
    roots = [link.node for link in (*wanted.values(), *refs.values())] + list(kept_effects)
    reached = ancestors(graph, roots)
    needed = Graph({node_id: node for node_id, node in graph.nodes.items() if node_id in reached})
    keys = node_keys(needed, topological_order(needed), {}, EffectTable(catalog), stamp)
    recipes = {name: slice_recipe(needed, link, plan.outputs[name].type) for name, link in refs.items()}
    steps = plan.steps or (Step("1", ()),)
    return BoundRun(needed, steps, wanted, known, recipes, kept_effects, keys)


class _Binder:
    """Resolves the parameters of one plan and puts their values into its graph."""

    def __init__(self, plan: Plan, context: WorkflowContext, catalog: Catalog) -> None:
        self._plan = plan
        self._context = context
        self._catalog = catalog
        self._nodes: dict[NodeId, Node] = dict(plan.graph.nodes)
        self._findings: list[Diagnostic] = []

    def resolve_inputs(self) -> dict[str, Input]:
        """Return what each parameter stands for in this run: a literal, or a link to a loader or into a recipe."""
        stored = set(self._context.list_keys())
        values = {}
        for name, port in self._plan.inputs.items():
            if not port.required:
                continue
            if name not in stored:
                self._findings.append(_missing(port, stored))
                continue
            values[name] = self._resolve_ref(name) if self._is_ref(name) else self._resolve_value(port)
        if self._findings:
            raise BindError(self._findings)
        return values

    def substitute(self, values: Mapping[str, Input]) -> Graph:
        """Return the graph with each parameter replaced by what it stands for."""
        for name, value in values.items():
            for node_id, input_name in self._plan.inputs[name].uses:
                node = self._nodes[node_id]
                self._nodes[node_id] = replace(node, inputs={**node.inputs, input_name: value})
        return Graph(self._nodes)

    def _is_ref(self, name: str) -> bool:
        info = self._context.get_storage_info(name)
        return info is not None and info["pass_by"] == "ref"

    def _resolve_ref(self, name: str) -> Input:
        return splice_recipe(self._nodes, read_recipe(self._context.recipe(name), name, self._catalog))

    def _resolve_value(self, port: PlanInput) -> Input:
        value = fit_value(self._context.load(port.name), port)
        self._findings += check_value(value, port, self._plan.graph, self._catalog)
        if isinstance(value, SCALARS):
            return Literal(value)
        return add_loader(self._nodes, self._context.digest(port.name), port.type)


def read_recipe(stored: Mapping[str, Any], name: str, catalog: Catalog) -> Recipe:
    """Return the recipe that a context stores under `name`: one of ours, or a workflow saved with `pass_by="ref"`.

    Raises:
        BindError: the workflow does not compile, needs inputs, or does not say which of its outputs is meant.
    """
    if stored.get("kind") == "recipe":
        return Recipe.from_json(stored)
    from discomfort.compiler import CompileError, compile

    try:
        plan = compile([dict(stored)], catalog=catalog)
    except CompileError as error:
        raise BindError(error.diagnostics) from error
    output = plan.outputs.get(name) or (next(iter(plan.outputs.values())) if len(plan.outputs) == 1 else None)
    if output is None or not isinstance(output.source, Link) or plan.inputs:
        needs = (
            f"needs {', '.join(plan.inputs)}" if plan.inputs else f"has the outputs {', '.join(plan.outputs) or 'none'}"
        )
        message = (
            f"the workflow saved as {name!r} {needs}; a ref wants one OUTPUT port called {name!r} and no INPUT ports"
        )
        raise BindError([Diagnostic("DF505", Severity.ERROR, Place(input=name), message)])
    return slice_recipe(plan.graph, output.source, output.type)


def add_loader(nodes: dict[NodeId, Node], digest: str, value_type: str) -> Link:
    """Add the node that brings a stored value into a prompt, named by the value's content; return its output."""
    node_id = NodeId(f"value/{digest[:24]}")
    inputs = {"digest": Literal(digest), "value_type": Literal(value_type)}
    nodes[node_id] = Node(node_id, LOADER_CLASS, inputs, "Stored value", Origin("context", digest[:24]))
    return Link(node_id, 0)


def cut_prompt(
    run: BoundRun, step: Step, edges: Mapping[Link, str], remembered: Callable[[str], str | None]
) -> BoundPrompt | None:
    """Return the prompt of one step, None when there is nothing left to run in it.

    `edges` gives the digests of what earlier steps delivered, `remembered` the digest of a memo key. Whatever is
    known is loaded instead of computed, and only what a wanted output or an effect still needs is kept.
    """
    inside = set(step.nodes)
    targets = [
        link for link in (*run.wanted.values(), *step.writes) if link.node in inside or link.node not in run.keys
    ]
    targets = [link for link in dict.fromkeys(targets) if link not in edges]
    roots = [link.node for link in targets] + [node for node in run.effects if node in inside]
    if not roots:
        return None
    nodes = _cut(run, roots, edges, remembered)
    return _prompt(nodes, targets, run.keys)


def recipe_prompt(recipe: Recipe) -> BoundPrompt:
    """Return the prompt that rebuilds a ref and delivers it."""
    return _prompt(recipe.graph.nodes, [recipe.output], {})


def _prompt(
    nodes: Mapping[NodeId, Node], targets: Iterable[Link], known_keys: Mapping[NodeId, str | None]
) -> BoundPrompt:
    links = {f"{link.node}.{link.slot}": link for link in targets}
    prompt = emit_prompt(Graph(nodes))
    outputs = {}
    for name, link in links.items():
        outputs[name] = saver = f"save/{name}"
        inputs = {"value": [link.node, link.slot], "name": name}
        prompt[saver] = {"class_type": SAVER_CLASS, "inputs": inputs, "_meta": {"title": "Store value"}}
    places: dict[str, NodePlace] = {
        node.id: NodePlace(node.origin.workflow, node.origin.node, node.title, node.class_type or "unknown")
        for node in nodes.values()
    }
    keys: dict[str, str] = {node_id: key for node_id in nodes if (key := known_keys.get(node_id)) is not None}
    return BoundPrompt(prompt, outputs, links, places, keys)


def _cut(
    run: BoundRun, roots: Iterable[NodeId], edges: Mapping[Link, str], remembered: Callable[[str], str | None]
) -> dict[NodeId, Node]:
    """Return the nodes behind `roots`, with a loader in the place of every value that is known."""
    kept: dict[NodeId, Node] = {}
    stack = list(roots)
    while stack:
        node_id = stack.pop()
        if node_id in kept:
            continue
        node = run.graph.nodes[node_id]
        replaced: dict[str, Input] = {}
        for name, link in node.links():
            key = run.memo_key(link)
            digest = edges.get(link) or (remembered(key) if key is not None else None)
            if digest is None:
                stack.append(link.node)
            elif run.graph.nodes[link.node].class_type != LOADER_CLASS:
                replaced[name] = add_loader(kept, digest, "*")
            else:
                stack.append(link.node)
        kept[node_id] = replace(node, inputs={**node.inputs, **replaced}) if replaced else node
    return kept


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


def _missing(port: PlanInput, stored: set[str]) -> Diagnostic:
    place = Place(input=port.name)
    if port.ports:
        first = port.ports[0]
        place = Place(first.origin.workflow, None, first.origin.node, first.title, port.name)
    near = difflib.get_close_matches(port.name, sorted(stored), n=3)
    hint = f"save it first: context.save({port.name!r}, …), or pass inputs={{{port.name!r}: …}}"
    if near:
        hint += f"; the context holds {', '.join(repr(name) for name in near)}"
    message = f"input {port.name!r} ({port.type}, by {port.pass_by}) is not in the context"
    return Diagnostic("DF501", Severity.ERROR, place, message, hint)
