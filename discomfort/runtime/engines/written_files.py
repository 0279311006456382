"""Which files the nodes of a prompt wrote, as their answers to the editor (`ui`) list them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any


def written_files(ui: Mapping[str, Mapping[str, Any]], cached: Collection[str]) -> list[str]:
    """Return the files below the engine's folders, such as `output/good_00001_.png`, in the order of their nodes.

    Nodes in `cached` did not run, so they wrote nothing. Previews are left out: they lie in the folder `temp`, which
    ComfyUI empties whenever it starts.
    """
    return list(dict.fromkeys(_files(ui, cached)))


def _files(ui: Mapping[str, Mapping[str, Any]], cached: Collection[str]) -> Iterator[str]:
    for node, answer in ui.items():
        for entries in answer.values() if node not in cached else ():
            for entry in entries if isinstance(entries, (list, tuple)) else ():
                if not isinstance(entry, Mapping) or not isinstance(entry.get("filename"), str):
                    continue
                folder = str(entry.get("type") or "output")
                if folder != "temp":
                    yield "/".join(
                        part for part in (folder, str(entry.get("subfolder") or ""), entry["filename"]) if part
                    )
