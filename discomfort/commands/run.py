"""`discomfort-graph run`: compile workflows, run them, and write what comes out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from discomfort.plan import Plan

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def run(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Workflows in the order they run.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "-i", "--input", metavar="NAME=VALUE", help="A value; @photo.png reads an image, @data.json JSON."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where results go.")] = Path("output"),
    engine: Annotated[
        str | None, typer.Option(help="embedded, comfyui:PATH, inprocess:PATH, or a server's URL.")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="How often to run the whole.")] = 1,
    effects: Annotated[bool, typer.Option(help="Run nodes that are there for what they do (SaveImage…).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print results and findings as JSON.")] = False,
) -> None:
    """Run workflows and write their results: images as PNG, plain values as JSON, everything else as .pkl."""
    from discomfort.commands.report import report
    from discomfort.compiler.diagnostics import CompileError, DiscomfortError
    from discomfort.context.context import WorkflowContext
    from discomfort.plan import compile
    from discomfort.runtime.bind import BindError
    from discomfort.runtime.engine import PromptRejected

    try:
        plan = compile(files)
        report(plan.diagnostics, False)
        with WorkflowContext() as context:
            values = {name: read_value(value) for name, value in map(_pair, inputs or [])}
            results = plan.run(
                context,
                inputs=values,
                iterations=iterations,
                engine=engine,
                effects="run" if effects else "skip",
            )
            written = {name: write_value(name, value, output) for name, value in results.items()}
    except (CompileError, BindError, PromptRejected) as error:
        report(error.diagnostics, as_json)
        raise typer.Exit(1) from error
    except DiscomfortError as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(1) from error
    _tell(plan, written, as_json)


def read_value(text: str) -> Any:
    """Return what NAME=VALUE means: `@file` its content, JSON where it reads as JSON, the text itself otherwise.

    Raises:
        BadParameter: the file cannot be read.
    """
    if not text.startswith("@"):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    path = Path(text[1:])
    try:
        if path.suffix.lower() in IMAGES:
            from discomfort.tools import WorkflowTools

            return WorkflowTools().open_image_as_tensor(path)
        content = path.read_text(encoding="utf-8")
        return json.loads(content) if path.suffix.lower() == ".json" else content
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}") from error


def write_value(name: str, value: Any, folder: Path) -> dict[str, Any]:
    """Write one result into `folder` where it is not plain, and return what to tell of it."""
    from discomfort.runtime.check import describe
    from discomfort.runtime.executor import Reference

    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    if isinstance(value, Reference):
        return {"reference": repr(value)}
    stem = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    shape: Sequence[int] = getattr(value, "shape", ())
    if len(shape) == 4 and shape[3] in (1, 3, 4):
        from discomfort.tools import WorkflowTools

        paths = WorkflowTools().save_comfy_image_to_disk(value, folder / f"{stem}.png")
    else:
        import cloudpickle

        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{stem}.pkl"]
        paths[0].write_bytes(cloudpickle.dumps(value))
    return {"files": [str(path) for path in paths], "type": describe(value)}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"expected NAME=VALUE, found {text!r}")
    return name, value


def _tell(plan: Plan, written: dict[str, dict[str, Any]], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(written, indent=2) + "\n")
        return
    for name, told in written.items():
        if "files" in told:
            sys.stdout.write(f"{name}: {told['type']} -> {', '.join(told['files'])}\n")
        else:
            sys.stdout.write(f"{name}: {told.get('value', told.get('reference'))}\n")
    if not written:
        sys.stdout.write(f"done: {len(plan.effects)} effects, no outputs\n")
