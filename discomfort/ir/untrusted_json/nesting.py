"""Which JSON is no workflow, whatever it says: nested so deeply, or with numbers so long, that reading it would fail.

Readers, and everything behind them, may go through values by recursion and write numbers as text: what would end
either is refused here, once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

DEEPEST = 200
"""Levels of lists and objects. Workflows of the editor have about 20; Python's own limit is near 1000 calls."""

LARGEST_NUMBER = 10**4000
"""Python writes no longer whole numbers than 4300 digits as text, unless it is asked to."""

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_PLAIN = frozenset({str, float, bool, type(None)})
_TEXT = frozenset({str})


def text_is_too_deep(content: bytes) -> bool:
    """Return whether JSON text is nested too deeply; it must be valid otherwise.

    Only brackets outside of texts are left of it, all of one kind, and then the innermost pairs are taken out, level
    by level. That takes a fraction of the time of walking through what was parsed.
    """
    brackets = _ESCAPED.sub(b"", content).translate(_ONE_KIND, _NO_STRUCTURE).replace(b'""', b"")
    if b'"' in brackets:  # there are texts with brackets in them
        brackets = b"".join(brackets.split(b'"')[::2])
    for _ in range(DEEPEST):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)


def problem_of_objects(document: Any, deepest: int = DEEPEST) -> str | None:
    """Return why Python's own objects are no workflow: those may also hold themselves, and what no JSON text could."""
    level: Collection[Any] = [document]
    for depth in range(deepest + 1):
        inside: dict[int, Any] = {}
        for item in [
            item
            for held in level
            for item in (held.values() if isinstance(held, Mapping) else held)
            if type(item) not in _PLAIN and not (type(item) is int and -LARGEST_NUMBER < item < LARGEST_NUMBER)
        ]:
            if type(item) is int:
                return "a number in it has more than 4000 digits"
            if isinstance(item, (dict, list, tuple, Mapping)):
                inside[id(item)] = item
        problem = _problem_of_keys(level) if depth else None
        if problem is not None or not inside:
            return problem
        level = inside.values()
    return "it is nested too deeply, or holds itself"


def _problem_of_keys(level: Iterable[Any]) -> str | None:
    for held in level:
        if isinstance(held, dict) and not _TEXT.issuperset(map(type, held)):
            odd = next(key for key in held if type(key) is not str)
            return f"a key in it is {odd!r:.40}, not text"
    return None
