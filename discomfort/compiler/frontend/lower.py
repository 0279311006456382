"""From a save to the graph: every active node of every instance, with its widget values and what feeds it."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

from discomfort.compiler.frontend.file_names import SAVERS, Names
from discomfort.compiler.frontend.hosts.host_values import NOTHING, HostValues
from discomfort.compiler.frontend.links.resolve import Resolver
from discomfort.compiler.frontend.saved.document import BYPASSED, MUTED, SavedInput, SavedNode, SavedWorkflow
from discomfort.compiler.frontend.saved.editor_only_nodes import GROUP_MARKS, VIRTUAL
from discomfort.compiler.frontend.saved.instances import Scope, unfold
from discomfort.compiler.frontend.text.prompt_text import MOST_CHOICES, dynamic_prompt
from discomfort.compiler.frontend.widgets.class_widgets import UNDEFINED, Layouts, Widget
from discomfort.compiler.frontend.widgets.literals import curve_literal, literal, unknown_literal
from discomfort.compiler.frontend.widgets.primitives import Primitives
from discomfort.compiler.frontend.widgets.slots import existing_inputs, is_lost
from discomfort.compiler.frontend.widgets.values import UNSET, widget_values
from discomfort.compiler.frontend.workflow import FrontendOptions
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Origin, with_inputs


class Lowering:
    """Lowers one workflow."""

    def __init__(
        self,
        workflow: SavedWorkflow,
        name: str,
        layouts: Layouts,
        findings: Findings,
        options: FrontendOptions,
    ) -> None:
        self._workflow = workflow
        self._name = name
        self._layouts = layouts
        self._findings = findings
        self._seed = options.seed
        self._scopes = unfold(workflow, findings)
        self._promoted = HostValues(workflow.definitions, layouts)
        self._resolver = Resolver(self._scopes, layouts, self._promoted, findings)
        self._primitives = Primitives(layouts, findings)
        names = Names(self._scopes[0], layouts, self._primitives, findings, options.clock)
        self._expand = names.expand
        self.paths: dict[str, str] = {}

    def graph(self) -> Graph:
        """Return the graph of all active nodes."""
        definitions = self._workflow.definitions
        for graph in (self._workflow.root, *definitions.values()) if definitions else ():
            self._primitives.warn_of_unlinked_hosts(graph, definitions)
        nodes: dict[NodeId, Node] = {}
        for scope in self._scopes:
            for saved in scope.graph.nodes.values():
                if saved.mode == MUTED or saved.mode == BYPASSED or saved.type in VIRTUAL or saved.id in scope.children:
                    continue
                node = self._node(scope, saved)
                nodes[node.id] = node
                self.paths[node.id] = scope.graph.path_of(saved)
        if not nodes and self._workflow.root.nodes:
            message = "nothing in this workflow runs: its nodes are muted, bypassed, or live in the editor only"
            self._findings.add(
                "DF118", message, Place(path="$.nodes"), "un-mute or un-bypass the nodes that should run"
            )
        return Graph(without_dangling(nodes))

    def _node(self, scope: Scope, saved: SavedNode) -> Node:
        layout = self._layouts.get(saved.type)
        node_id = NodeId(scope.prefix + saved.id)
        inputs: dict[str, Input] = {}
        widgets: dict[str, Widget] = {}
        title = saved.title
        if layout is None:
            self._report_unknown(scope, saved)
            if type(saved.values) is list:
                for row, value in enumerate(saved.values):
                    inputs["UNKNOWN" if row == 0 else f"UNKNOWN_{row}"] = unknown_literal(value)
        else:
            for widget, value in widget_values(layout, saved):
                given = self._primitives.value(scope.graph, saved, widget, self._expand)
                value = value if given is UNSET else given
                if widget.sent and (
                    value is not UNDEFINED or (widget.name == "filename_prefix" and saved.type in SAVERS)
                ):
                    inputs[widget.name] = self._widget_literal(widget, value, scope, saved)
                shown = scope.parent is not None and self._promoted.inner_value(scope, saved, widget.name)
                if type(shown) is Literal and shown is not NOTHING:
                    inputs[widget.name] = shown
                widgets[widget.name] = widget
            if not title:
                title = self._layouts.title(saved.type)
        if layout is not None:
            self._report_oddities(scope, saved, inputs, widgets)
        for slot in saved.inputs or () if layout is None or layout.fixed else existing_inputs(layout, saved):
            if slot.link is not None and not (layout and is_lost(layout, slot, widgets)):
                self._connect(scope, saved, slot, inputs, widgets)
        class_type = None if layout is None else saved.type
        return Node(node_id, class_type, inputs, title or "", Origin(self._name, node_id))

    def _widget_literal(self, widget: Widget, value: Any, scope: Scope, saved: SavedNode) -> Input:
        if widget.dynamic_prompts and type(value) is str:
            if value.count("{") > MOST_CHOICES:
                self._report_choices(widget, scope, saved)
                return Literal(value)
            return Literal(dynamic_prompt(value, f"{self._seed}/{scope.prefix}{saved.id}/{widget.name}"))
        if widget.name == "filename_prefix" and saved.type in SAVERS:
            if type(value) is str:
                return Literal(self._expand(value) if "%" in value else value)
            self._report_prefix(value, scope, saved)
            return Literal("")
        return curve_literal(value) if widget.kind == "CURVE" else literal(value)

    def _connect(
        self, scope: Scope, node: SavedNode, slot: SavedInput, inputs: dict[str, Input], widgets: dict[str, Widget]
    ) -> None:
        if scope.parent is not None and self._promoted.override(scope, node.id, slot.name) is not False:
            return
        source = self._resolver.source(scope, node, slot.name, slot.link, slot.type)
        if type(source) is Link:
            inputs[slot.name] = source
        elif type(source) is Literal:
            if source is NOTHING:
                inputs.pop(slot.name, None)
            else:
                inputs[slot.name] = source

    def _report_oddities(
        self, scope: Scope, saved: SavedNode, inputs: Mapping[str, Input], widgets: Mapping[str, Widget]
    ) -> None:
        if saved.type.startswith(GROUP_MARKS):
            self._findings.add(
                "DF116",
                "the editor leaves a group node inside a subgraph as it is; no server knows its class",
                scope.place_of(saved),
                "open the workflow in the editor, and put the nodes of the group into a subgraph",
                milder=True,
            )
        elif saved.type == "WebcamCapture":
            self._findings.add(
                "DF143",
                "this node takes its picture from a camera in the browser",
                scope.place_of(saved),
                "load the picture with LoadImage, or give it through a DiscomfortPort",
            )
        audio = inputs.get("audio")
        if type(audio) is Literal and not isinstance(audio.value, (str, NoneType)):
            widget = widgets.get("audio")
            if widget is not None and widget.options.get("audio_upload"):
                self._findings.add(
                    "DF142",
                    f"the audio file is {audio.value!r:.40}, not text",
                    scope.place_of(saved, "audio"),
                    "the editor breaks off loading this workflow",
                )

    def _report_choices(self, widget: Widget, scope: Scope, saved: SavedNode) -> None:
        self._findings.add(
            "DF144", f"this text holds more than {MOST_CHOICES} choices {{a|b}}", scope.place_of(saved, widget.name)
        )

    def _report_prefix(self, value: object, scope: Scope, saved: SavedNode) -> None:
        self._findings.add(
            "DF142",
            f"the file name prefix is {value!r:.40}, not text" if value is not UNDEFINED else "there is no prefix",
            scope.place_of(saved, "filename_prefix"),
            "the editor cannot make a prompt of this workflow",
        )

    def _report_unknown(self, scope: Scope, saved: SavedNode) -> None:
        if saved.type.startswith(GROUP_MARKS):
            self._findings.add(
                "DF116",
                f"the editor cannot take the group node {saved.type!r} apart, so its inputs are not known",
                scope.place_of(saved),
                "its definition is missing, holds nodes of unknown types, or one that loads pictures",
                milder=True,
            )
            return
        self._findings.add(
            "DF130",
            f"the node type {saved.type!r} is not in the catalog, so its inputs are not known",
            scope.place_of(saved),
            "give a catalog of the ComfyUI that has it: discomfort-graph catalog pull URL -o FILE",
        )


def without_dangling(nodes: Mapping[NodeId, Node]) -> dict[NodeId, Node]:
    """Return the nodes without links to nodes that are not among them, as the editor's last step leaves them."""
    kept = dict(nodes)
    for node_id, node in nodes.items():
        gone = [name for name, value in node.inputs.items() if type(value) is Link and value.node not in nodes]
        if gone:
            kept[node_id] = with_inputs(node, {name: node.inputs[name] for name in node.inputs if name not in gone})
    return kept
