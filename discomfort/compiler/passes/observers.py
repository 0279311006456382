"""What can look on between passes: verify each graph, time each pass, write each graph as text (`dump`)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from discomfort.compiler.passes.dump import dumping_hook
from discomfort.compiler.passes.verify import verify
from discomfort.ir.diagnostics import CompileError, Diagnostic
from discomfort.ir.graph import Graph

if TYPE_CHECKING:
    from discomfort.compiler.passes import Hook
    from discomfort.ir.catalog.catalog import Catalog


DUMP = "DISCOMFORT_DUMP"
"""The environment variable that names a folder for the graph after each pass."""

VERIFY = "DISCOMFORT_VERIFY"
"""The environment variable that, when not empty, has every graph verified; the tests set it."""


def observers(hook: Hook | None, catalog: Catalog) -> Hook | None:
    """Return `hook` together with those that the environment asks for; None for none."""
    hooks = [] if hook is None else [hook]
    if folder := os.environ.get(DUMP):
        hooks.insert(0, dumping_hook(Path(folder)))
    if os.environ.get(VERIFY):
        hooks.insert(0, verifying_hook(catalog))
    if len(hooks) < 2:
        return hooks[0] if hooks else None

    def call(name: str, graph: Graph) -> None:
        for each in hooks:
            each(name, graph)

    return call


def verifying_hook(catalog: Catalog) -> Hook:
    """Return a hook that raises `CompileError` where a pass leaves a graph in which something does not hold.

    Values that did not fit before the passes are the workflow's own and known already: a pass must only add none.
    """
    known: set[tuple[str, str | None]] = set()

    def check(name: str, graph: Graph) -> None:
        findings = verify(graph, catalog)
        if name == "stitch":
            known.clear()
            known.update(_identity(found) for found in findings if found.code != "DF410")
        new = [found for found in findings if _identity(found) not in known]
        if new:
            raise CompileError(new)

    return check


def _identity(finding: Diagnostic) -> tuple[str, str | None]:
    return finding.code, finding.where.input


class Timings:
    """A hook that adds up the seconds each pass took, by name: the time from one call to the next."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = 0.0

    def __call__(self, name: str, graph: Graph) -> None:
        """Note the time; "stitch" starts the clock."""
        now = time.perf_counter()
        if name != "stitch":
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now
