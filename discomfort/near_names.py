"""Names that are like a name which does not exist: what its writer may have meant."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST_NAME = 200
"""Characters of a name that are compared: the time grows with their square."""


def near_names(name: str, existing: Iterable[str], most: int = 3) -> list[str]:
    """Return up to `most` of the existing names that are like `name`, the likest first."""
    import difflib

    return difflib.get_close_matches(name[:_LONGEST_NAME], list(existing), n=most, cutoff=0.6)


def did_you_mean(name: str, existing: Iterable[str], most: int = 3) -> str | None:
    """Return the question whether one of the names most like `name` is meant, None where none is like it."""
    near = near_names(name, existing, most)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else None
