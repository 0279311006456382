"""What replaces `%node.widget%` and `%date:…%` in file names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from discomfort.compiler.frontend.saved.document import SavedNode
from discomfort.compiler.frontend.saved.editor_only_nodes import NOTES
from discomfort.compiler.frontend.saved.instances import Scope
from discomfort.compiler.frontend.text.javascript import json_value, text
from discomfort.compiler.frontend.text.prompt_text import file_name
from discomfort.compiler.frontend.widgets.class_widgets import UNDEFINED, Layouts
from discomfort.compiler.frontend.widgets.primitives import Primitives
from discomfort.compiler.frontend.widgets.values import UNSET, saved_value, widget_values
from discomfort.ir.findings import Findings

_SEARCH_NAME = "Node name for S&R"

SAVERS = frozenset(
    {
        "CLIPSave",
        "LoraSave",
        "ModelSave",
        "Save3DAdvanced",
        "SaveAnimatedPNG",
        "SaveAnimatedWEBP",
        "SaveAudio",
        "SaveAudioAdvanced",
        "SaveAudioMP3",
        "SaveAudioOpus",
        "SaveGLB",
        "SaveGaussianSplat",
        "SaveImage",
        "SaveImageAdvanced",
        "SaveLatent",
        "SavePointCloud",
        "SaveSVGNode",
        "SaveVideo",
        "SaveWEBM",
        "VAESave",
    }
)
"""Classes whose `filename_prefix` the editor rewrites; all others have a name for search and replace by default."""


class Names:
    """Finds widgets by the name of their node: by the name for search and replace first, then by title."""

    def __init__(
        self, root: Scope, layouts: Layouts, primitives: Primitives, findings: Findings, clock: datetime | None
    ) -> None:
        self._root = root
        self._layouts = layouts
        self._primitives = primitives
        self._findings = findings
        self._clock = clock
        self._known: tuple[dict[str, tuple[Scope, SavedNode]], dict[str, tuple[Scope, SavedNode]]] | None = None

    def expand(self, prefix: str) -> str:
        """Return a file name prefix with its patterns replaced."""
        return file_name(prefix, self._value, self._now)

    def _now(self) -> datetime:
        if self._clock is None:
            self._clock = datetime.now()
            message = f"%date% in a file name is replaced by the time of compilation, {self._clock:%Y-%m-%d %H:%M:%S}"
            self._findings.add("DF141", message, hint="give FrontendOptions a clock for plans that never change")
        return self._clock

    def _value(self, node_name: str, widget_name: str) -> str:
        by_name, by_title = self._index()
        scope, node = by_name.get(node_name) or by_title[node_name]
        for name, value in self._widgets(scope, node):
            if name == widget_name:
                return "" if value is None or value is UNDEFINED else text(json_value(value))
        raise KeyError(widget_name)

    def _index(self) -> tuple[dict[str, tuple[Scope, SavedNode]], dict[str, tuple[Scope, SavedNode]]]:
        if self._known is None:
            self._known = {}, {}
            for scope, node in _all_nodes(self._root):
                known = self._layouts.get(node.type) is not None
                default = node.type if known and node.type not in SAVERS else None
                name = node.properties.get(_SEARCH_NAME, default)
                if type(name) is str:
                    self._known[0].setdefault(name, (scope, node))
                title = node.title
                if title is None:
                    title = self._layouts.title(node.type) if known else node.type
                self._known[1].setdefault(title, (scope, node))
        return self._known

    def _widgets(self, scope: Scope, node: SavedNode) -> Iterator[tuple[str, object]]:
        layout = self._layouts.get(node.type)
        if layout is None:
            if node.type in NOTES:
                yield "text", saved_value(node.values, 0)
            elif type(node.values) is list:
                for row, value in enumerate(node.values):
                    yield "UNKNOWN" if row == 0 else f"UNKNOWN_{row}", value
            return
        for widget, value in widget_values(layout, node):
            given = self._primitives.value(scope.graph, node, widget, self.expand)
            yield widget.name, value if given is UNSET else given


def _all_nodes(root: Scope) -> Iterator[tuple[Scope, SavedNode]]:
    """Yield every node of every instance, those in a subgraph right behind their host."""
    stack = [(root, iter(root.graph.nodes.values()))]
    while stack:
        scope, nodes = stack[-1]
        node = next(nodes, None)
        if node is None:
            stack.pop()
            continue
        yield scope, node
        child = scope.children.get(node.id)
        if child is not None:
            stack.append((child, iter(child.graph.nodes.values())))
