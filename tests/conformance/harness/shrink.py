"""Makes a workflow on which the frontend and the compiler differ as small as it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .scopes import Json, Scope, clone, definitions, scopes

Differs = Callable[[Json], bool]


def shrink(document: Json, differs: Differs, *, budget: int = 400) -> Json:
    """Return the smallest workflow found that still differs.

    Args:
        document: a workflow for which `differs` holds.
        differs: asks the frontend and the compiler.
        budget: how often `differs` may be asked.
    """
    best = clone(document)
    progress = True
    while progress and budget > 0:
        progress = False
        for candidate in _smaller(best):
            if budget <= 0:
                break
            budget -= 1
            if differs(candidate):
                best, progress = candidate, True
                break
    return best


def _smaller(document: Json) -> Iterator[Json]:
    """Simpler workflows, those that drop most first."""
    yield from _without_nodes(document)
    yield from _without_definitions(document)
    yield from _without_links(document)
    yield from _without_keys(document)


def _without_nodes(document: Json) -> Iterator[Json]:
    for index, scope in enumerate(scopes(document)):
        count = len(scope.nodes)
        size = count // 2
        while size >= 1:
            for start in range(0, count, size):
                edited = clone(document)
                _remove_nodes(scopes(edited)[index], start, start + size)
                yield edited
            size //= 2


def _remove_nodes(scope: Scope, start: int, stop: int) -> None:
    gone = scope.nodes[start:stop]
    ids = [node.get("id") for node in gone]
    for row in scope.rows():
        if row.origin in ids or row.target in ids:
            scope.disconnect(row.id)
    scope.level["nodes"] = [node for node in scope.nodes if not any(node is each for each in gone)]


def _without_definitions(document: Json) -> Iterator[Json]:
    used = {node.get("type") for scope in scopes(document) for node in scope.nodes}
    for definition in definitions(document):
        if definition.get("id") not in used:
            edited = clone(document)
            edited["definitions"]["subgraphs"] = [each for each in definitions(edited) if each.get("id") in used]
            yield edited
            return


def _without_links(document: Json) -> Iterator[Json]:
    for index, scope in enumerate(scopes(document)):
        for row in scope.rows():
            edited = clone(document)
            scopes(edited)[index].disconnect(row.id)
            yield edited


def _kept_extra(document: Json) -> Json | None:
    """What a page that has seen the workflow before remembers of it, and so must not be dropped."""
    extra = document["extra"]
    groups = extra.get("groupNodes") if isinstance(extra, dict) else None
    return {"groupNodes": groups} if groups else None


def _without_keys(document: Json) -> Iterator[Json]:
    for key in ("extra", "groups", "config"):
        if document.get(key):
            edited = clone(document)
            kept = _kept_extra(document) if key == "extra" else None
            if kept == document[key]:
                continue
            edited[key] = kept or type(document[key])()
            yield edited
    for index, scope in enumerate(scopes(document)):
        for position, node in enumerate(scope.nodes):
            for key in ("mode", "title", "properties", "widgets_values", "widgets_values_named", "inputs", "outputs"):
                if node.get(key):
                    edited = clone(document)
                    del scopes(edited)[index].nodes[position][key]
                    yield edited
