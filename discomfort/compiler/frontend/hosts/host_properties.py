"""What a subgraph's host keeps in its properties about the widgets that it shows."""

from __future__ import annotations

import json
from typing import Any

from discomfort.compiler.frontend.saved.document import SavedNode


def _property(host: SavedNode, name: str) -> list[Any]:
    """Return a list among a host's properties, which may be written as JSON text."""
    value = host.properties.get(name)
    if type(value) is str:
        try:
            value = json.loads(value)
        except (RecursionError, ValueError):
            return []
    return value if type(value) is list else []


def _is_entry(entry: object) -> bool:
    return type(entry) is list and len(entry) in (2, 3) and all(type(part) is str for part in entry)


def shown_entries(host: SavedNode) -> list[list[str]]:
    """Return the entries of `proxyWidgets`: nothing where one of them is not two or three texts."""
    entries = _property(host, "proxyWidgets")
    return entries if all(_is_entry(entry) for entry in entries) else []


def quarantined_values(host: SavedNode) -> dict[str, Any]:
    """Return, by input, the values that the editor kept aside when it could not convert an older save of the host.

    Of two for one input the first counts; they win over `widgets_values`.
    """
    found: dict[str, Any] = {}
    for kept in _property(host, "proxyWidgetErrorQuarantine"):
        if type(kept) is not dict or not _is_entry(kept.get("originalEntry")):
            return {}
        source, name = kept["originalEntry"][:2]
        value = kept.get("hostValue")
        if source == "-1" and value is not None:
            found.setdefault(name, value)
    return found
