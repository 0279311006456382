"""Subgraphs: ids made unique as the editor does at load, and the tree of instances that a workflow unfolds to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from discomfort.compiler.frontend.saved.document import BYPASSED, MUTED, SavedGraph, SavedNode, SavedWorkflow
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings
from discomfort.ir.untrusted_json.numbers import whole_id
from discomfort.ir.walk import settled

DEEPEST = 1000
"""Subgraphs nested deeper than this are an error: no user draws them, and node ids grow with each level."""

MOST_NODES = 500_000
"""A workflow that unfolds to more nodes than this is an error."""


_WHOLE = re.compile(r"(?:0|-?[1-9][0-9]*)$")
"""An id that JavaScript reads as a whole number and writes the same way."""


class Scope:
    """One instance of a graph: the root, or a subgraph seen from one host node.

    `prefix` is "" or "12:7:"; `children` holds the instance behind each active host node of this graph.
    """

    __slots__ = ("children", "depth", "graph", "host", "index", "parent", "prefix")

    def __init__(self, graph: SavedGraph, parent: Scope | None, host: SavedNode | None, index: int) -> None:
        self.graph: SavedGraph = graph
        self.parent: Scope | None = parent
        self.host: SavedNode | None = host
        self.index: int = index
        self.prefix: str = "" if parent is None or host is None else f"{parent.prefix}{host.id}:"
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: dict[str, Scope] = {}

    def place_of(self, node: SavedNode, input_name: str | None = None) -> Place:
        """Return where a node (and one of its inputs) is written, by the id that it has in this instance."""
        return replace(self.graph.place_of(node, input_name), node=self.prefix + node.id)


def unfold(workflow: SavedWorkflow, findings: Findings) -> list[Scope]:
    """Return every graph instance that the editor puts into a prompt, hosts before what is in them.

    Hosts at the root that are muted or bypassed hold nothing; deeper ones keep what is in them, used or not.
    """
    definitions = workflow.definitions
    sizes = _sizes(definitions)
    root = Scope(workflow.root, None, None, 0)
    scopes = [root]
    total = len(root.graph.nodes)
    position = 0
    while position < len(scopes):
        scope = scopes[position]
        position += 1
        for node in scope.graph.nodes.values():
            definition = definitions.get(node.type)
            if definition is None or (scope.parent is None and (node.mode == MUTED or node.mode == BYPASSED)):
                continue
            place = Place(node=scope.prefix + node.id, title=node.title or definition.name)
            if scope.parent is None:
                total += sizes.get(definition.id, 0)
            if definition.id not in sizes:
                findings.add("DF121", "this subgraph contains itself", place, "the editor loads it as nothing")
            elif scope.depth >= DEEPEST:
                findings.add("DF122", f"subgraphs are nested more than {DEEPEST} levels deep", place)
            elif total > MOST_NODES:
                total -= sizes[definition.id]
                message = f"with this subgraph, which unfolds to {sizes[definition.id]} nodes, there are too many"
                findings.add("DF122", message, place, f"at most {MOST_NODES} nodes are unfolded")
            else:
                child = Scope(definition, scope, node, len(scopes))
                scope.children[node.id] = child
                scopes.append(child)
    return scopes


def _sizes(definitions: dict[str, SavedGraph]) -> dict[str, int]:
    """Return to how many nodes each definition unfolds; those that hold themselves, or such a one, are left out."""
    names = list(definitions)
    index_of = {name: index for index, name in enumerate(names)}
    holders: list[set[int]] = [set() for _ in names]
    for index, definition in enumerate(definitions.values()):
        for node in definition.nodes.values():
            if node.type in index_of:
                holders[index_of[node.type]].add(index)
    sizes: dict[str, int] = {}
    for index in settled(holders):
        nodes = definitions[names[index]].nodes.values()
        sizes[names[index]] = sum(1 + sizes.get(node.type, 0) for node in nodes)
    return sizes


def make_ids_unique(workflow: SavedWorkflow, findings: Findings) -> None:
    """Renumber inner nodes whose ids are taken by the root or by an earlier definition, in file order.

    New ids count up from the save's last one, past those seen so far; the frontend does this when it loads a workflow,
    and prompts show it. Ids that the root writes as text take nothing; an inner node of such an id is reported.
    """
    taken = {node.id for node in workflow.root.nodes.values() if type(node.raw["id"]) in (int, float)}
    texts = workflow.root.nodes.keys() - taken
    last = workflow.last_node_id
    hosts = _hosts_that_promote(workflow)
    for definition in workflow.definitions.values():
        renamed: dict[str, str] = {}
        twins = len({node.id for node in definition.nodes.values()}) < len(definition.nodes)
        for node in definition.nodes.values():
            if node.id not in taken:
                taken.add(node.id)
                if node.id in texts:
                    _report_shared_id(definition, node, findings)
                if _WHOLE.match(node.id):
                    last = max(last, whole_id(node.id) or 0)
                continue
            last += 1
            while str(last) in taken:
                last += 1
            renamed[node.id] = str(last)
            taken.add(str(last))
            node.id = str(last)
        if renamed or twins:
            definition.nodes = {node.id: node for node in definition.nodes.values()}
            _move_links(definition, renamed)
            _rename_promotions(hosts.get(definition.id, ()), renamed)
    workflow.last_node_id = last


def _report_shared_id(definition: SavedGraph, node: SavedNode, findings: Findings) -> None:
    findings.add(
        "DF112",
        "the root has a node of this id, written as text: where widgets have one name, the editor mixes them up",
        definition.place_of(node),
        "save the workflow again in a current editor, which writes ids as numbers",
    )


def _move_links(definition: SavedGraph, renamed: dict[str, str]) -> None:
    for link in definition.links.values():
        link.origin = renamed.get(link.origin, link.origin)
        link.target = renamed.get(link.target, link.target)


def _hosts_that_promote(workflow: SavedWorkflow) -> dict[str, list[SavedNode]]:
    """Return the hosts with `proxyWidgets`, by their definition."""
    hosts: dict[str, list[SavedNode]] = {}
    for graph in (workflow.root, *workflow.definitions.values()):
        for node in graph.nodes.values():
            if node.type in workflow.definitions and type(node.properties.get("proxyWidgets")) is list:
                hosts.setdefault(node.type, []).append(node)
    return hosts


def _rename_promotions(hosts: Iterable[SavedNode], renamed: dict[str, str]) -> None:
    """Let the hosts of a definition name the renumbered nodes in their `proxyWidgets`."""
    for node in hosts:
        changed = [
            [renamed.get(str(entry[0]), entry[0]), *entry[1:]] if type(entry) is list and entry else entry
            for entry in node.properties["proxyWidgets"]
        ]
        node.properties = {**node.properties, "proxyWidgets": changed}
