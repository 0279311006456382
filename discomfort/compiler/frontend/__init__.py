"""From a workflow, in whatever form it comes, to the graph that the official editor would run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from discomfort.ir.diagnostics import Diagnostic
from discomfort.ir.graph import Graph

if TYPE_CHECKING:
    from discomfort.ir.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class FrontendOptions:
    """What the editor would take from chance or from the clock.

    `seed` decides the choices `{a|b}` of dynamic prompts. `clock` fills `%date:…%` in file names; with None it is the
    moment of compilation where a workflow uses it, and a note says so.
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


def load_workflow(
    source: str | bytes | os.PathLike[str] | Mapping[str, Any],
    catalog: Catalog,
    options: FrontendOptions | None = None,
    name: str | None = None,
) -> Workflow:
    """Return the workflow in `source`, lowered; bad content gives error diagnostics and an empty graph.

    Args:
        source: a path, JSON text, the parsed JSON, the content of a file, or "-" for standard input. Files may be JSON
            or images, videos and sounds in which ComfyUI embedded a workflow or a prompt.
        catalog: the node classes of the ComfyUI that the workflow is for.
        options: seed and clock.
        name: the workflow's name instead of the file's stem.
    """
    from discomfort.compiler.frontend.load import load

    return load(source, catalog, options or FrontendOptions(), name)


__all__ = ["FrontendOptions", "Workflow", "load_workflow"]
