"""From a save to the graph: every active node of every instance, with its widget values and what feeds it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from discomfort.compiler.frontend.findings import Findings
from discomfort.compiler.frontend.javascript import json_value
from discomfort.compiler.frontend.javascript import text as js_text
from discomfort.compiler.frontend.layout import UNDEFINED, Layouts, Widget
from discomfort.compiler.frontend.literals import literal
from discomfort.compiler.frontend.models import BYPASSED, MUTED, SavedInput, SavedNode, SavedWorkflow
from discomfort.compiler.frontend.promoted import NOTHING, Promoted
from discomfort.compiler.frontend.resolve import Resolver
from discomfort.compiler.frontend.subgraphs import Scope, make_ids_unique, unfold
from discomfort.compiler.frontend.texts import dynamic_prompt, file_name
from discomfort.compiler.frontend.virtual import PRIMITIVE, VIRTUAL, first_value, primitive_value
from discomfort.compiler.frontend.widgets import widget_values
from discomfort.compiler.graph import Graph, Input, Link, Literal, Node, NodeId, Origin


class Lowering:
    """Lowers one workflow."""

    def __init__(
        self,
        workflow: SavedWorkflow,
        name: str,
        layouts: Layouts,
        findings: Findings,
        seed: int,
        clock: datetime | None,
    ) -> None:
        make_ids_unique(workflow)
        self._workflow = workflow
        self._name = name
        self._layouts = layouts
        self._findings = findings
        self._seed = seed
        self._clock = clock
        self._scopes = unfold(workflow, findings)
        self._promoted = Promoted(workflow.definitions, layouts)
        self._resolver = Resolver(self._scopes, layouts, self._promoted, findings)
        self.paths: dict[str, str] = {}

    def graph(self) -> Graph:
        """Return the graph of all active nodes."""
        nodes: dict[NodeId, Node] = {}
        for scope in self._scopes:
            for saved in scope.graph.nodes.values():
                if saved.mode == MUTED or saved.mode == BYPASSED or saved.type in VIRTUAL or saved.id in scope.children:
                    continue
                node = self._node(scope, saved)
                nodes[node.id] = node
                self.paths[node.id] = f"{scope.graph.path}.nodes[{saved.row}]"
        _drop_dangling(nodes)
        return Graph(nodes)

    def _node(self, scope: Scope, saved: SavedNode) -> Node:
        layout = self._layouts.get(saved.type)
        node_id = NodeId(scope.prefix + saved.id)
        inputs: dict[str, Input] = {}
        widgets: dict[str, Widget] = {}
        title = saved.title
        if layout is None:
            self._report_unknown(node_id, scope, saved)
            if type(saved.values) is list:
                for row, value in enumerate(saved.values):
                    inputs["UNKNOWN" if row == 0 else f"UNKNOWN_{row}"] = literal(value)
        else:
            for widget, value in widget_values(layout, saved):
                if widget.sent and value is not UNDEFINED:
                    inputs[widget.name] = self._widget_literal(widget, value, node_id)
                shown = scope.parent is not None and self._promoted.override(scope, saved.id, widget.name)
                if type(shown) is Literal:
                    inputs[widget.name] = shown
                widgets[widget.name] = widget
            if title is None:
                title = self._layouts.title(saved.type)
        for slot in saved.inputs or ():
            if slot.link is not None:
                self._connect(scope, saved, slot, inputs, widgets)
        class_type = None if layout is None else saved.type
        return Node(node_id, class_type, inputs, title or "", Origin(self._name, node_id))

    def _widget_literal(self, widget: Widget, value: Any, node_id: str) -> Input:
        if type(value) is str:
            if widget.dynamic_prompts:
                return Literal(dynamic_prompt(value, f"{self._seed}/{node_id}/{widget.name}"))
            if widget.name == "filename_prefix" and "%" in value:
                return Literal(file_name(value, self._find_value, self._now))
        return literal(value)

    def _connect(
        self, scope: Scope, node: SavedNode, slot: SavedInput, inputs: dict[str, Input], widgets: dict[str, Widget]
    ) -> None:
        link = scope.graph.links.get(slot.link)
        origin = None if link is None else scope.graph.nodes.get(link.origin)
        if scope.parent is not None and self._promoted.override(scope, node.id, slot.name) is not False:
            return
        if origin is not None and origin.type == PRIMITIVE:
            widget = widgets.get(slot.name)
            if widget is not None:
                inputs[slot.name] = self._widget_literal(
                    widget, primitive_value(first_value(origin), widget), scope.prefix + node.id
                )
            return
        source = self._resolver.source(scope, node, slot.name, slot.link, slot.type)
        if source is NOTHING:
            inputs.pop(slot.name, None)
        elif source is not None:
            inputs[slot.name] = source

    def _now(self) -> datetime:
        if self._clock is None:
            self._clock = datetime.now()
            self._findings.note("DF141", f"%date% in a file name is the moment of compilation, {self._clock:%c}")
        return self._clock

    def _find_value(self, node_name: str, widget_name: str) -> object:
        by_name = [
            (scope, node)
            for scope in self._scopes
            for node in scope.graph.nodes.values()
            if node.properties.get("Node name for S&R") == node_name
        ] or [
            (scope, node)
            for scope in self._scopes
            for node in scope.graph.nodes.values()
            if self._title(node) == node_name
        ]
        for _, node in by_name[:1]:
            layout = self._layouts.get(node.type)
            if layout is not None:
                for widget, value in widget_values(layout, node):
                    if widget.name == widget_name:
                        return js_text(json_value(value)) if value is not None else ""
        raise KeyError(node_name)

    def _title(self, node: SavedNode) -> str:
        if node.title is not None or self._layouts.get(node.type) is None:
            return node.title or node.type
        return self._layouts.title(node.type)

    def _report_unknown(self, node_id: str, scope: Scope, saved: SavedNode) -> None:
        self._findings.warning(
            "DF130",
            f"the node type {saved.type!r} is not in the catalog, so its inputs are not known",
            path=f"{scope.graph.path}.nodes[{saved.row}]",
            node=node_id,
            title=saved.title or saved.type,
            hint="give a catalog of the ComfyUI that has it: discomfort-graph catalog pull URL -o FILE",
        )


def _drop_dangling(nodes: dict[NodeId, Node]) -> None:
    """Remove links to nodes that are not in the graph, as the frontend's last step does."""
    for node in nodes.values():
        gone = [name for name, value in node.inputs.items() if type(value) is Link and value.node not in nodes]
        for name in gone:
            del node.inputs[name]  # type: ignore[attr-defined]
