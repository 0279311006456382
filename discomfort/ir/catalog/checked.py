"""Catalogs from elsewhere: every entry is checked, and one that cannot be used costs its own class, with a finding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping
from typing import Any

from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.catalog.entries import ENTRY_RULES, Problem, entry_problem
from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import make_finding
from discomfort.ir.untrusted_json.unpacking import unpacked
from discomfort.printable import shortened
from discomfort.settings.user_cache import UserCache

LARGEST_CATALOG = 256 * 1024 * 1024
"""Bytes of the largest catalog that is read, unpacked; 5,000 files in each of 200 lists are 60 MB."""

LONGEST_NAME = 80
"""Characters of a class's name that findings show."""

_MOST_LISTED = 5
_MOST_REMEMBERED = 200
_CHECKED = UserCache("checked-catalogs.json", 32)


def parse_catalog(content: bytes, source: str) -> Catalog:
    """Return the catalog in the content of a file or an answer, gzip or not; `source` names where it is from.

    Earlier findings about the same content are remembered in the user's cache folder, and not looked for again.

    Raises:
        ValueError: it is not a JSON object of node classes; names `source`.
    """
    try:
        answer = json.loads(unpacked(content, LARGEST_CATALOG))
    except (EOFError, OSError, RecursionError, ValueError) as error:
        raise ValueError(f"{source} is not a catalog: {error or type(error).__name__}") from error
    digest = f"{ENTRY_RULES}:{hashlib.sha256(content).hexdigest()}"
    remembered = _CHECKED.get(digest)
    problems = _problems_of(remembered, answer)
    if problems is not None:
        return _without(answer, problems, source)
    catalog, problems = _check(answer, source)
    if len(problems) <= _MOST_REMEMBERED:
        _CHECKED.put(digest, problems)
    return catalog


def checked_catalog(answer: object, source: str) -> Catalog:
    """Return the entries of an `/object_info` answer that can be used; `Catalog.unusable` holds the others.

    Raises:
        ValueError: it is not a mapping of node classes, or not a single entry can be used; names `source`.
    """
    return _check(answer, source)[0]


def usable_entries(entries: Mapping[str, Any], source: str) -> Catalog:
    """As `checked_catalog`, where there may be not a single entry that can be used."""
    return _without(entries, _problems(entries), source)


def _problems(entries: Mapping[Any, Any]) -> dict[str, Problem]:
    return {name: problem for name, info in entries.items() if (problem := entry_problem(name, info)) is not None}


def _check(answer: object, source: str) -> tuple[Catalog, dict[str, Problem]]:
    if not isinstance(answer, Mapping):
        raise ValueError(f"{source}: a catalog is a JSON object of node classes, found {type(answer).__name__}")
    problems = _problems(answer)
    if problems and len(problems) == len(answer):
        name, (path, message) = next(iter(problems.items()))
        what = f"its {len(answer)} entries are not node classes" if len(answer) > 1 else "its entry is not a node class"
        raise ValueError(f"{source}: {what}; {str(name)[:40]!r}{path}: {message}")
    return _without(answer, problems, source), problems


def _without(answer: Mapping[str, Any], problems: Mapping[str, Problem], source: str) -> Catalog:
    """Return the catalog of the entries without a problem."""
    if not problems:
        return Catalog(answer)
    usable = {name: info for name, info in answer.items() if name not in problems}
    return Catalog(usable, {str(name): unusable_entry(source, name, each) for name, each in problems.items()})


def _problems_of(remembered: object, answer: object) -> dict[str, Problem] | None:
    """Return the problems that were remembered of an answer, None where that is not what the file holds."""
    if not isinstance(remembered, dict) or not isinstance(answer, dict) or not remembered.keys() <= answer.keys():
        return None
    if not all(isinstance(each, list) and list(map(type, each)) == [str, str] for each in remembered.values()):
        return None
    return {name: (path, message) for name, (path, message) in remembered.items()}


def unusable_entry(source: str, name: object, problem: Problem) -> Diagnostic:
    """Return the finding for an entry that cannot be used."""
    path, message = problem
    shown = shortened(str(name), LONGEST_NAME)
    return make_finding(
        "DF131",
        f"the catalog's entry of node class {shown!r} cannot be used: {message}",
        Place(file=source, path=f"$[{shown!r}]{path}"),
        "update the custom node that the class belongs to; its author has to correct INPUT_TYPES or RETURN_TYPES",
    )


def catalog_findings(catalog: Catalog, used: Container[str | None]) -> Iterator[Diagnostic]:
    """Yield what is wrong with the catalog's entries of the classes that are `used`, and a note about the others."""
    others = []
    for name, finding in catalog.unusable.items():
        if name in used:
            yield finding
        else:
            others.append(name)
    if others:
        shown = ", ".join(shortened(name, LONGEST_NAME) for name in others[:_MOST_LISTED])
        shown += " …" if len(others) > _MOST_LISTED else ""
        first = catalog.unusable[others[0]]
        count = f"{len(others)} entries" if len(others) > 1 else "1 entry"
        message = f"{count} of the catalog cannot be used, for node classes that are not used here: {shown}"
        yield make_finding("DF131", message, first.where, f"of the first one: {first.message}", milder=True)


def with_input_lists(catalog: Catalog) -> Catalog:
    """Return a catalog that says of ComfyUI's own classes which take whole lists, which 0.3.64 does not say."""
    if any("is_input_list" in info for _, info in catalog.entries()):
        return catalog
    known = default_catalog()
    raw = {
        name: {**info, "is_input_list": known[name].is_input_list} if name in known else info
        for name, info in catalog.entries()
    }
    return Catalog(raw, catalog.unusable)


class LiveCatalog(Catalog):
    """Classes that are described, and checked, when they are looked up: those of a ComfyUI in this process.

    One whose description fails, or cannot be used, is not in the catalog; `unusable` says why once it was looked up.
    """

    def __init__(self, object_info: Mapping[str, Mapping[str, Any]], source: str) -> None:
        """Take what describes the classes; `source` names the ComfyUI."""
        super().__init__(object_info)
        self._source = source

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or name not in self._raw:
            return False
        try:
            self[name]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._raw if name not in self._unusable)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def entry(self, name: str) -> Mapping[str, Any]:
        """Return the entry of a class, described now; KeyError where that fails or cannot be used."""
        if name in self._unusable:
            raise KeyError(name)
        info: Mapping[str, Any] = {}
        try:
            info = self._raw[name]
        except KeyError:
            if name not in self._raw:
                raise
            problem: Problem | None = ("", "describing it failed: KeyError")
        except Exception as error:  # noqa: BLE001 — whatever a node class raises, it costs that class alone
            problem = ("", f"describing it failed: {type(error).__name__}: {error}")
        else:
            problem = entry_problem(name, info)
        if problem is not None:
            self._unusable[name] = unusable_entry(self._source, name, problem)
            raise KeyError(name)
        return info

    def entries(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the entries that can be used, by class: all are described now."""
        for name in self._raw:
            try:
                yield name, self.entry(name)
            except KeyError:
                continue
