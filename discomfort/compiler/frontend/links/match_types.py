"""Inputs that follow a match type: the editor gives each the type that what feeds the others has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from discomfort.compiler.frontend.saved.document import LinkId, SavedNode
from discomfort.compiler.frontend.widgets.class_widgets import MATCH_TYPE
from discomfort.ir.catalog.catalog import NodeClass


def matched_type(node: SavedNode, name: str, known: NodeClass, source_type: Callable[[LinkId], str]) -> str | None:
    """Return the type of input `name`; None where it follows no match type, or where the others do not agree.

    Args:
        node: the node as saved.
        name: the name of one of its inputs.
        known: its class.
        source_type: gives the type of the output that a link comes from.
    """
    templates = {spec.name: spec.options.get("template") for spec in known.inputs if spec.type == MATCH_TYPE}
    own = templates.get(name)
    if not isinstance(own, Mapping):
        return None
    types = [
        source_type(slot.link)
        for slot in node.inputs or ()
        if slot.link is not None and slot.name != name and _follows(templates.get(slot.name), own)
    ]
    return common_type([*types, str(own.get("allowed_types") or "*")])


def _follows(template: object, own: Mapping[str, object]) -> bool:
    return isinstance(template, Mapping) and template.get("template_id") == own.get("template_id")


def common_type(types: Iterable[str]) -> str | None:
    """Return what types have in common, as a list of alternatives where they are some; None for nothing."""
    named = [type_.split(",") for type_ in types if type_ != "*"]
    if not named:
        return "*"
    shared = [word for word in dict.fromkeys(named[0]) if all(word in members for members in named)]
    return ",".join(shared) or None
