"""What a ComfyUI server says went wrong, with the names of the workflow it came from (law R6)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import make_finding
from discomfort.runtime.engines.comfyui.connection.answers import list_in, object_in, shown, text_of
from discomfort.runtime.engines.protocol import NodeFailed, NodePlace, Prompt, PromptRejected, node_failed

REJECTED = "DF520"


def rejection(answer: Any, places: Mapping[str, NodePlace], prompt: Prompt) -> PromptRejected:
    """Return the error for a prompt that the server's `/prompt` refused (status 400), every finding at its place."""
    found = list(_node_findings(node_errors(answer), places, prompt))
    if not found:
        found = [_general_finding(object_in(answer).get("error"), places, prompt)]
    return PromptRejected(tuple(found))


def node_errors(answer: Any) -> dict[str, list[dict[str, Any]]]:
    """Return what an answer says is wrong with nodes: errors by node id; left out is what does not look like that."""
    reports = object_in(object_in(answer).get("node_errors"))
    return {
        node: [error for error in list_in(report.get("errors")) if isinstance(error, dict)] or [{}]
        for node, report in reports.items()
        if isinstance(report, dict)
    }


def node_failure(data: Mapping[str, Any], places: Mapping[str, NodePlace]) -> NodeFailed:
    """Return the error for an `execution_error` message."""
    node = text_of(data.get("node_id", "?"))
    kind = text_of(data.get("exception_type", "error"))
    message = text_of(data.get("exception_message", "")).strip()
    trace = data.get("traceback") or ""
    place = place_of(node, places) or NodePlace("<prompt>", node, "", text_of(data.get("node_type", "?")))
    lines = trace if isinstance(trace, list) else [trace]
    return node_failed(node, place, kind, message, "".join(map(text_of, lines)))


def place_of(node: str, places: Mapping[str, NodePlace]) -> NodePlace | None:
    """Return where a prompt's node was written; a node made by expansion (`7.0.0.2`) is at the node that made it."""
    while node not in places:
        node, dot, _ = node.rpartition(".")
        if not dot:
            return None
    return places[node]


def _node_findings(
    errors: Mapping[str, Collection[Mapping[str, Any]]], places: Mapping[str, NodePlace], prompt: Prompt
) -> Iterator[Diagnostic]:
    for node, reports in errors.items():
        for error in reports:
            extra = object_in(error.get("extra_info"))
            yield make_finding(
                REJECTED, _message(error, extra), _where(node, extra.get("input_name"), places, prompt), _hint(error)
            )


def _general_finding(error: Any, places: Mapping[str, NodePlace], prompt: Prompt) -> Diagnostic:
    if not isinstance(error, dict):
        return make_finding(REJECTED, f"the server refused the prompt: {shown(error)}", Place())
    details = text_of(error.get("details", ""))
    node = text_of(object_in(error.get("extra_info")).get("node_id") or details.partition("'#")[2].rstrip("'") or "")
    where = _where(node, None, places, prompt) if node else Place()
    unknown = error.get("type") in ("missing_node_type", "invalid_prompt")
    hint = "install the custom node that has this class on the server" if unknown and node else None
    return make_finding(REJECTED, _message(error, {}), where, hint)


def _where(node: str, input_name: Any, places: Mapping[str, NodePlace], prompt: Prompt) -> Place:
    place = place_of(node, places)
    named = text_of(input_name) if input_name else None
    if place is None:
        title = (prompt.get(node, {}).get("_meta") or {}).get("title")
        return Place(file="<prompt>", node=node, title=title, input=named)
    return Place(file=place.workflow, node=place.node, title=place.title, input=named)


def _message(error: Mapping[str, Any], extra: Mapping[str, Any]) -> str:
    message = text_of(error.get("message", "refused"))
    details = text_of(error.get("details", ""))
    text = f"{message}: {details}" if details else message
    received = extra.get("received_value")
    quoted = repr(received) if isinstance(received, (str, int, float)) else shown(received)
    if "received_value" in extra and quoted not in text:
        text += f" (found {quoted})"
    return text


def _hint(error: Mapping[str, Any]) -> str | None:
    return {
        "value_not_in_list": "choose one of the options that the server has, or install the missing file there",
        "required_input_missing": "connect the input or give it a value",
    }.get(text_of(error.get("type")))
