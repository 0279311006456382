"""`discomfort-graph check`: everything that is wrong with workflows, together as one program."""

from __future__ import annotations

import sys

import typer

from discomfort.cli.options import AsJson, Auto, CatalogFile, Files, compile_files, open_catalog
from discomfort.printable import counted


def check(files: Files, catalog: CatalogFile = None, auto: Auto = False, as_json: AsJson = False) -> None:
    """Check workflows against the node classes and against each other; exit with 1 where anything is found."""
    from discomfort.cli.report import report
    from discomfort.ir.codes import Severity

    plan = compile_files(files, catalog=open_catalog(catalog), auto=auto, as_json=as_json)
    report(plan.diagnostics, as_json=as_json)
    if any(finding.severity is not Severity.NOTE for finding in plan.diagnostics):
        raise typer.Exit(1)
    if not as_json:
        nodes = len(plan.graph.nodes)
        count = len(plan.workflows)
        compile_to = "workflow compiles to" if count == 1 else "workflows compile to"
        sys.stdout.write(f"{count} {compile_to} {counted(nodes, 'node')}; nothing to report\n")
