"""`discomfort-graph prompt`: the prompt that the editor would send."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from discomfort.cli.options import CatalogFile, open_catalog
from discomfort.cli.output import OUTPUT, require_folder, write_text

if TYPE_CHECKING:
    from discomfort.compiler.frontend import Workflow
    from discomfort.ir.findings import Findings


def prompt(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Workflows (- for standard input).")],
    catalog: CatalogFile = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write DIR/<stem>.json for each file.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the random choices {a|b} of dynamic prompts.")] = 0,
    clock: Annotated[datetime | None, typer.Option(help="The time that replaces %date:…%; by default now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on standard error.")] = False,
) -> None:
    """Convert workflows to API prompts; exit with 1 where any had errors, the others are written all the same."""
    from discomfort.compiler.frontend import FrontendOptions, load_workflow
    from discomfort.compiler.program.workflows import used_classes
    from discomfort.ir.api_prompt import emit_prompt
    from discomfort.ir.catalog.checked import catalog_findings
    from discomfort.ir.diagnostics import Place, has_errors
    from discomfort.ir.findings import Findings

    if output is None and len(files) > 1:
        raise typer.BadParameter("several files need a folder to write to", param_hint=OUTPUT)
    if output is not None:
        require_folder(output)
    node_classes = open_catalog(catalog)
    options = FrontendOptions(seed, clock)
    findings = Findings()
    read: list[Workflow] = []
    written: dict[str, str] = {}
    for file in files:
        workflow = load_workflow(file, node_classes, options)
        read.append(workflow)
        findings.extend(workflow.diagnostics)
        if has_errors(workflow.diagnostics):
            continue
        if workflow.name in written:
            message = (
                f"{workflow.name}.json already holds the prompt of {written[workflow.name]}, so this one is not written"
            )
            place = Place(file=workflow.source)
            findings.add("DF106", message, place, "write it to another folder")
            continue
        written[workflow.name] = workflow.source
        text = json.dumps(emit_prompt(workflow.graph), indent=2, ensure_ascii=False) + "\n"
        write_text(text, None if output is None else output / f"{workflow.name}.json")
    if node_classes.unusable:
        findings.extend(catalog_findings(node_classes, used_classes(read)))
    _print_findings(findings, as_json=as_json)
    if has_errors(findings):
        raise typer.Exit(1)


def _print_findings(findings: Findings, *, as_json: bool) -> None:
    """Print findings on standard error, where they do not mix with a prompt on standard output."""
    from discomfort.ir.diagnostics import render

    if as_json:
        sys.stderr.write(json.dumps([finding.to_json() for finding in findings], indent=2) + "\n")
    elif findings:
        sys.stderr.write(render(findings) + "\n")
