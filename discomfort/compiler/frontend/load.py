"""One workflow, from its source to its graph."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from discomfort.compiler.frontend.api_prompt import is_prompt, read_prompt
from discomfort.compiler.frontend.files.contents import FileTooLarge, StoredBytes, whole
from discomfort.compiler.frontend.files.media import embedded_workflow, is_media
from discomfort.compiler.frontend.files.source import open_source, parse_json
from discomfort.compiler.frontend.group_nodes.convert import groups_to_subgraphs
from discomfort.compiler.frontend.lower import Lowering
from discomfort.compiler.frontend.saved.document import read_workflow
from discomfort.compiler.frontend.saved.instances import make_ids_unique
from discomfort.compiler.frontend.widgets.class_widgets import Layouts
from discomfort.compiler.frontend.workflow import FrontendOptions, Workflow
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings
from discomfort.ir.gc_pause import paused_collector
from discomfort.ir.graph import Graph
from discomfort.ir.untrusted_json.nesting import TOO_LONG, place_of_long_number, problem_of_objects

_LAYOUTS: WeakKeyDictionary[Catalog, Layouts] = WeakKeyDictionary()


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

    Example:
        >>> workflow = discomfort.load_workflow("main_workflow.json", discomfort.default_catalog())
        >>> workflow.name, workflow.kind, len(workflow.graph.nodes)
        ('main_workflow', 'ui', 12)
    """
    chosen = options or FrontendOptions()
    opened, findings = open_source(source, name)
    with paused_collector():
        document = _document(opened.content, findings)
        graph = Graph({})
        paths: dict[str, str] = {}
        if document is None:
            document = {}
        elif is_prompt(document):
            graph, paths = read_prompt(document, opened.name, catalog, findings)
            return Workflow(opened.name, opened.label, graph, document, findings.result(), "prompt", paths)
        elif type(document.get("nodes")) is not list:
            hint = 'an editor\'s save has a list "nodes"; an API prompt has nodes with "class_type"'
            findings.add("DF103", "this JSON is neither a workflow nor a prompt", hint=hint)
        else:
            layouts = _LAYOUTS.setdefault(catalog, Layouts(catalog))
            saved = read_workflow(document, findings)
            make_ids_unique(saved, findings)
            layouts = groups_to_subgraphs(saved, layouts, findings)
            lowering = Lowering(saved, opened.name, layouts, findings, chosen)
            graph, paths = lowering.graph(), lowering.paths
        return Workflow(opened.name, opened.label, graph, document, findings.result(), "ui", paths)


def _document(content: bytes | StoredBytes | Mapping[str, Any] | None, findings: Findings) -> Mapping[str, Any] | None:
    """Return the JSON object in the content: parsed, or taken out of a media file."""
    if content is None:
        return None
    if isinstance(content, Mapping):
        problem = problem_of_objects(content)
        if problem is not None:
            _refuse(problem, content, findings)
        return content if problem is None else None
    text = _text(content, findings)
    if text is None:
        return None
    document = parse_json(text, findings)
    if document is not None and type(document) is not dict:
        findings.add("DF103", f"a workflow is a JSON object, found {type(document).__name__}")
        return None
    if type(document) is dict and type(document.get("prompt")) is dict and "nodes" not in document:
        return document["prompt"]  # type: ignore[no-any-return]
    return document


def _refuse(problem: str, document: Any, findings: Findings) -> None:
    """Add why a document is not a workflow; of a number that is too long with the place."""
    if problem != TOO_LONG:
        findings.add("DF102", f"this is not a workflow: {problem}")
        return
    node, name, way = place_of_long_number(document)
    findings.add("DF102", f"this is not a workflow: {problem} ({way})", Place(node=node, input=name))


def _text(content: bytes | StoredBytes, findings: Findings) -> bytes | None:
    """Return the JSON text in the content; None with a finding where there is none, or too much of it."""
    with content if isinstance(content, StoredBytes) else nullcontext():
        try:
            return embedded_workflow(content, findings) if is_media(content) else whole(content)
        except (OSError, FileTooLarge) as error:
            findings.add("DF101", f"the workflow cannot be read: {error}")
            return None
