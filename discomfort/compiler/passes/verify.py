"""What every graph between two passes must be (law L4): of sound structure, and every value fits its input.

A finding here is a mistake of the compiler, not of the workflow: what users get wrong is found by `type_check` before
the passes run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from discomfort.compiler.program.type_check import Checker
from discomfort.ir.codes import Severity
from discomfort.ir.diagnostics import CompileError, Diagnostic
from discomfort.ir.graph import Graph
from discomfort.ir.structure import place_of, structure_findings
from discomfort.ir.types.language import Signatures, TypeInference
from discomfort.ir.walk import producers_first

if TYPE_CHECKING:
    from discomfort.ir.catalog.catalog import Catalog


def verify(graph: Graph, catalog: Catalog | None = None) -> list[Diagnostic]:
    """Return what is wrong with a graph; with a catalog, also every value that does not fit its input."""
    findings = structure_findings(graph)
    if findings or catalog is None:
        return findings
    signatures = Signatures(catalog)
    checker = Checker(graph, signatures, TypeInference(graph, producers_first(graph), signatures), place_of, {})
    return [found for found in checker.findings() if found.severity is Severity.ERROR]


def require_sound(graph: Graph) -> None:
    """Raise what `verify` finds in the structure of a graph; linear, and cheap compared with any pass.

    Raises:
        CompileError: with code DF410.
    """
    findings = structure_findings(graph)
    if findings:
        raise CompileError(findings)
