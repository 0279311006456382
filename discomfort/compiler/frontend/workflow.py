"""The options of the frontend, and its result: one workflow as a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from discomfort.ir.diagnostics import Diagnostic
from discomfort.ir.graph import Graph


@dataclass(frozen=True, slots=True)
class FrontendOptions:
    """What the editor would take from chance or from the clock.

    `seed` decides the choices `{a|b}` of dynamic prompts. `clock` fills `%date:…%` in file names; with None it is the
    moment of compilation where a workflow uses it, and a note says so.

    Example:
        >>> from datetime import datetime
        >>> discomfort.FrontendOptions(seed=7, clock=datetime(2026, 1, 31)).seed
        7
    """

    seed: int = 0
    clock: datetime | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow, lowered.

    Attributes:
        name: the stem of its file name.
        source: the path as given, or "<dict>", "<text>", "<stdin>".
        graph: node ids are exactly those of the editor's prompt.
        document: the JSON as saved, for `extra_pnginfo`.
        diagnostics: all findings.
        kind: "ui" for an editor's save, "prompt" for an API prompt.
        paths: where each node of the graph is in the document, as a JSON path.
    """

    name: str
    source: str
    graph: Graph
    document: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...]
    kind: Literal["ui", "prompt"]
    paths: Mapping[str, str] = field(default_factory=dict)
