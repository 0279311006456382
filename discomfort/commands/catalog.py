"""`discomfort-graph catalog`: the node classes a ComfyUI knows."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from discomfort.commands.compiling import AsJson, CatalogFile, open_catalog
from discomfort.commands.files import write_bytes

catalog_app = typer.Typer(help="The node classes a ComfyUI knows.", no_args_is_help=True, rich_markup_mode=None)

PATIENCE = 60.0
"""Seconds to wait for a server's answer."""


@catalog_app.command()
def pull(
    url: Annotated[str, typer.Argument(help="A running ComfyUI, such as http://127.0.0.1:8188.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write the snapshot.")],
    as_json: AsJson = False,
) -> None:
    """Save the node classes of a running ComfyUI as a snapshot for --catalog."""
    from discomfort.compiler.catalog import read_catalog

    address = url if "://" in url else f"http://{url}"
    if not address.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url}: expected an http or https address", param_hint="URL")
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/object_info", timeout=PATIENCE) as answer:
            catalog = read_catalog(json.load(answer))
    except (OSError, ValueError, urllib.error.URLError) as error:
        sys.stderr.write(f"error: no catalog from {address}: {error}\n")
        raise typer.Exit(1) from error
    snapshot = catalog.snapshot()
    write_bytes(snapshot, output)
    if as_json:
        sys.stdout.write(json.dumps({"file": str(output), "classes": len(catalog), "bytes": len(snapshot)}) + "\n")
    else:
        sys.stdout.write(f"{output}: {len(catalog)} node classes, {len(snapshot)} bytes\n")


@catalog_app.command("list")
def list_classes(
    words: Annotated[list[str] | None, typer.Argument(metavar="[WORD...]", help="Only names with these.")] = None,
    catalog: CatalogFile = None,
    as_json: AsJson = False,
) -> None:
    """List node classes with what they take and give."""
    known = open_catalog(catalog)
    wanted = [word.lower() for word in words or []]
    names = sorted(name for name in known if all(word in name.lower() for word in wanted))
    if as_json:
        told = {
            name: {
                "inputs": {spec.name: spec.type for spec in known[name].inputs if spec.group != "hidden"},
                "outputs": [spec.type for spec in known[name].outputs],
            }
            for name in names
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    for name in names:
        takes = ", ".join(f"{spec.name}: {spec.type}" for spec in known[name].inputs if spec.group != "hidden")
        gives = ", ".join(spec.type for spec in known[name].outputs)
        sys.stdout.write(f"{name}({takes}) -> {gives or 'nothing'}\n")
