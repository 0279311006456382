"""`discomfort-graph`: the command line. Exit status 0 is fine, 1 means findings, 2 a wrong call, 130 cancelled."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from discomfort._version import __version__
from discomfort.cli.commands.catalog import catalog_app
from discomfort.cli.commands.check import check
from discomfort.cli.commands.dot import dot
from discomfort.cli.commands.plan import plan
from discomfort.cli.commands.ports import ports
from discomfort.cli.commands.prompt import prompt
from discomfort.cli.commands.run import run
from discomfort.cli.commands.stitch import stitch
from discomfort.cli.groups import CommandGroup
from discomfort.printable import printable

CANCELLED = 128 + 2
"""The exit status after Ctrl-C, as shells have it: 128 and the number of SIGINT."""

app: typer.Typer = typer.Typer(
    name="discomfort-graph",
    cls=CommandGroup,
    help="Compile, check, draw and run ComfyUI workflows. FILE is a workflow (or - for standard input).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _command in (check, ports, plan, prompt, stitch, dot, run):
    app.command()(_command)
app.add_typer(catalog_app, name="catalog")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"discomfort {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Compile, check, draw and run ComfyUI workflows. FILE is a workflow (or - for standard input)."""


def main() -> None:
    """Run the command line."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            _write_everything(stream)
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and out.isatty():
        sys.stdout = _Terminal(out.buffer, out.encoding, "backslashreplace", line_buffering=True)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        if end.code == CANCELLED:
            sys.stderr.write("cancelled\n")
        raise
    except OSError as error:  # a full disk, a closed pipe: what is left to write has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None


def _open_closed_streams() -> None:
    """Open what the caller closed: Python has None for such a stream, and the next file would get its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123 — for as long as the program runs
            if opened.fileno() != number:
                os.dup2(opened.fileno(), number)
            setattr(sys, name, opened)


def _write_everything(stream: io.TextIOWrapper) -> None:
    """Make a stream take every text: files and pipes are UTF-8; what a terminal cannot show has a backslash."""
    if stream.isatty():
        stream.reconfigure(errors="backslashreplace")
    else:
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")


class _Terminal(io.TextIOWrapper):
    """Standard output where people read it: titles and texts of workflows are shown, and cannot steer the terminal."""

    def write(self, text: str, /) -> int:
        super().write(printable(text))
        return len(text)
