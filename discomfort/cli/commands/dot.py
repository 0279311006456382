"""`discomfort-graph dot`: workflows as a drawing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from discomfort.cli.output import OUTPUT, write_bytes, write_text

if TYPE_CHECKING:
    from discomfort.ir.graph import Graph

TEXTS = (".dot", ".gv", ".txt")
PICTURES = (".svg", ".png", ".pdf")


def dot(
    files: Files,
    target: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="FILE.dot, .svg, .png or .pdf; else dot text.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show in grey what was folded, merged or removed.")] = False,
    catalog: CatalogFile = None,
    rules: RulesFile = None,
    only: Only = None,
    auto: Auto = False,
    as_json: AsJson = False,
) -> None:
    """Draw workflows: a cluster each, ports by mode, values solid, references dashed."""
    from discomfort.compiler import CompileOptions
    from discomfort.compiler.plan.draw import draw

    kind = "" if target is None else target.suffix.lower()
    if kind not in ("", *TEXTS, *PICTURES):
        raise typer.BadParameter(f"{kind} is none of {', '.join((*TEXTS, *PICTURES))}", param_hint=OUTPUT)
    stages: dict[str, Graph] = {}
    options = CompileOptions(hook=stages.__setitem__)
    classes = open_catalog(catalog)
    plan = compile_files(files, catalog=classes, rules=rules, only=only, auto=auto, as_json=as_json, options=options)
    text = draw(plan, classes, before=stages["stitch"] if show_all else None)
    if target is not None and kind in PICTURES:
        _draw_picture(text, target)
    else:
        write_text(json.dumps({"dot": text}) + "\n" if as_json else text, target)


def _draw_picture(text: str, target: Path) -> None:
    """Let Graphviz draw; without it, say how to get it and end with status 2."""
    import graphviz

    try:
        picture = graphviz.Source(text).pipe(format=target.suffix.lower()[1:])
    except graphviz.ExecutableNotFound as error:
        raise typer.BadParameter(
            "pictures need the program Graphviz, which is not installed here: https://graphviz.org/download/ "
            "(-o plan.dot needs nothing)"
        ) from error
    write_bytes(picture, target)
