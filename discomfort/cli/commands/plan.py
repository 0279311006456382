"""`discomfort-graph plan`: what workflows need, give and do, and how they will run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from discomfort.cli.options import (
    AsJson,
    Auto,
    CatalogFile,
    Files,
    Only,
    RulesFile,
    compile_files,
    open_catalog,
)
from discomfort.cli.output import write_text


def plan(
    files: Files,
    catalog: CatalogFile = None,
    rules: RulesFile = None,
    only: Only = None,
    auto: Auto = False,
    target: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compile workflows and print the plan, as text or as JSON."""
    from discomfort.compiler.plan.json_form import dumps

    made = compile_files(files, catalog=open_catalog(catalog), rules=rules, only=only, auto=auto, as_json=as_json)
    write_text(dumps(made.to_json()) if as_json else made.explain(), target)
