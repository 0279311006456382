"""Which JSON is never a workflow: nested so deeply, or with numbers so long, that reading it would fail.

Readers, and everything behind them, may go through values by recursion and write numbers as text: what would end
either is refused here, once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

DEEPEST = 200
"""Levels of lists and objects. Workflows of the editor have about 20; Python's own limit is near 1000 calls."""

LARGEST_NUMBER = 10**4000
"""Python writes no longer whole numbers than 4300 digits as text, unless it is asked to."""

TOO_LONG = "a number in it has more than 4000 digits"
_DIGITS = 4000

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


def is_too_long(value: object) -> bool:
    """Return whether a value is a whole number that no JSON may hold here."""
    return isinstance(value, int) and not -LARGEST_NUMBER < value < LARGEST_NUMBER


def loads_any_number(text: str, **options: Any) -> Any:
    """Return parsed JSON; whole numbers that Python would refuse to read come as LARGEST_NUMBER, or its negative.

    Raises:
        ValueError, RecursionError: as `json.loads`.
    """

    def whole_number(digits: str) -> int:
        if len(digits) <= _DIGITS:
            return int(digits)
        return -LARGEST_NUMBER if digits.startswith("-") else LARGEST_NUMBER

    return json.loads(text, parse_int=whole_number, **options)


def place_of_long_number(document: Any) -> tuple[str | None, str | None, str]:
    """Return where in a workflow or a plan a number is too long: node and input where it is in one, and the path."""
    stack: list[tuple[Any, tuple[Any, ...], str | None, str | None]] = [(document, (), None, None)]
    seen: set[int] = set()
    while stack:
        held, way, node, name = stack.pop()
        if is_too_long(held):
            steps = (f"[{key}]" if type(key) is int else f".{key:.40}" for key in way)
            return node, name, "".join(steps).lstrip(".")[:200]
        if not isinstance(held, (Mapping, list, tuple)) or id(held) in seen:
            continue
        seen.add(id(held))
        if isinstance(held, Mapping):
            node = _node_id(held, way) or node
        for key, part in held.items() if isinstance(held, Mapping) else enumerate(held):
            is_input = way[-1:] in (("inputs",), ("widgets_values",))
            stack.append((part, (*way, key), node, key if is_input and isinstance(key, str) else name))
    return None, None, ""


def _node_id(held: Mapping[Any, Any], way: tuple[Any, ...]) -> str | None:
    """Return the id of a node that is read: prompts and plans have it as its key, workflows of the editor in it."""
    if "class_type" in held or "class" in held:
        return str(way[-1])[:40] if way else None
    own = held.get("id") if "type" in held else None
    return str(own)[:40] if type(own) is str or (type(own) is int and not is_too_long(own)) else None


def problem_of_objects(document: Any, deepest: int = DEEPEST) -> str | None:
    """Return why Python's own objects are not workflow: those may also hold themselves, and what no JSON text could."""
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
                return TOO_LONG
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
