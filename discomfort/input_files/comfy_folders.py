"""The files that a ComfyUI's nodes mean by name: in its input, output and temp folders, and in those of its models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

_CODE = ("custom_nodes", "datasets")
"""What ComfyUI lists among folders of models, and no file of which an input names."""


class ComfyFolders:
    """The folders of the ComfyUI in this process; `folder_paths` is its module of that name."""

    def __init__(self, folder_paths: Any) -> None:
        self._folder_paths = folder_paths

    def find(self, name: str) -> list[Path]:
        """Return every file, or folder of a model, that a node may mean by `name`; none where there is none.

        A name that several folders have means the files of all of them: which one a class reads it does not say. The
        small decoders for previews ("taesd") are several files each, which begin with their name.
        """
        plain, folder = self._annotated(name)
        if not stays_inside(plain):
            return []
        places = [folder] if folder is not None else [self._folder_paths.get_input_directory(), *self._of_models()]
        candidates = dict.fromkeys(f"{place}{os.sep}{plain}" for place in places)
        found = [Path(path) for path in candidates if os.path.exists(path)]  # noqa: PTH110 — some forty a name
        return found or list(self._parts(plain))

    def embeddings(self) -> list[Path]:
        """Return the folders of embeddings, which texts name."""
        return [Path(folder) for folder in self._of("embeddings") if Path(folder).is_dir()]

    def _annotated(self, name: str) -> tuple[str, str | None]:
        """Return the name of `a.png [output]`, and the folder; None for the folder where it does not say one."""
        read = getattr(self._folder_paths, "annotated_filepath", None)
        plain, folder = read(name) if read is not None else (name, None)
        return str(plain), None if folder is None else str(folder)

    def _of_models(self) -> Iterator[str]:
        for kind in getattr(self._folder_paths, "folder_names_and_paths", {}):
            if kind not in _CODE:
                yield from self._of(kind)

    def _of(self, kind: str) -> Sequence[str]:
        known = getattr(self._folder_paths, "folder_names_and_paths", {}).get(kind)
        return () if known is None else [str(folder) for folder in known[0]]

    def _parts(self, name: str) -> Iterator[Path]:
        if "/" in name or "\\" in name:
            return
        for folder in map(Path, self._of("vae_approx")):
            if folder.is_dir():
                yield from sorted(path for path in folder.iterdir() if path.name.startswith(f"{name}_"))


def stays_inside(name: str) -> bool:
    """Return whether a name below a folder is the name of something in it."""
    if not name.strip() or "\0" in name:
        return False
    windows = PureWindowsPath(name)  # takes both kinds of slash
    return not (windows.drive or windows.root or PurePosixPath(name).is_absolute() or ".." in windows.parts)
