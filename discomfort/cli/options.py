"""What the commands about plans share: options, and compiling with findings printed instead of raised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

if TYPE_CHECKING:
    from discomfort.compiler import CompileOptions
    from discomfort.ir.catalog.catalog import Catalog
    from discomfort.plan import Plan
    from discomfort.settings.pass_by import PassByRules

Files: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Workflows in the order they run (- for standard input).")
]
CatalogFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--catalog", metavar="FILE", help="Node classes: a saved /object_info; else the bundled ones."),
]
RulesFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--rules", metavar="FILE", help="Pass-by rules; else the pass_by_rules.json of this folder."),
]
Only: TypeAlias = Annotated[
    list[str] | None, typer.Option("--only", metavar="NAME", help="Keep only this result; may be repeated.")
]
Auto: TypeAlias = Annotated[bool, typer.Option("--auto", help="Sort the workflows by what they read and write.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def open_catalog(path: Path | None) -> Catalog:
    """Return the catalog in a file, the bundled one without a file; a file that is none ends the command with 2."""
    from discomfort.ir.catalog.catalog import default_catalog
    from discomfort.ir.catalog.read import read_catalog

    if path is None:
        return default_catalog()
    try:
        return read_catalog(path)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--catalog") from error


def open_rules(path: Path | None) -> PassByRules:
    """Return the rules in a file, the user's own without a file; a file that is none ends the command with 2."""
    from discomfort.settings.pass_by import load_rules

    try:
        return load_rules(path)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--rules") from error


def order_of(*, auto: bool) -> Literal["list", "auto"]:
    """Return what `--auto` asks of `compile`."""
    return "auto" if auto else "list"


def compile_files(
    files: list[str],
    *,
    catalog: Catalog,
    rules: Path | None = None,
    only: list[str] | None = None,
    auto: bool = False,
    as_json: bool = False,
    options: CompileOptions | None = None,
) -> Plan:
    """Return the plan of `files`; what is wrong is printed, and errors end the command with status 1."""
    from discomfort.cli.report import report
    from discomfort.ir.diagnostics import CompileError
    from discomfort.plan import compile

    try:
        return compile(
            files, catalog=catalog, outputs=only, order=order_of(auto=auto), rules=open_rules(rules), options=options
        )
    except CompileError as error:
        report(error.diagnostics, as_json=as_json)
        raise typer.Exit(1) from error
