"""A bound run → the prompts that are left of it: known values are loaded instead of computed (law R2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from discomfort.compiler.partition.steps import prompt_nodes
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.effects import LOADER_CLASS, EffectTable
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Origin, Step
from discomfort.ir.keys import Source, output_key
from discomfort.ir.recipe import Recipe
from discomfort.ir.types.language import ANY, Signatures, wanted_type
from discomfort.ir.types.literal_rules import literal_problem
from discomfort.ir.untrusted_json.nesting import is_too_long
from discomfort.ir.walk import reachable
from discomfort.runtime.binding.effect_order import effect_groups
from discomfort.runtime.binding.pending_values import Pending, add_pending_loader
from discomfort.runtime.binding.value_check import convert
from discomfort.runtime.engines.protocol import SAVER_CLASS, NodePlace, PromptRequest

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.ir.catalog.catalog import Catalog, InputSpec
    from discomfort.ir.diagnostics import Diagnostic

SCALARS = (bool, int, float, str, type(None))
"""Values that go into a prompt as literals; everything else goes through a loader node (law R4)."""

_LITERAL_TYPES: Mapping[str, type] = {"INT": int, "FLOAT": float, "STRING": str, "COMBO": str, "BOOLEAN": bool}
"""ComfyUI's type → the Python type whose values a server takes as they are."""


@dataclass(frozen=True)
class BoundRun:
    """A plan whose parameters have values; its graph has the steps to run.

    `wanted` maps outputs to the links that compute them, `known` to digests that need no computing, `recipes` to how
    a ref is rebuilt. `keys` are the memo keys of nodes (None: never remembered), `sources` what nodes depend on besides
    their inputs. `loaded_by` names the inputs for which a loader is in the graph, `refs` those of them that are
    recipes; `types` are those of delivered values, where not every type can come back. `findings` are what keeps it
    from running.
    """

    graph: Graph
    wanted: Mapping[str, Link]
    known: Mapping[str, str]
    recipes: Mapping[str, Recipe]
    keys: Mapping[NodeId, str | None]
    signatures: Signatures
    loaded_by: Mapping[NodeId, Sequence[str]] = field(default_factory=dict)
    refs: Collection[str] = ()
    types: Mapping[Link, str] = field(default_factory=dict)
    findings: tuple[Diagnostic, ...] = ()
    sources: Mapping[NodeId, Source] = field(default_factory=dict)

    def role(self, name: str) -> str:
        """Return a text for what a loader works for: an input, or the recipe of one."""
        if not name:
            return "a value that a workflow writes into a port"
        return f"the recipe of {name!r}" if name in self.refs else f"input {name!r}"

    def memo_key(self, link: Link) -> str | None:
        """Return the key under which the value of `link` is remembered, or None where it must not be."""
        key = self.keys.get(link.node)
        return None if key is None else output_key(key, link.slot)

    @cached_property
    def place(self) -> Mapping[NodeId, int]:
        """Where each node lies in the order of the graph."""
        return {node_id: place for place, node_id in enumerate(self.graph.nodes)}

    @cached_property
    def results(self) -> frozenset[Link]:
        """The links whose values are requested."""
        return frozenset(self.wanted.values())

    @cached_property
    def conversions(self) -> frozenset[tuple[NodeId, str]]:
        """The inputs whose type differs from what their link provides."""
        return frozenset(self.graph.conversions)


@dataclass(frozen=True, slots=True)
class StepWork:
    """What is left of one step: the `nodes` its prompt holds, the `loads` that replace others, and its `targets`,
    the values it must deliver. `roots` are the nodes of the targets, then those with effects in their order.
    """

    step: Step
    roots: tuple[NodeId, ...]
    nodes: Mapping[NodeId, None]
    loads: frozenset[Link]
    targets: tuple[Link, ...]


def remaining_work(run: BoundRun, known: Callable[[Link], str | None]) -> list[StepWork]:
    """Return what is left to run, in the order of the steps; a step of which nothing is needed is left out.

    `known` gives the digest of a value that need not be computed. The steps are gone through from the last to the
    first, so that each is asked only for what the ones behind it still need.
    """
    left: list[StepWork] = []
    graph, steps = run.graph, run.graph.steps
    owner = {node_id: number for number, step in enumerate(steps) for node_id in step.nodes}
    targets: list[dict[Link, None]] = [{} for _ in steps]
    acting: list[list[NodeId]] = [[] for _ in steps]
    for link in run.wanted.values():
        if known(link) is None:
            targets[owner.get(link.node, 0)][link] = None
    for node_id in graph.effects:
        acting[owner.get(node_id, 0)].append(node_id)
    cuts = frozenset(graph.cuts)
    for number in range(len(steps) - 1, -1, -1):
        roots = (*(link.node for link in targets[number]), *acting[number])
        if not roots:
            continue
        nodes, loads = _behind(graph, roots, frozenset(steps[number].reads), cuts, known)
        for link in loads:
            if known(link) is None:
                targets[owner[link.node]][link] = None
        left.append(StepWork(steps[number], roots, nodes, frozenset(loads), tuple(targets[number])))
    left.reverse()
    return left


def _behind(
    graph: Graph,
    roots: Iterable[NodeId],
    reads: frozenset[Link],
    cuts: frozenset[Link],
    known: Callable[[Link], str | None],
) -> tuple[dict[NodeId, None], dict[Link, None]]:
    """Return the nodes behind `roots`, and the values that replace further ones."""
    loads: dict[Link, None] = {}

    def producers(node_id: NodeId) -> Iterator[NodeId]:
        for _, link in graph.nodes[node_id].links():
            if link in reads or (link in cuts and known(link) is not None):
                loads[link] = None
            else:
                yield link.node

    return reachable(roots, producers), loads


def make_prompt(
    run: BoundRun,
    work: StepWork,
    digests: Mapping[Link, str],
    context: WorkflowContext,
    store: Callable[[Any], str],
    extra_pnginfo: Mapping[str, Any] | None = None,
) -> PromptRequest:
    """Return the prompt of what is left of a step.

    Args:
        run: what runs.
        work: the step, from `remaining_work`.
        digests: values that earlier steps delivered or that are remembered; a missing one was stopped by a blocker,
            and the nodes behind it are part of this prompt, so that the blocker reaches it too. `Pending` where a
            prompt is made to be validated before the value is there.
        context: holds the values of digests.
        store: stores a value and returns its digest.
        extra_pnginfo: ends up in pictures that the prompt saves.
    """
    stopped = any(link not in digests for link in work.loads)
    kept: Iterable[NodeId] = prompt_nodes(run.graph, work.roots, digests.keys()) if stopped else work.nodes
    loads = digests if stopped else work.loads
    nodes: dict[NodeId, Node] = {}
    undecided: set[str] = set()
    for node_id in sorted(kept, key=run.place.__getitem__):
        node = run.graph.nodes[node_id]
        replaced: dict[str, Input] = {}
        for name, link in node.links():
            if link not in loads:
                continue
            digest = digests[link]
            if isinstance(digest, Pending):
                replaced[name] = _pending_input(run, nodes, undecided, node, name, link, digest)
            else:
                replaced[name] = _replacement(run, nodes, node, name, digest, context.values.get_or_opaque, store)
        nodes[node_id] = replace(node, inputs={**node.inputs, **replaced}) if replaced else node
    request = _request(run, nodes, work.targets, context)
    return replace(
        request,
        places={**request.places, **_named_by_ports(run, request)},
        extra_pnginfo=extra_pnginfo or {},
        sequence=_sequence(run, work, nodes),
        undecided=frozenset(undecided),
    )


def _sequence(run: BoundRun, work: StepWork, nodes: Mapping[NodeId, Node]) -> tuple[tuple[str, ...], ...]:
    """Return the effects of a prompt in groups, each to be done before the next begins; nothing where order is free."""
    effects = work.roots[len(work.targets) :]
    if len(effects) < 2:
        return ()
    table, results = EffectTable(run.signatures.catalog), [link.node for link in work.targets]
    return effect_groups(nodes, effects, results, lambda name: table.rule(name).mergeable)


def _named_by_ports(run: BoundRun, request: PromptRequest) -> dict[str, NodePlace]:
    """Return the places of loaders and savers with the names of the ports that they work for (law R6)."""
    named: dict[str, NodePlace] = {}
    for node_id, names in run.loaded_by.items():
        if node_id in request.places:
            named[node_id] = replace(request.places[node_id], ports=", ".join(run.role(name) for name in names))
    for name, link in run.wanted.items():
        saver = request.outputs.get(f"{link.node}.{link.slot}")
        if saver is not None:
            place = named.get(saver, request.places[saver])
            ports = f"{place.ports}, output {name!r}" if place.ports else f"output {name!r}"
            named[saver] = replace(place, ports=ports)
    return named


def recipe_run(recipe: Recipe, steps: tuple[Step, ...], catalog: Catalog) -> BoundRun:
    """Return the run that rebuilds a ref; nothing of it is remembered."""
    return BoundRun(replace(recipe.graph, steps=steps), {"": recipe.output}, {}, {}, {}, Signatures(catalog))


def add_loader(nodes: dict[NodeId, Node], digest: str, value_type: str) -> Link:
    """Add the node that loads a stored value into a prompt, named by the value's content; return its output."""
    node_id = NodeId(f"value/{digest[:24]}")
    inputs = {"digest": Literal(digest), "value_type": Literal(value_type)}
    nodes[node_id] = Node(node_id, LOADER_CLASS, inputs, "Stored value", Origin("context", digest[:24]))
    return Link(node_id, 0)


def _replacement(
    run: BoundRun,
    nodes: dict[NodeId, Node],
    node: Node,
    name: str,
    digest: str,
    read: Callable[[str], Any],
    store: Callable[[Any], str],
) -> Input:
    """Return what replaces a known value: a literal where that is the same to the node, else a loader."""
    spec = _literal_input(run, node, name)
    if spec is None:
        return add_loader(nodes, digest, "*")
    value = read(digest)
    if (node.id, name) in run.conversions:
        converted = convert(value, wanted_type(spec))
        if isinstance(converted, SCALARS) and not is_too_long(converted):
            return Literal(converted)
        return add_loader(nodes, digest if converted is value else store(converted), "*")
    same = type(value) is _LITERAL_TYPES[wanted_type(spec)] and not (type(value) is float and not math.isfinite(value))
    if same and not is_too_long(value) and literal_problem(spec, value) is None:
        return Literal(value)
    return add_loader(nodes, digest, "*")


def _pending_input(
    run: BoundRun,
    nodes: dict[NodeId, Node],
    undecided: set[str],
    node: Node,
    name: str,
    link: Link,
    value: Pending,
) -> Link:
    """Return what replaces a value that is not there yet; a node that will get it as a literal is `undecided`."""
    if _literal_input(run, node, name) is not None:
        undecided.add(node.id)
        return add_pending_loader(nodes, link, ANY)
    return add_pending_loader(nodes, link, ANY if (node.id, name) in run.conversions else value.type)


def _literal_input(run: BoundRun, node: Node, name: str) -> InputSpec | None:
    """Return an input of a node where it takes a literal; None where values come from loaders."""
    node_class = run.signatures.catalog.get(node.class_type) if node.class_type else None
    spec = run.signatures.inputs(node_class, node.inputs).get(name) if node_class is not None else None
    return spec if spec is not None and wanted_type(spec) in _LITERAL_TYPES else None


def _request(
    run: BoundRun, nodes: Mapping[NodeId, Node], targets: Iterable[Link], context: WorkflowContext
) -> PromptRequest:
    """Return the prompt of `nodes` with a saver for each of `targets`."""
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
    for name, link in links.items():  # a value that cannot be stored is reported at the node that made it
        places[outputs[name]] = replace(places[link.node], class_type=SAVER_CLASS)
    return PromptRequest(
        prompt,
        outputs,
        context,
        places,
        keys={node_id: key for node_id in nodes if (key := run.keys.get(node_id)) is not None},
        optional=frozenset(name for name, link in links.items() if link not in run.results),
        types={name: run.types[link] for name, link in links.items()} if run.types else {},
        sources={node_id: source for node_id, source in run.sources.items() if node_id in nodes},
        links=links,
    )
