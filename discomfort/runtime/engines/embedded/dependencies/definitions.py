"""The node classes of a run: how each declares itself, and what its nodes depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from discomfort.ir.catalog.effects import OWN_CLASSES
from discomfort.runtime.engines.embedded.classes.definition import Definition, read_definition
from discomfort.runtime.engines.embedded.dependencies.node_sources import NodeSources


class Supplier(NamedTuple):
    """Who has the node classes of a run, and what to do about one that is lacking, for errors.

    `checks_combos`: see `Validator`.
    """

    name: str
    hint: str
    checks_combos: bool = True


EMBEDDED = Supplier(
    "the embedded engine",
    "run on a ComfyUI that has them: engine='comfyui:PATH' or 'inprocess:PATH' (PATH is a ComfyUI checkout), the URL "
    "of a running one, or the same text in the environment variable DISCOMFORT_ENGINE; or register the classes "
    "with EmbeddedEngine.register",
)


class MissingClass(LookupError):
    """A node made by expansion has a class that the engine does not have."""


class Definitions(dict[str, Definition]):
    """The definitions of a run by name, each read when it is first requested."""

    def __init__(self, classes: Mapping[str, Any], supplier: Supplier, sources: NodeSources) -> None:
        super().__init__()
        self._classes = classes
        self._supplier = supplier
        self._sources = sources

    def __missing__(self, name: str) -> Definition:
        if name not in self._classes:
            raise MissingClass(f"{self._supplier.name} has no class {name!r}; {self._supplier.hint}")
        node_class = self._classes[name]
        found = read_definition(name, node_class)
        if name in OWN_CLASSES:
            found = replace(found, trusted=True)
        else:
            known = self._sources.of_class(name, node_class, found.described)
            reads = None if known.inputs is None else known
            found = replace(found, identity=known.identity(), sources=reads, trusted=known.is_core)
        self[name] = found
        return found
