"""`discomfort-graph stitch`: several workflows joined into one that the editor opens."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from discomfort.cli.output import write_text
from discomfort.printable import printable_line


def stitch(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Workflows in the order they run.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it; else standard output.")
    ] = None,
    delete_input_ports: Annotated[bool, typer.Option(help="Leave out the INPUT ports that stay open.")] = False,
    delete_output_ports: Annotated[bool, typer.Option(help="Leave out the OUTPUT ports.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON.")] = False,
) -> None:
    """Join workflows on equal unique_ids into one workflow that ComfyUI opens."""
    from discomfort.cli.report import report
    from discomfort.ir.diagnostics import CompileError
    from discomfort.tools import WorkflowTools

    try:
        result = WorkflowTools().stitch_workflows(files, delete_input_ports, delete_output_ports)
    except CompileError as error:
        report(error.diagnostics, as_json=as_json)
        raise typer.Exit(1) from error
    text = json.dumps(result["stitched_workflow"], indent=2)
    write_text(text + "\n", output)
    if output is not None:
        names = {key: ", ".join(result[key]) or "none" for key in ("inputs", "outputs")}
        line = printable_line(f"{output}: inputs {names['inputs']}; outputs {names['outputs']}")
        sys.stderr.write(f"{line}\n")
