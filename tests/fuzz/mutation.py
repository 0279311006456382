"""Documents with parts replaced by what JSON, or a Python program, can hold and no reader expects."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
Path_ = tuple[Any, ...]


def nested(depth: int, inner: Any = 1) -> Any:
    """Return objects within objects."""
    for _ in range(depth):
        inner = {"a": inner}
    return inner


HOSTILE: list[Any] = [
    *(float("inf"), -float("inf"), float("nan"), 1e308, -0.0, 0.5, 1.0, 1.5, -1, 0, 1, 2, 3, 2**63, 10**400, 10**5000),
    *(True, False, None, "", "\0", "\ud800", "a\udc00", "\x1b[31m", "\u202e", "1e400", "NaN", "1" * 5000, "x" * 5000),
    *([], {}, [None], [[]], [1, 2, 3, 4, 5, 6], {"a": float("nan")}, {"a": {"b": float("inf")}}, [float("nan")]),
    *(json.loads("[" * 50 + "]" * 50), json.loads("[" * 600 + "]" * 600), nested(600), nested(5000)),
    *([0, 0], ["1", float("inf")], ["1", 0.5], ["1", -1], ["1", 10**400], ["1", "0"], ["1", True], [1, 0], ["1", 0]),
    *({"link": ["x", 0]}, {"link": ["1", 1e400]}, {"param": "nope"}, {"param": 7}, {"python": "NaN"}, {"python": "x"}),
    *({"__value__": [1, 2]}, {"__value__": float("nan")}, "val", "ref", "output", "main.0", "a.b", ["a", "b"]),
]


def paths(document: Any) -> Iterator[Path_]:
    """Yield the way to every part of a document."""
    stack: list[tuple[Any, Path_]] = [(document, ())]
    while stack:
        value, path = stack.pop()
        if path:
            yield path
        if isinstance(value, dict):
            stack += [(item, (*path, key)) for key, item in value.items()]
        elif isinstance(value, list):
            stack += [(item, (*path, index)) for index, item in enumerate(value)]


def copied(value: Any) -> Any:
    """Return a copy of a document, however deep: `copy.deepcopy` fails where a hostile part is nested deeply."""
    result = [value]
    stack: list[tuple[Any, Any]] = [(result, 0)]
    while stack:
        holder, key = stack.pop()
        part = holder[key]
        if isinstance(part, dict):
            holder[key] = copy = dict(part)
            stack += [(copy, name) for name in copy]
        elif isinstance(part, list):
            holder[key] = items = list(part)
            stack += [(items, index) for index in range(len(items))]
    return result[0]


def mutated(document: Any, choice: random.Random) -> Any:
    """Return a copy of a document with one to three parts replaced, removed, renamed, or put elsewhere."""
    changed = copied(document)
    places = list(paths(document))
    for _ in range(choice.choice([1, 1, 1, 2, 3])):
        *way, last = choice.choice(places)
        try:
            holder = _at(changed, tuple(way))
            _change(holder, last, choice, changed, places)
        except (LookupError, TypeError):  # an earlier change took the place away
            continue
    return changed


def _change(holder: Any, key: Any, choice: random.Random, document: Any, places: list[Path_]) -> None:
    how = choice.random()
    if how < 0.1 and isinstance(holder, dict):
        holder[choice.choice(["x", "\ud800", "1" * 5000, "main/1"])] = holder.pop(key)
    elif how < 0.2:
        del holder[key]
    elif how < 0.35:
        holder[key] = copied(_at(document, choice.choice(places)))
    else:
        holder[key] = copied(choice.choice(HOSTILE))


def _at(document: Any, path: Path_) -> Any:
    for key in path:
        document = document[key]
    return document


def golden_documents() -> list[Any]:
    """Return the workflows and prompts of the golden files and examples."""
    found = []
    files = [*(TESTS / "golden").rglob("*.json"), *(TESTS.parent / "examples").rglob("*.json")]
    for path in sorted(files):
        try:
            document = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        if isinstance(document, dict) and ("nodes" in document or _is_prompt(document)):
            found.append(document)
    return found


def _is_prompt(document: dict[str, Any]) -> bool:
    return any(isinstance(node, dict) and "class_type" in node for node in document.values())
