"""Nodes that live only in the editor: they are gone from prompts, and some pass on what feeds them."""

from __future__ import annotations

from typing import Any

from discomfort.compiler.frontend.saved.document import SavedNode

REROUTES = frozenset({"Reroute", "Reroute (rgthree)", "SetNode"})
"""Types that pass on what feeds their first input. KJNodes' Set is one, seen from its own output."""

PRIMITIVE = "PrimitiveNode"
GETTER = "GetNode"
SETTER = "SetNode"

NOTES = frozenset({"Note", "MarkdownNote"})

SILENT = NOTES | frozenset(
    {
        "Bookmark (rgthree)",
        "Fast Actions Button (rgthree)",
        "Fast Bypasser (rgthree)",
        "Fast Groups Bypasser (rgthree)",
        "Fast Groups Muter (rgthree)",
        "Fast Muter (rgthree)",
        "Label (rgthree)",
        "Mute / Bypass Relay (rgthree)",
        "Mute / Bypass Repeater (rgthree)",
        "Node Collector (rgthree)",
        "Random Unmuter (rgthree)",
    }
)
"""Types that feed nothing."""

GROUP_MARKS = ("workflow>", "workflow/")
"""How the types of legacy group nodes begin."""

VIRTUAL = REROUTES | SILENT | {PRIMITIVE, GETTER}


def first_value(node: SavedNode) -> Any:
    """Return the node's first widget value, or None."""
    values = node.values
    return values[0] if type(values) is list and values else None
