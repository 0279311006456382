"""`discomfort-graph catalog`: the node classes a ComfyUI knows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from discomfort.cli.download import download
from discomfort.cli.groups import CommandGroup
from discomfort.cli.options import AsJson, CatalogFile, open_catalog
from discomfort.cli.output import write_bytes

if TYPE_CHECKING:
    from discomfort.ir.catalog.catalog import Catalog

catalog_app: typer.Typer = typer.Typer(
    cls=CommandGroup, help="The node classes a ComfyUI knows.", no_args_is_help=True, rich_markup_mode=None
)


MOST_SHOWN = 100
"""Entries that cannot be used are listed up to this many."""


@catalog_app.command()
def pull(
    url: Annotated[str, typer.Argument(help="A running ComfyUI, such as http://127.0.0.1:8188.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write the snapshot.")],
    as_json: AsJson = False,
) -> None:
    """Save the node classes of a running ComfyUI as a snapshot for --catalog."""
    from discomfort.ir.catalog.catalog import own_catalog
    from discomfort.ir.catalog.checked import parse_catalog

    address = url if "://" in url else f"http://{url}"
    if not address.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url}: expected an http or https address", param_hint="URL")
    try:
        answer = download(f"{address.rstrip('/')}/object_info")
        catalog = own_catalog().merged(parse_catalog(answer, address))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: no catalog from {address}: {error}\n")
        raise typer.Exit(1) from error
    report_unusable(catalog)
    snapshot = catalog.snapshot()
    write_bytes(snapshot, output)
    if as_json:
        sys.stdout.write(json.dumps({"file": str(output), "classes": len(catalog), "bytes": len(snapshot)}) + "\n")
    else:
        sys.stdout.write(f"{output}: {len(catalog)} node classes, {len(snapshot)} bytes\n")


@catalog_app.command("list")
def list_classes(
    terms: Annotated[list[str] | None, typer.Argument(metavar="[WORD...]", help="Only names with these.")] = None,
    catalog: CatalogFile = None,
    as_json: AsJson = False,
) -> None:
    """List node classes with what they take and give."""
    node_classes = open_catalog(catalog)
    report_unusable(node_classes)
    wanted = [word.lower() for word in terms or []]
    names = sorted(name for name in node_classes if all(word in name.lower() for word in wanted))
    if as_json:
        entries = {
            name: {
                "inputs": {spec.name: spec.type for spec in node_classes[name].inputs if spec.group != "hidden"},
                "outputs": [spec.type for spec in node_classes[name].outputs],
            }
            for name in names
        }
        sys.stdout.write(json.dumps(entries, indent=2) + "\n")
        return
    for name in names:
        takes = ", ".join(f"{spec.name}: {spec.type}" for spec in node_classes[name].inputs if spec.group != "hidden")
        gives = ", ".join(spec.type for spec in node_classes[name].outputs)
        sys.stdout.write(f"{name}({takes}) -> {gives or 'nothing'}\n")


def report_unusable(catalog: Catalog) -> None:
    """Print on standard error which entries of a catalog cannot be used, and why."""
    from discomfort.ir.diagnostics import render

    entries = list(catalog.unusable.values())
    if entries:
        rest = f"\n\nand {len(entries) - MOST_SHOWN} more" if len(entries) > MOST_SHOWN else ""
        sys.stderr.write(f"{render(entries[:MOST_SHOWN])}{rest}\n")
