"""Where nodes of a prompt were written, for errors (law R6)."""

from __future__ import annotations

import traceback

from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import make_finding
from discomfort.runtime.engines.protocol import NodeFailed, NodePlace, PromptRequest, node_failed

REJECTED = "DF520"
"""The code of all that an engine has against a prompt before it runs."""


def place_of(request: PromptRequest, node_id: str) -> NodePlace:
    """Return the place of a prompt's node, made up from the prompt where the request does not know it."""
    place = request.places.get(node_id)
    if place is None:
        body = request.prompt.get(node_id, {})
        title = str((body.get("_meta") or {}).get("title") or "")
        place = NodePlace("<prompt>", node_id, title, str(body.get("class_type")))
    return place


def finding(
    request: PromptRequest, node_id: str, message: str, input_name: str | None = None, hint: str | None = None
) -> Diagnostic:
    """Return what is wrong with a node, or with one input of it."""
    return make_finding(REJECTED, message, diagnostic_place(request, node_id, input_name), hint)


def diagnostic_place(request: PromptRequest, node_id: str, input_name: str | None = None) -> Place:
    """Return the place of a node as findings name it."""
    place = place_of(request, node_id)
    return Place(file=place.workflow, node=place.node, title=place.title or None, input=input_name)


def failure(request: PromptRequest, node_id: str, error: BaseException) -> NodeFailed:
    """Return the error for a node that raised `error`."""
    kind = type(error)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    trace = "".join(traceback.format_exception(kind, error, error.__traceback__))
    return node_failed(node_id, place_of(request, node_id), name, str(error), trace)
