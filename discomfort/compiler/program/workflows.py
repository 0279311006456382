"""The workflows of a program, loaded and ready to compose: names made unique, ports read, effects found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from discomfort.compiler.frontend import FrontendOptions, Workflow, load_workflow
from discomfort.compiler.program.ports import Interface, PlaceOf, read_ports
from discomfort.ir.catalog.effects import PORT_CLASS, Effect, EffectTable
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings
from discomfort.ir.graph import Graph, Node, NodeId

if TYPE_CHECKING:
    from discomfort.ir.catalog.catalog import Catalog


ROWS_AT_A_TIME = 256
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class LoadedWorkflow:
    """One workflow to compose: its name in the program, its lowered graph with effects, its ports, and itself."""

    name: str
    graph: Graph
    ports: Interface
    workflow: Workflow

    def digest(self) -> str:
        """Return a digest of the document as saved, whatever the order of keys.

        The document is hashed in pieces, so that no second copy of it lies in memory.
        """
        hasher = hashlib.blake2b(digest_size=16)
        for key, part in sorted(self.workflow.document.items(), key=lambda entry: str(entry[0])):
            rows = part if isinstance(part, list) else [part]
            hasher.update(f"{key}:{len(rows)}\n".encode("utf-8", "surrogatepass"))
            for start in range(0, len(rows), ROWS_AT_A_TIME):
                hasher.update(_canonical(rows[start : start + ROWS_AT_A_TIME]).encode())
        return hasher.hexdigest()


def load_units(
    sources: Sequence[Any],
    catalog: Catalog,
    options: FrontendOptions,
    effects: EffectTable,
    findings: Findings,
) -> list[LoadedWorkflow]:
    """Load each workflow, name it, and read its ports; findings go to `findings`."""
    if not sources:
        findings.add("DF209", "there is no workflow to compile", Place())
    units: list[LoadedWorkflow] = []
    taken: set[str] = set()
    for source in sources:
        workflow = load_workflow(source, catalog, options)
        findings.extend(workflow.diagnostics)
        name = _free_name(workflow.name, taken)
        graph = replace(workflow.graph, effects=_effects(workflow.graph, effects))
        ports = read_ports(graph, place_in(workflow), findings)
        units.append(LoadedWorkflow(name, graph, ports, workflow))
    return units


def place_in(workflow: Workflow) -> PlaceOf:
    """Return a function that returns where a node of one workflow is written."""

    def place(node: Node, name: str | None) -> Place:
        return Place(workflow.source, workflow.paths.get(node.origin.node), node.origin.node, node.title, name)

    return place


def place_in_program(units: Sequence[LoadedWorkflow]) -> PlaceOf:
    """Return a function that returns where a node of the program is written, by the workflow it came from."""
    places = {unit.name: place_in(unit.workflow) for unit in units}

    def place(node: Node, name: str | None) -> Place:
        return places[node.origin.workflow](node, name)

    return place


def used_classes(workflows: Iterable[Workflow]) -> set[str]:
    """Return the node classes that workflows name; of a save also those of nodes that do not run."""
    names: set[Any] = set()
    for workflow in workflows:
        names.update(node.class_type for node in workflow.graph.nodes.values())
        definitions = workflow.document.get("definitions")
        inner = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
        for graph in (workflow.document, *(inner if isinstance(inner, list) else ())):
            nodes = graph.get("nodes") if isinstance(graph, Mapping) else None
            rows = nodes if isinstance(nodes, list) else ()
            names.update(kind for row in rows if isinstance(row, Mapping) and isinstance(kind := row.get("type"), str))
    return names


def _free_name(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    taken.add(free)
    return free


def _effects(graph: Graph, effects: EffectTable) -> tuple[NodeId, ...]:
    """Return the nodes to run for what they do, in file order.

    A node of a class that no catalog describes and that feeds nothing may be one of them, so it stays.
    """
    kinds = {name: effects.rule(name).effect for name in {node.class_type for node in graph.nodes.values()}}
    kinds[PORT_CLASS] = Effect.PURE
    fed: set[NodeId] = set()
    undescribed = {name for name in kinds if name is None or name not in effects.catalog}
    if undescribed:
        fed.update(link.node for node in graph.nodes.values() for _, link in node.links())
    return tuple(
        node.id
        for node in graph.nodes.values()
        if kinds[node.class_type] is Effect.EFFECT
        or (node.class_type in undescribed and kinds[node.class_type] is Effect.UNKNOWN and node.id not in fed)
    )
