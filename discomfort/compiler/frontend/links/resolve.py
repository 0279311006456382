"""What feeds an input: links followed through subgraphs, reroutes, bypassed and muted nodes. Nothing recurses."""

from __future__ import annotations

from typing import TypeAlias

from discomfort.compiler.frontend.hosts.host_values import HostValues
from discomfort.compiler.frontend.links.match_types import matched_type
from discomfort.compiler.frontend.saved.document import BYPASSED, INPUT_NODE, MUTED, BrokenLink, LinkId, SavedNode
from discomfort.compiler.frontend.saved.editor_only_nodes import GETTER, REROUTES, SETTER, VIRTUAL, first_value
from discomfort.compiler.frontend.saved.instances import Scope
from discomfort.compiler.frontend.widgets.class_widgets import MATCH_TYPE, Layouts, Socket
from discomfort.compiler.frontend.widgets.slots import declared_slots, fits, loaded_slots
from discomfort.ir.findings import Findings
from discomfort.ir.graph import Link, Literal, NodeId

LinkSource: TypeAlias = Link | Literal | None
_Step: TypeAlias = "tuple[Scope, LinkId]"


class Resolver:
    """Follows links in the instances of one workflow, remembering what it found on the way."""

    def __init__(self, scopes: list[Scope], layouts: Layouts, promoted: HostValues, findings: Findings) -> None:
        self._root = scopes[0]
        self._layouts = layouts
        self._promoted = promoted
        self._findings = findings
        self._memo: dict[tuple[int, LinkId, str], LinkSource] = {}
        self._rerouted: dict[tuple[str, str], str] = {}
        self._setters: dict[int, dict[str, SavedNode]] = {}

    def source(self, scope: Scope, node: SavedNode, name: str, link_id: LinkId, wanted: str) -> LinkSource:
        """Return what feeds an input of type `wanted` through link `link_id`: an output, a promoted value, or None."""
        link = scope.graph.links.get(link_id)
        if link is not None:
            origin = scope.graph.nodes.get(link.origin)
            plain = origin is not None and origin.mode != MUTED and origin.mode != BYPASSED
            if origin is not None and plain and origin.type not in VIRTUAL and origin.id not in scope.children:
                return Link(NodeId(scope.prefix + origin.id), link.origin_slot)
        return self._walk(scope, node, name, link_id, wanted)

    def _walk(self, scope: Scope, node: SavedNode, name: str, link_id: LinkId, wanted: str) -> LinkSource:
        known = self._layouts.catalog.get(node.type)
        if known is not None:
            wanted = matched_type(node, name, known, lambda link: self._source_type(scope, link)) or wanted
        passed: list[tuple[int, LinkId, str]] = []
        seen: set[tuple[int, LinkId, str]] = set()
        step: _Step | LinkSource = (scope, link_id)
        into: str | None = wanted
        through_bypass = False
        while type(step) is tuple:
            key = (step[0].index, step[1], wanted)
            if key in self._memo:
                step = self._memo[key]
                break
            if key in seen:
                self._report_loop(scope, node, name, through_bypass=through_bypass)
                step = None
                break
            seen.add(key)
            passed.append(key)
            if into is not None and not fits(self._rerouted_type(*step), into):
                step = None
                break
            step, passing, into = self._step(step[0], step[1], wanted, (scope, node, name))
            if passing is not None:
                through_bypass, wanted = True, passing
        result: LinkSource = step  # type: ignore[assignment]
        for key in passed:
            self._memo[key] = result
        return result

    def _rerouted_type(self, scope: Scope, link_id: LinkId) -> str:
        """Return the type of the output behind the Reroutes that a link comes from, any for other links.

        The editor cuts a link out of a Reroute where that type does not fit; it looks no further than this graph, and
        at no modes.
        """
        graph = scope.graph
        link = graph.links.get(link_id)
        origin = None if link is None else graph.nodes.get(link.origin)
        if origin is None or origin.type != "Reroute":
            return "*"
        passed: list[tuple[str, str]] = []
        given = "*"
        while (graph.id, origin.id) not in self._rerouted:
            passed.append((graph.id, origin.id))
            self._rerouted[graph.id, origin.id] = "*"
            link = graph.links.get(origin.inputs[0].link) if origin.inputs else None
            before = None if link is None else graph.nodes.get(link.origin)
            if link is None or before is None:
                break
            if before.type != "Reroute":
                given = self._output_type(before, link.origin_slot)
                break
            origin = before
        else:
            given = self._rerouted[graph.id, origin.id]
        for key in passed:
            self._rerouted[key] = given
        return given

    def _source_type(self, scope: Scope, link_id: LinkId) -> str:
        """Return the type of the output, or of the definition's input, that a link comes from."""
        link = scope.graph.links.get(link_id)
        if link is not None and link.origin == INPUT_NODE:
            ports = scope.graph.inputs
            return ports[link.origin_slot].type if 0 <= link.origin_slot < len(ports) else "*"
        origin = None if link is None else scope.graph.nodes.get(link.origin)
        return "*" if link is None or origin is None else self._output_type(origin, link.origin_slot)

    def _output_type(self, node: SavedNode, slot: int) -> str:
        definition = self._promoted.definitions.get(node.type)
        if definition is not None:
            return definition.outputs[slot].type if 0 <= slot < len(definition.outputs) else "*"
        known = self._layouts.catalog.get(node.type)
        if known is not None:
            kind = known.outputs[slot].type if 0 <= slot < len(known.outputs) else "*"
            if kind != MATCH_TYPE:
                return kind
        return node.outputs[slot] if node.outputs and 0 <= slot < len(node.outputs) else "*"

    def _step(
        self, scope: Scope, link_id: LinkId, wanted: str, consumer: tuple[Scope, SavedNode, str]
    ) -> tuple[_Step | LinkSource, str | None, str | None]:
        """Return where one link leads: another link to follow, a final source, or None.

        The second item is the type of the input through which a bypassed node was passed: the nodes behind must
        provide that type. The third is the type of the input that the other link ends at; None where it is a Reroute's.
        """
        link = scope.graph.links.get(link_id)
        if link is None:
            broken = type(link_id) is BrokenLink
            shown = f"{link_id.link!r} ({link_id.why})" if broken else repr(link_id)
            self._report_dangling(consumer, f"link {shown} is not in the list of links")
            return None, None, None
        if link.origin == INPUT_NODE and scope.parent is not None:
            ports = scope.graph.inputs
            given = ports[link.origin_slot].type if 0 <= link.origin_slot < len(ports) else None
            return self._leave(scope, link.origin_slot), None, given
        origin = scope.graph.nodes.get(link.origin)
        if origin is None:
            self._report_dangling(consumer, f"link {link_id!r} comes from node {link.origin}, which is not there")
            return None, None, None
        if origin.mode == MUTED and origin.type != SETTER:
            return None, None, None
        if origin.type in VIRTUAL:
            if origin.mode == BYPASSED and wanted == "*" and origin.type != SETTER and not origin.inputs:
                self._report_bypass(consumer, scope, origin, "no input to pass on")
                return None, None, None
            if link.origin_slot != 0 and origin.type in REROUTES:
                return None, None, None
            return self._virtual(scope, origin), "*" if origin.mode == BYPASSED else None, None
        if origin.mode == BYPASSED:
            step, passing = self._bypass(scope, origin, link.origin_slot, wanted, consumer)
            return step, passing, passing
        child = scope.children.get(origin.id)
        if child is not None:
            return self._enter(child, link.origin_slot, consumer), None, None
        return Link(NodeId(scope.prefix + origin.id), link.origin_slot), None, None

    def _leave(self, scope: Scope, slot: int) -> _Step | LinkSource:
        """Return what feeds a subgraph's input `slot` from outside: the host's link, or its promoted widget."""
        ports = scope.graph.inputs
        host, parent = scope.host, scope.parent
        if host is None or parent is None or not 0 <= slot < len(ports):
            return None
        outer = self._promoted.host_input(scope, slot)
        taken_over = self._promoted.override(parent, host.id, ports[slot].name) is not False
        if outer is not None and outer.link is not None and not taken_over:
            return parent, outer.link
        return self._promoted.literal(scope, slot)

    def _enter(self, child: Scope, slot: int, consumer: tuple[Scope, SavedNode, str]) -> _Step | None:
        """Return the link inside a subgraph that feeds its output `slot`."""
        outputs = child.graph.outputs
        host = child.prefix[:-1]
        if not 0 <= slot < len(outputs):
            self._report_dangling(consumer, f"the link comes from output {slot} of subgraph {host}, which has no such")
            return None
        if not outputs[slot].links:
            return None
        inner = child.graph.links.get(outputs[slot].links[0])
        if inner is not None and inner.origin == INPUT_NODE:
            message = f"output {outputs[slot].name!r} of subgraph {host} is wired straight to one of its inputs"
            self._report_dangling(consumer, message)
            return None
        return child, outputs[slot].links[0]

    def _virtual(self, scope: Scope, origin: SavedNode) -> _Step | None:
        if origin.type == GETTER:
            if origin.mode == BYPASSED:
                return None
            found = self._setter(scope, first_value(origin))
            if found is None:
                return None
            scope, origin = found
        elif origin.type not in REROUTES:
            return None
        slots = origin.inputs
        return None if not slots or slots[0].link is None else (scope, slots[0].link)

    def _setter(self, scope: Scope, name: object) -> tuple[Scope, SavedNode] | None:
        """Return the first SetNode of this name in the getter's own graph, else in the root."""
        for place in (scope, self._root):
            if place.index not in self._setters:
                known = self._setters[place.index] = {}
                for node in place.graph.nodes.values():
                    if node.type == SETTER and type(first_value(node)) is str:
                        known.setdefault(first_value(node), node)
            if type(name) is str and name in self._setters[place.index]:
                return place, self._setters[place.index][name]
        return None

    def _bypass(
        self, scope: Scope, origin: SavedNode, slot: int, wanted: str, consumer: tuple[Scope, SavedNode, str]
    ) -> tuple[_Step | LinkSource, str]:
        inputs = self._slots(origin)
        given = origin.outputs[slot] if origin.outputs is not None and 0 <= slot < len(origin.outputs) else "*"
        if not 0 <= slot < self._output_count(origin):
            self._report_bypass(consumer, scope, origin, f"no output {slot} for which to pass on an input")
            return None, wanted
        index = bypass_index([type_ for _, type_, _ in inputs], slot, given, wanted)
        if index is None:
            if not inputs and wanted == "*":
                self._report_bypass(consumer, scope, origin, "no input to pass on")
            return None, wanted
        name, passing, link = inputs[index]
        if link is not None:
            return (scope, link), passing
        return (self._promoted.inner_value(scope, origin, name) if scope.parent is not None else None), passing

    def _output_count(self, node: SavedNode) -> int:
        definition = self._promoted.definitions.get(node.type)
        if definition is not None:
            return len(definition.outputs)
        known = self._layouts.catalog.get(node.type)
        return max(len(node.outputs or ()), len(known.outputs) if known is not None else 0)

    def _slots(self, node: SavedNode) -> list[tuple[str, str, LinkId]]:
        definition = self._promoted.definitions.get(node.type)
        if definition is not None:
            return loaded_slots([Socket(port.name, port.type) for port in definition.inputs], node)
        return loaded_slots(declared_slots(self._layouts, node), node)

    def _report_dangling(self, consumer: tuple[Scope, SavedNode, str], found: str) -> None:
        scope, node, name = consumer
        self._findings.add(
            "DF113",
            found,
            scope.place_of(node, name),
            "the editor refuses this workflow; remove the link and connect the input again",
        )

    def _report_loop(self, scope: Scope, node: SavedNode, name: str, *, through_bypass: bool) -> None:
        message = "a loop of bypassed nodes or reroutes feeds this input, so nothing does"
        self._findings.add("DF114", message, scope.place_of(node, name), milder=not through_bypass)

    def _report_bypass(
        self, consumer: tuple[Scope, SavedNode, str], scope: Scope, origin: SavedNode, lacks: str
    ) -> None:
        place, node, name = consumer
        self._findings.add(
            "DF115",
            f"node {scope.prefix}{origin.id} ({origin.title or origin.type}) is bypassed but has {lacks}",
            place.place_of(node, name),
            "mute it instead, or remove the link",
        )


def bypass_index(types: list[str], slot: int, given: str, wanted: str) -> int | None:
    """Return which input a bypassed node passes on for output `slot` of type `given` to an input of type `wanted`.

    An untyped consumer takes the input of the same position. Else that input counts if it fits both ends, then the
    first of exactly the wanted type, then the first that fits both.
    """
    if not types:
        return None
    if wanted == "*":
        return slot if slot < len(types) else 0
    if slot < len(types) and fits(types[slot], given) and fits(types[slot], wanted):
        return slot
    if wanted in types:
        return types.index(wanted)
    return next((index for index, type_ in enumerate(types) if fits(type_, given) and fits(type_, wanted)), None)
