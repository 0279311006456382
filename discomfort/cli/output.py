"""Where commands write: files and folders, an obstacle is reported as a wrong call (status 2)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

OUTPUT = "-o / --output"


def write_text(text: str, target: Path | None) -> None:
    """Write `text` to a file, whose folder is made, or to standard output."""
    if target is None:
        sys.stdout.write(text)
    else:
        # half of a surrogate pair cannot be written as UTF-8; with its backslash it is the same text in JSON
        write_bytes(text.encode("utf-8", "backslashreplace"), target)


def write_bytes(content: bytes, target: Path) -> None:
    """Write `content` to a file, whose folder is made."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as error:
        raise typer.BadParameter(f"{target} cannot be written: {error.strerror}", param_hint=OUTPUT) from error


def require_folder(folder: Path) -> None:
    """End the command where files could not be written into `folder`, which need not exist yet."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise typer.BadParameter(f"{there} is not a folder", param_hint=OUTPUT)
    if not os.access(there, os.W_OK):
        raise typer.BadParameter(f"{there} cannot be written to", param_hint=OUTPUT)
