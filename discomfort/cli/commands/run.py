"""`discomfort-graph run`: compile workflows, run them, and write what comes out."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from discomfort.cli.options import Auto, Files, Only, RulesFile, open_catalog, open_rules, order_of
from discomfort.cli.output import require_folder
from discomfort.printable import counted

if TYPE_CHECKING:
    from discomfort.ir.diagnostics import Diagnostic
    from discomfort.plan import Plan

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LONGEST_STEM = 100
"""Characters of a result's name in the name of its file."""


def run(
    files: Files,
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
    catalog: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Node classes: a saved /object_info; else those of the engine."),
    ] = None,
    rules: RulesFile = None,
    only: Only = None,
    auto: Auto = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results, or what is wrong, as JSON.")] = False,
) -> None:
    """Run workflows: images are written as PNG, plain values are printed, everything else is written as .pkl."""
    from discomfort.cli.report import report
    from discomfort.context.context import WorkflowContext
    from discomfort.ir.diagnostics import DiscomfortError
    from discomfort.plan import compile
    from discomfort.runtime.engine_thread import run_blocking
    from discomfort.runtime.engines.select import select_engine
    from discomfort.runtime.running.engine_registry import catalog_to_compile_with

    require_folder(output)
    values, chosen = read_inputs(inputs or []), open_rules(rules)
    try:
        runner = select_engine(engine)
        node_classes = open_catalog(catalog) if catalog is not None else run_blocking(catalog_to_compile_with(runner))
        plan = compile(files, catalog=node_classes, outputs=only, order=order_of(auto=auto), rules=chosen)
        report(plan.diagnostics, as_json=False)
        with WorkflowContext() as context:
            results = plan.run(
                context,
                inputs=values,
                iterations=iterations,
                engine=runner,
                effects="run" if effects else "skip",
            )
            stems = file_stems(results)
            written = {name: write_value(value, output, stems[name]) for name, value in results.items()}
    except (DiscomfortError, OSError) as error:
        report(findings_of(error), as_json=as_json)
        raise typer.Exit(1) from error
    _print_results(plan, written, as_json=as_json)


def findings_of(error: Exception) -> Sequence[Diagnostic]:
    """Return an error as findings: its own where it has any."""
    from discomfort.ir.diagnostics import CompileError, Place
    from discomfort.ir.findings import make_finding
    from discomfort.runtime.binding.bind import BindError
    from discomfort.runtime.engines.protocol import NodeFailed, PromptRejected

    if isinstance(error, (CompileError, BindError, PromptRejected)):
        return error.diagnostics
    if isinstance(error, NodeFailed) and error.place is not None:
        place = Place(error.place.workflow, None, error.place.node, error.place.title)
        role = f" ({error.place.ports})" if error.place.ports else ""
        message = f"{error.place.class_type}{role} failed: {error.exception_type}: {error.exception_message}"
        return [make_finding("DF530", message, place)]
    return [make_finding("DF531", str(error), Place("<run>"))]


def read_inputs(texts: Sequence[str]) -> dict[str, Any]:
    """Return the values that NAME=VALUE texts give; every text that is wrong is reported at once, with status 2."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            wrong.append(f"expected NAME=VALUE, found {text!r}")
        elif name in values:
            wrong.append(f"{name!r} is given twice")
        else:
            try:
                values[name] = read_value(value)
            except (OSError, ValueError) as error:
                values[name] = None
                wrong.append(f"{name}: {error}")
    if wrong:
        raise typer.BadParameter("; ".join(wrong), param_hint="-i / --input")
    return values


_TOO_LONG = "a number in it has more digits than Python reads: at most 4300"


def read_value(text: str) -> Any:
    """Return what NAME=VALUE means: `@file` its content, JSON where it reads as JSON, the text itself otherwise.

    Raises:
        OSError, ValueError: the file cannot be read; its name is in the message.
    """
    from discomfort.compiler.frontend.files.contents import FileTooLarge, read_limited

    if not text.startswith("@"):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
        except ValueError as error:
            raise ValueError(_TOO_LONG) from error
        except RecursionError as error:
            raise ValueError("the JSON is nested too deeply") from error
    path = Path(text[1:])
    if path.suffix.lower() in IMAGES:
        from discomfort.tools import WorkflowTools

        return WorkflowTools().open_image_as_tensor(path)
    try:
        with path.open("rb") as file:
            content = read_limited(file).decode("utf-8-sig")
        return json.loads(content) if path.suffix.lower() == ".json" else content.replace("\r\n", "\n")
    except RecursionError as error:
        raise ValueError(f"{path}: the JSON is nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError, FileTooLarge) as error:
        raise ValueError(f"{path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {_TOO_LONG}") from error


def file_stems(names: Iterable[str]) -> dict[str, str]:
    """Return a file name for each result, without its suffix; no two are the same, also where case does not count."""
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        letters = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name[:LONGEST_STEM])
        stem = letters if letters.strip(".") else "result"
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        stems[name] = next(free for free in itertools.chain([stem], numbered) if free.casefold() not in taken)
        taken.add(stems[name].casefold())
    return stems


def write_value(value: Any, folder: Path, stem: str) -> dict[str, Any]:
    """Write one result into `folder` where it is not plain, and return what to print about it."""
    from discomfort.context.values.opaque import OpaqueValue
    from discomfort.runtime.describe_value import describe_value
    from discomfort.runtime.running.executor import Reference

    if isinstance(value, float) and not math.isfinite(value):
        return {"value": str(value)}  # JSON has no such numbers
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    if isinstance(value, (OpaqueValue, Reference)):
        return {"reference": repr(value)}
    shape: Sequence[int] = getattr(value, "shape", ())
    if len(shape) == 4 and shape[3] in (1, 3, 4):
        from discomfort.tools import WorkflowTools

        paths = WorkflowTools().save_comfy_image_to_disk(value, folder / f"{stem}.png")
    else:
        import cloudpickle

        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{stem}.pkl"]
        paths[0].write_bytes(cloudpickle.dumps(value))
    return {"files": [str(path) for path in paths], "type": describe_value(value)}


def _print_results(plan: Plan, written: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(written, indent=2) + "\n")
        return
    for name, entry in written.items():
        if "files" in entry:
            sys.stdout.write(f"{name}: {entry['type']} -> {', '.join(entry['files'])}\n")
        else:
            sys.stdout.write(f"{name}: {entry.get('value', entry.get('reference'))}\n")
    if not written:
        sys.stdout.write(f"done: {counted(len(plan.effects), 'effect')}, no outputs\n")
