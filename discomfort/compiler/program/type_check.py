"""Does every value fit where it goes? Asked of the stitched program, before anything runs (law L3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from discomfort.compiler.program.ports import PlaceOf
from discomfort.ir.catalog.catalog import InputSpec
from discomfort.ir.catalog.effects import LOADER_CLASS, PORT_CLASS, SAVER_CLASS
from discomfort.ir.codes import Severity
from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import made_milder, make_finding
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Param
from discomfort.ir.types.language import (
    MATCH_TYPE,
    Signatures,
    TypeInference,
    accepts,
    accepts_value,
    match_types,
    meet,
    wanted_type,
)
from discomfort.ir.types.literal_rules import literal_problem
from discomfort.ir.untrusted_json.numbers import LAST_SLOT
from discomfort.ir.walk import ancestors
from discomfort.near_names import did_you_mean

_UNCHECKED = (PORT_CLASS, LOADER_CLASS, SAVER_CLASS)


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks the nodes of one program; `crossings` holds the inputs that a stitched name feeds."""

    graph: Graph
    signatures: Signatures
    typing: TypeInference
    place_of: PlaceOf
    crossings: Mapping[tuple[NodeId, str], tuple[str, str]]

    def findings(self) -> Iterator[Diagnostic]:
        """Yield everything that does not fit, node by node; in a node that will not run, an error is a warning."""
        alive = ancestors(self.graph, self.graph.roots())
        for node in self.graph.nodes.values():
            if node.class_type in _UNCHECKED:
                continue
            for finding in (*self._node(node), *self._impossible_slots(node)):
                yield finding if node.id in alive else _as_warning(finding)
        for name, value in (*self.graph.outputs.items(), *self.graph.taps.items()):
            if isinstance(value, Link) and not self._has_output(value):
                yield self._no_output(f"{name!r}", value, self.place_of(self.graph.nodes[value.node], None))

    def _impossible_slots(self, node: Node) -> Iterator[Diagnostic]:
        """Yield links from outputs that no class has, where nothing is known of the class at one of their ends."""
        known = self.signatures.catalog.get(node.class_type) if node.class_type else None
        specs = {} if known is None else self.signatures.inputs(known, node.inputs)
        for name, link in node.links():
            if name not in specs and not 0 <= link.slot < LAST_SLOT:
                yield self._no_output(f"input {name!r}", link, self.place_of(node, name))

    def _has_output(self, link: Link) -> bool:
        count = self.typing.output_count(self.graph.nodes[link.node].class_type)
        return 0 <= link.slot < (LAST_SLOT if count is None else count)

    def _no_output(self, what: str, link: Link, place: Place) -> Diagnostic:
        source = self.graph.nodes[link.node]
        count = self.typing.output_count(source.class_type)
        has = "" if count is None else f", which has {count}"
        message = f"{what} comes from output {link.slot} of {source.class_type}{has}"
        return make_finding("DF303", message, place, "connect the input again")

    def _node(self, node: Node) -> Iterator[Diagnostic]:
        node_class = self.signatures.catalog.get(node.class_type) if node.class_type else None
        if node_class is None:
            yield self._unknown_class(node)
            return
        specs = self.signatures.inputs(node_class, node.inputs)
        for name, spec in specs.items():
            value = node.inputs.get(name)
            if value is None:
                if spec.group == "required":
                    yield self._missing(node, spec)
            elif isinstance(value, Link):
                yield from self._link(node, spec, value)
            elif isinstance(value, Literal):
                yield from self._literal(node, spec, value)
        if any(spec.type == MATCH_TYPE for spec in specs.values()):
            yield from self._match_types(node, specs)

    def _unknown_class(self, node: Node) -> Diagnostic:
        place = self.place_of(node, None)
        if node.class_type is None:
            message = "unknown node type: this node cannot run"
            return make_finding("DF305", message, place, "install the custom node, or remove this one")
        near = did_you_mean(node.class_type, self.signatures.catalog)
        pull = "give the catalog of the ComfyUI that has it: discomfort-graph catalog pull URL"
        return make_finding(
            "DF304",
            f"node class {node.class_type!r} is not in the catalog; its inputs are taken as saved and not checked",
            place,
            pull if near is None else f"{near} {pull}",
        )

    def _missing(self, node: Node, spec: InputSpec) -> Diagnostic:
        wanted = wanted_type(spec)
        return make_finding(
            "DF307",
            f"required input {spec.name!r} of {node.class_type} is missing",
            self.place_of(node, spec.name),
            f"connect an output of type {wanted}" if wanted.isupper() else "set it, or connect it",
        )

    def _link(self, node: Node, spec: InputSpec, link: Link) -> Iterator[Diagnostic]:
        source = self.graph.nodes[link.node]
        if not self._has_output(link):
            yield self._no_output(f"input {spec.name!r}", link, self.place_of(node, spec.name))
            return
        received, wanted = self.typing.of(link), wanted_type(spec)
        if spec.type == MATCH_TYPE or accepts(received, wanted):
            return
        if (node.id, spec.name) not in self.crossings or not accepts_value(received, wanted):
            yield self._mismatch(node, spec, source, received, wanted)

    def _maker(self, source: Node) -> Node:
        """Return the node that makes what `source` gives: PASSTHRU ports only pass on."""
        while source.class_type == PORT_CLASS and isinstance(link := source.inputs.get("input"), Link):
            source = self.graph.nodes[link.node]
        return source

    def _mismatch(self, node: Node, spec: InputSpec, source: Node, received: str, wanted: str) -> Diagnostic:
        place = self.place_of(node, spec.name)
        message = f"input {spec.name!r} of {node.class_type} expects {wanted}, got {received}"
        related = ((f"{received} comes from", self.place_of(self._maker(source), None)),)
        crossing = self.crossings.get((node.id, spec.name))
        if crossing is not None:
            message += f", through the port {crossing[0]!r} of {crossing[1]}"
        return make_finding("DF306", message, place, f"connect an output of type {wanted}", related=related)

    def _mismatch_of(self, node: Node, spec: InputSpec, value: Input) -> Diagnostic:
        source = self.graph.nodes[value.node] if isinstance(value, Link) else node
        return self._mismatch(node, spec, source, self.typing.of(value), wanted_type(spec))

    def _literal(self, node: Node, spec: InputSpec, literal: Literal) -> Iterator[Diagnostic]:
        problem = literal_problem(spec, literal.value)
        if problem is None:
            return
        place = self.place_of(node, spec.name)
        message = f"input {spec.name!r} of {node.class_type} {problem.message}"
        if problem.code not in ("DF311", "DF312"):
            yield make_finding(problem.code, message, place)
            return
        hint = did_you_mean(str(problem.value), [str(choice) for choice in spec.choices or ()])
        if problem.code == "DF312":
            yield make_finding("DF312", message, place, hint or "install the file before running")
        else:
            yield make_finding("DF311", message, place, hint)

    def _match_types(self, node: Node, specs: Mapping[str, InputSpec]) -> Iterator[Diagnostic]:
        for template, bound in match_types(specs, node, self.typing).items():
            if bound is not None:
                continue
            found = {
                name: self.typing.of(value)
                for name, spec in specs.items()
                if spec.type == MATCH_TYPE and isinstance(value := node.inputs.get(name), (Link, Param))
            }
            alone = [name for name, kind in found.items() if meet(wanted_type(specs[name]), kind) is None]
            if alone:
                yield from (self._mismatch_of(node, specs[name], node.inputs[name]) for name in alone)
                continue
            listed = ", ".join(f"{name} is {kind}" for name, kind in found.items())
            message = f"inputs of {node.class_type} that must share one type ({template}) do not: {listed}"
            yield make_finding("DF314", message, self.place_of(node, next(iter(found), None)))


def merge_duplicate_findings(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the findings; of two about one node of unknown type (when read, when checked) only one is kept."""
    findings = list(findings)
    read = {(found.where.file, found.where.node): found for found in findings if found.code == "DF130"}
    if not read:
        return findings
    again = {(f.where.file, f.where.node) for f in findings if f.code in ("DF121", "DF122", "DF304", "DF305")}
    kept: list[Diagnostic] = []
    for found in findings:
        first = read.get((found.where.file, found.where.node))
        if found.code == "DF305" and first is not None:
            kept.append(replace(found, where=first.where, message=f"{first.message} and it cannot run"))
        elif found.code != "DF130" or (found.where.file, found.where.node) not in again:
            kept.append(found)
    return kept


def _as_warning(finding: Diagnostic) -> Diagnostic:
    if finding.severity is not Severity.ERROR:
        return finding
    return replace(made_milder(finding), message=f"{finding.message} (nothing that is requested needs it)")
