"""`discomfort-graph ports`: the DiscomfortPorts of workflows, each workflow by itself."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from discomfort.cli.options import AsJson, CatalogFile, Files, RulesFile, open_catalog, open_rules
from discomfort.cli.report import report

if TYPE_CHECKING:
    from discomfort.compiler.plan.model import PlanData


def ports(files: Files, catalog: CatalogFile = None, rules: RulesFile = None, as_json: AsJson = False) -> None:
    """List what each workflow reads, writes and passes through, with types, tags and how it travels."""
    from discomfort.compiler import compile_to
    from discomfort.compiler.plan.model import PlanData
    from discomfort.ir.diagnostics import CompileError
    from discomfort.ir.findings import Findings

    node_classes, chosen = open_catalog(catalog), open_rules(rules)
    listed: list[dict[str, Any]] = []
    findings = Findings()
    for file in files:
        try:
            plan = compile_to(PlanData, [file], catalog=node_classes, rules=chosen)
        except CompileError as error:
            findings.extend(error.diagnostics)
        else:
            listed += [{"file": file, **row} for row in list_ports(plan)]
    if findings:
        report(findings, as_json=as_json)
        raise typer.Exit(1)
    if as_json:
        sys.stdout.write(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")
        return
    for file in files:
        rows = [row for row in listed if row["file"] == file]
        sys.stdout.write(f"{file}{'' if rows else ': no ports'}\n")
        for row in rows:
            tags = f"  [{', '.join(row['tags'])}]" if row["tags"] else ""
            sys.stdout.write(f"  {row['mode']:8} {row['unique_id']}: {row['type']}, {row['pass_by']}{tags}\n")


def list_ports(plan: PlanData) -> list[dict[str, Any]]:
    """Return the ports of a plan of one workflow: INPUTs, then OUTPUTs, then PASSTHRUs."""
    tables = (("INPUT", plan.inputs), ("OUTPUT", plan.outputs), ("PASSTHRU", plan.taps))
    return [
        {
            "mode": mode,
            "unique_id": port.name,
            "type": port.type,
            "pass_by": port.pass_by,
            "tags": list(port.tags),
            "nodes": [place.origin.node for place in port.ports],
        }
        for mode, table in tables
        for port in table.values()
    ]
