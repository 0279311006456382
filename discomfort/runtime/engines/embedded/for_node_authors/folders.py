"""Where nodes that read and write files look: the folders of the embedded engine, held for the running context."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from discomfort.input_files.comfy_folders import stays_inside


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders that ComfyUI calls input, output, temp and models.

    `models` holds one folder a kind (`models/vae`). A folder need not exist until something is written to it.

    Example:
        >>> from pathlib import Path
        >>> folders = discomfort.Folders(Path("in"), Path("out"), Path("temp"), Path("models"))
        >>> engine = discomfort.EmbeddedEngine(folders)
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


class FolderFinder:
    """Finds the files that nodes name: in the folders in use, or in `folders` where those are given."""

    def __init__(self, folders: Folders | None = None) -> None:
        self._folders = folders

    def find(self, name: str) -> list[Path]:
        """Return every file that a node may mean by `name`, `name [output]` or `name [temp]`, models included."""
        folders = self._folders or current_folders()
        match = re.fullmatch(r"(.*?)\s*\[(input|output|temp)\]", name, re.DOTALL)
        plain = match[1] if match else name
        if not stays_inside(plain):
            return []
        if match:
            places = [getattr(folders, match[2])]
        else:
            kinds = folders.models.iterdir() if folders.models.is_dir() else ()
            places = [folders.input, *sorted(kind for kind in kinds if kind.is_dir())]
        return [path for place in places if os.path.exists(path := place / plain)]  # noqa: PTH110 — of long names, too

    def embeddings(self) -> list[Path]:
        """Return the folder of embeddings, where there is one."""
        folder = (self._folders or current_folders()).models / "embeddings"
        return [folder] if folder.is_dir() else []


@contextmanager
def use_folders(folders: Folders) -> Iterator[Folders]:
    """Use `folders` inside the `with` block, in this thread or task and what it starts from a copy of its context.

    Example:
        >>> from pathlib import Path
        >>> folders = discomfort.Folders(Path("in"), Path("out"), Path("temp"), Path("models"))
        >>> with discomfort.use_folders(folders) as used:
        ...     used.output == Path("out")
        True
    """
    token = _folders.set(folders)
    try:
        yield folders
    finally:
        _folders.reset(token)
