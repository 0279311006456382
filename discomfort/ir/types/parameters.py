"""What a parameter must be where its consumer would take several types: match types, inferred from both sides.

A switch takes anything, but both of its sides are one type, and so is what comes out: the type of a parameter on one
side follows from the other side, or from what reads the switch.
"""

from __future__ import annotations

from collections.abc import Mapping

from discomfort.ir.catalog.catalog import InputSpec
from discomfort.ir.graph import Graph, Link, NodeId
from discomfort.ir.types.language import (
    ANY,
    MATCH_TYPE,
    Signatures,
    TypeInference,
    match_types,
    meet,
    template_of,
    wanted_type,
)

Template = tuple[NodeId, str]


class ParameterTypes:
    """The type that each consumer asks for; computed once, consumers first. Linear in nodes and links."""

    def __init__(self, graph: Graph, signatures: Signatures) -> None:
        """`graph.nodes` lies with producers first."""
        self._graph = graph
        self._signatures = signatures
        self._asked: dict[Template, str] = {}
        self._typing: TypeInference | None = None
        names = {node.class_type for node in graph.nodes.values() if node.class_type in signatures.catalog}
        self._templates = {
            name: outputs
            for name in names
            if any(outputs := tuple(spec.match_template for spec in signatures.catalog[str(name)].outputs))
        }
        if self._templates:
            self._typing = TypeInference(graph, graph.nodes, signatures)
            self._infer()

    def of(self, node_id: NodeId, spec: InputSpec) -> str:
        """Return the type that input `spec` of a node asks for."""
        wanted = wanted_type(spec)
        if spec.type != MATCH_TYPE or self._typing is None:
            return wanted
        node = self._graph.nodes[node_id]
        template = template_of(spec)
        specs = self._signatures.inputs(self._signatures.catalog[str(node.class_type)], node.inputs)
        given = match_types(specs, node, self._typing).get(template) or wanted
        return meet(given, self._asked.get((node_id, template), ANY)) or given

    def _infer(self) -> None:
        catalog, nodes = self._signatures.catalog, self._graph.nodes
        for node_id in reversed(list(nodes)):
            node = nodes[node_id]
            specs: Mapping[str, InputSpec] | None = None
            for name, value in node.inputs.items():
                if type(value) is not Link or nodes[value.node].class_type not in self._templates:
                    continue
                if specs is None:
                    known = catalog.get(node.class_type or "")
                    specs = {} if known is None else self._signatures.inputs(known, node.inputs)
                if name in specs:
                    self._ask(value, self.of(node_id, specs[name]))

    def _ask(self, link: Link, wanted: str) -> None:
        templates = self._templates[self._graph.nodes[link.node].class_type]
        template = templates[link.slot] if 0 <= link.slot < len(templates) else None
        if template is not None:
            key = (link.node, template)
            known = self._asked.get(key, ANY)
            self._asked[key] = meet(known, wanted) or known
