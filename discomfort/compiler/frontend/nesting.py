"""Which JSON is no workflow, whatever it says: nested so deeply, or with numbers so long, that reading it would fail.

Readers, and everything behind them, may go through values by recursion and write numbers as text: what would end
either is refused here, once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DEEPEST = 200
"""Levels of lists and objects. Workflows of the editor have about 20; Python's own limit is near 1000 calls."""

LARGEST_NUMBER = 10**4000
"""Python writes no longer whole numbers than 4300 digits as text, unless it is asked to."""

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_PLAIN = frozenset({str, int, float, bool, type(None)})


def text_is_too_deep(content: bytes) -> bool:
    """Return whether JSON text is nested too deeply; it must be valid otherwise.

    Only brackets outside of texts are left of it, and then the innermost pairs are taken out until nothing is left.
    That takes a fraction of the time of walking through what was parsed.
    """
    brackets = _ESCAPED.sub(b"", content).translate(None, _NO_STRUCTURE).replace(b'""', b"")
    if b'"' in brackets:  # there are texts with brackets in them
        brackets = b"".join(brackets.split(b'"')[::2])
    for _ in range(DEEPEST):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def problem_of_objects(document: Any, deepest: int = DEEPEST) -> str | None:
    """Return why Python's own objects are no workflow: those may also hold themselves, and what no JSON text could."""
    level: dict[int, Any] = {0: document}
    for _ in range(deepest + 1):
        inside: dict[int, Any] = {}
        for held in level.values():
            if isinstance(held, Mapping) and held is not document:
                for key in held:
                    if type(key) is not str:
                        return f"a key in it is {key!r:.40}, not text"
            for item in held.values() if isinstance(held, Mapping) else held:
                kind = type(item)
                if kind is int and not -LARGEST_NUMBER < item < LARGEST_NUMBER:
                    return "a number in it has more than 4000 digits"
                if kind not in _PLAIN and isinstance(item, (dict, list, tuple, Mapping)):
                    inside[id(item)] = item
        if not inside:
            return None
        level = inside
    return "it is nested too deeply, or holds itself"
