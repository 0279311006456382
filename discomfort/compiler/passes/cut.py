"""cut: where a value may replace the nodes that compute it, and where it must because it is converted on its way.

The pass decides and marks; the known values differ from run to run, so binding does the cutting. Only plain values can
replace nodes (their types travel by value): an output of open type may turn out to be a model when it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

from discomfort.ir.catalog.effects import LOADER_CLASS, EffectTable
from discomfort.ir.graph import Graph, Link, NodeId
from discomfort.ir.types.language import Signatures, TypeInference, accepts, is_open, wanted_type
from discomfort.ir.walk import producers_first
from discomfort.settings.pass_by import PRESETS, PassByRules

VALUES = ",".join(name for name, rule in PRESETS.items() if rule == "val")


@dataclass(frozen=True, slots=True)
class Cut:
    """The pass. `values` lists the types that travel by value, separated by commas."""

    name: ClassVar[str] = "cut"
    values: str = VALUES

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        """Return the graph with its cuts and conversions marked."""
        return mark_cuts(graph, effects, _rules(self.values))


def cut_under(rules: PassByRules) -> Cut:
    """Return the pass under pass-by rules."""
    return Cut(",".join(name for name, rule in rules.rules.items() if rule == "val"))


def mark_cuts(graph: Graph, effects: EffectTable, rules: PassByRules) -> Graph:
    """Return the graph with the outputs marked whose value may replace the nodes behind them.

    Those are the linked outputs whose type travels by value, and the results by value, which a run stores anyway.
    A link whose two ends have types that only a written value joins (INT and FLOAT) is a conversion.
    """
    signatures = Signatures(effects.catalog)
    typing = TypeInference(graph, producers_first(graph), signatures)
    plain = lru_cache(maxsize=None)(lambda kind: rules.rule(kind) == "val" and not is_open(kind))
    cuts: dict[Link, None] = {}
    conversions: list[tuple[NodeId, str]] = []
    classes = {name: effects.catalog.get(name or "") for name in {node.class_type for node in graph.nodes.values()}}
    for node in graph.nodes.values():
        node_class = classes[node.class_type]
        specs = signatures.inputs(node_class, node.inputs) if node_class is not None else {}
        for name, link in node.inputs.items():
            if type(link) is not Link:
                continue
            kind = typing.of(link)
            if not plain(kind) or graph.nodes[link.node].class_type == LOADER_CLASS:
                continue
            cuts[link] = None
            spec = specs.get(name)
            if spec is not None and spec.type != kind and not accepts(kind, wanted_type(spec)):
                conversions.append((node.id, name))
    for value in graph.outputs.values():
        if type(value) is Link and rules.of(typing.of(value)) == "val":
            cuts[value] = None
    return replace(graph, cuts=tuple(cuts), conversions=tuple(conversions))


@lru_cache(maxsize=64)
def _rules(values: str) -> PassByRules:
    return PassByRules({name: "val" for name in values.split(",") if name})
