"""PrimitiveNode: one value for the widgets that it feeds.

The editor gives the node a widget like the first one it feeds, narrows it by the others where they are alike, and
copies its value into each; every step clamps and rounds numbers by the range at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from discomfort.compiler.frontend.saved.document import LinkId, SavedGraph, SavedInput, SavedNode
from discomfort.compiler.frontend.saved.editor_only_nodes import PRIMITIVE
from discomfort.compiler.frontend.text.javascript import math_round, to_fixed, to_number
from discomfort.compiler.frontend.widgets.class_widgets import UNDEFINED, Layouts, Widget
from discomfort.compiler.frontend.widgets.slots import target_slot
from discomfort.compiler.frontend.widgets.values import UNSET, saved_value, widget_values
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings

REPLACE = "Run widget replace on values"
"""The property with which a PrimitiveNode replaces patterns in its text."""

_NOT_COMPARED = frozenset(
    {"control_after_generate", "default", "defaultInput", "dynamicPrompts", "forceInput", "multiline", "tooltip"}
    | {"min", "max", "step"}
)


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers that a widget takes: ends, step, and the options that two widgets must share to be joined."""

    kind: str
    low: float
    high: float
    step: float
    rounding: float
    digits: int
    others: Mapping[str, Any]

    def fit(self, value: float) -> float | None:
        """Return the value clamped and rounded; None for NaN, which prompts show as null."""
        rounded = self.rounded(value)
        return None if rounded is None else min(max(rounded, self.low), self.high)

    def rounded(self, value: float) -> float | None:
        """Return the value rounded to the step of whole numbers or the digits of others; None for NaN."""
        if math.isnan(value):
            return None
        if self.kind == "INT":
            if not math.isfinite(value):
                return value
            offset = math.fmod(self.low, self.step)
            value = math_round((value - offset) / self.step) * self.step + offset if self.step != 1 else _whole(value)
        elif self.rounding and math.isfinite(value):
            value = to_fixed(math_round(value / self.rounding) * self.rounding, self.digits)
        return value

    def joined(self, other: Range) -> Range:
        """Return the range of values that suit both; this one where the editor does not join them."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        if self.kind != other.kind or self.others != other.others or low > high:
            return self
        step = self.step
        if self.kind == "INT" and self.step != other.step:
            step = math.lcm(int(self.step), int(other.step))
        return Range(self.kind, low, high, step, self.rounding, self.digits, self.others)


def _whole(value: float) -> float:
    return value if isinstance(value, int) else math_round(value)


def range_of(widget: Widget) -> Range:
    """Return the range that a number widget declares, with the editor's defaults for what it leaves open."""
    options = widget.options
    whole = widget.kind == "INT"
    step = _number(options.get("step"), 1 if whole else 0.5) or (1 if whole else 0.5)
    digits = min(100, max(0, -math.floor(math.log10(step)))) if 0 < step < math.inf else 0
    rounding = _number(options.get("round"), 0) or (10.0**-digits if digits else 0)
    others = {key: value for key, value in options.items() if key not in _NOT_COMPARED}
    low = _number(options.get("min"), 0)
    return Range(widget.kind, low, _number(options.get("max"), 2048), step, rounding, digits, others)


def _number(value: object, default: float) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else default


_NESTED = 50
"""Patterns whose widgets hold patterns in turn are followed so far; one that comes back to itself is not."""


class Primitives:
    """The PrimitiveNodes of one workflow: what each feeds, and what its value becomes there.

    A PrimitiveNode writes into the widgets at which its output's links arrive, whatever the inputs there say.
    """

    def __init__(self, layouts: Layouts, findings: Findings) -> None:
        self._layouts = layouts
        self._findings = findings
        self._looped: set[tuple[str, str]] = set()
        self._written: dict[str, dict[tuple[str, str], tuple[SavedNode, list[Widget]]]] = {}
        self._expanding: list[SavedNode] = []

    def value(self, graph: SavedGraph, node: SavedNode, widget: Widget, expand: Callable[[str], str]) -> Any:
        """Return the value that a PrimitiveNode gives to a node's widget; UNSET where none does.

        `expand` replaces the patterns of file names in a text, and may ask for further values.
        """
        written = self._written.get(graph.id)
        if written is None:
            written = self._written[graph.id] = self._write(graph)
        found = written.get((node.id, widget.name)) if written else None
        if found is None:
            return UNSET
        primitive, fed = found
        value = saved_value(primitive.values, 0)
        if value is UNSET or value is UNDEFINED:
            return UNSET
        if primitive.properties.get(REPLACE) and type(value) is str and "%" in value:
            if primitive in self._expanding or len(self._expanding) >= _NESTED:
                self._report_loop(graph, primitive)
                return UNSET
            self._expanding.append(primitive)
            value = expand(value)
            self._expanding.pop()
        return primitive_value(value, fed, widget)

    def warn_of_unlinked_hosts(self, graph: SavedGraph, definitions: Mapping[str, SavedGraph]) -> None:
        """Report links that arrive at inputs of subgraphs' hosts which do not have them.

        The editor writes the PrimitiveNode's value into what such an input shows, and it is not written here.
        """
        for primitive in graph.nodes.values():
            if primitive.type != PRIMITIVE:
                continue
            for link_id in _output_links(primitive):
                link = graph.links.get(link_id)
                host = None if link is None else graph.nodes.get(link.target)
                definition = None if host is None else definitions.get(host.type)
                if link is None or host is None or definition is None:
                    continue
                linked = any(slot.link == link_id for slot in host.inputs or ())
                if not linked and 0 <= link.target_slot < len(definition.inputs):
                    title = host.title or definition.name
                    self._findings.add(
                        "DF113",
                        f"the link from PrimitiveNode {primitive.id} arrives here, and this input has none",
                        Place(None, graph.path_of(host), host.id, title, definition.inputs[link.target_slot].name),
                        "the editor writes the value all the same; connect the input again in the editor",
                        milder=True,
                    )

    def _report_loop(self, graph: SavedGraph, primitive: SavedNode) -> None:
        if (graph.id, primitive.id) not in self._looped:
            self._looped.add((graph.id, primitive.id))
            self._findings.add(
                "DF145",
                "the pattern in this text names a widget that the text itself is written to",
                graph.place_of(primitive),
                "the editor lets the text grow each time; name another widget",
            )

    def _write(self, graph: SavedGraph) -> dict[tuple[str, str], tuple[SavedNode, list[Widget]]]:
        """Return, by node and widget, the PrimitiveNode that writes there and all widgets that it writes."""
        primitives = [node for node in graph.nodes.values() if node.type == PRIMITIVE]
        if not primitives:
            return {}
        ends = {
            slot.link: (node, slot)
            for node in graph.nodes.values()
            for slot in node.inputs or ()
            if slot.link is not None
        }
        written: dict[tuple[str, str], tuple[SavedNode, list[Widget]]] = {}
        for primitive in primitives:
            fed: list[Widget] = []
            for link_id in _output_links(primitive):
                target = self._target(graph, link_id, ends)
                if target is not None:
                    fed.append(target[1])
                    written[target[0].id, target[1].name] = primitive, fed
        return written

    def _target(
        self, graph: SavedGraph, link_id: LinkId, ends: Mapping[LinkId, tuple[SavedNode, SavedInput]]
    ) -> tuple[SavedNode, Widget] | None:
        link = graph.links.get(link_id)
        node = None if link is None else graph.nodes.get(link.target)
        layout = None if node is None else self._layouts.get(node.type)
        if link is None or node is None or layout is None:
            return None
        end, slot = ends.get(link_id, (None, None))
        if end is node and slot is not None:
            name = slot.widget or slot.name
        else:
            found = target_slot(self._layouts, node, link.target_slot)
            if found is None:
                return None
            name = found[0]
        return next(((node, widget) for widget, _ in widget_values(layout, node) if widget.name == name), None)


def _output_links(primitive: SavedNode) -> list[LinkId]:
    """Return the ids of the links that a PrimitiveNode's output was saved with."""
    outputs = primitive.raw.get("outputs")
    first = outputs[0] if type(outputs) is list and outputs else None
    links = first.get("links") if type(first) is dict else None
    return [link for link in links if type(link) not in (list, dict)] if type(links) is list else []


def primitive_value(value: Any, fed: Sequence[Widget], widget: Widget) -> Any:
    """Return what a PrimitiveNode's value becomes in `widget`, one of the widgets `fed` by it."""
    first = fed[0] if fed else widget
    if first.kind in ("INT", "FLOAT"):
        limits = range_of(first)
        if not limits.rounding and limits.kind == "FLOAT" and not isinstance(value, (int, float)):
            return value
        value = limits.fit(to_number(value))
        for other in fed[1:]:
            joined = limits.joined(range_of(other))
            if joined is not limits and value is not None:
                limits, value = joined, joined.fit(value)
        if value is None:
            return None
    if widget.kind == "INT":
        return range_of(widget).rounded(to_number(value))
    if widget.kind == "FLOAT":
        return range_of(widget).fit(to_number(value))
    if value is None and widget.kind == "STRING" and widget.options.get("multiline"):
        return ""
    return value
