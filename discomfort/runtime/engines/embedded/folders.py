"""Where nodes that read and write files look: the folders of the embedded engine, held for the running context."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders that ComfyUI calls input, output, temp and models.

    `models` holds one folder a kind (`models/vae`). A folder need not exist until something is written to it.
    """

    input: Path
    output: Path
    temp: Path
    models: Path


@functools.cache
def _process_temp() -> Path:
    """Make this process's own folder for previews; it is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="discomfort-temp-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_folders: ContextVar[Folders | None] = ContextVar("discomfort_folders", default=None)


def current_folders() -> Folders:
    """Return the folders in use: those of the innermost `use_folders`, else ./input, ./output, ./models and a temp."""
    folders = _folders.get()
    if folders is None:
        here = Path.cwd()
        return Folders(input=here / "input", output=here / "output", temp=_process_temp(), models=here / "models")
    return folders


@contextmanager
def use_folders(folders: Folders) -> Iterator[Folders]:
    """Use `folders` inside the `with` block, in this thread or task and what it starts from a copy of its context."""
    token = _folders.set(folders)
    try:
        yield folders
    finally:
        _folders.reset(token)
