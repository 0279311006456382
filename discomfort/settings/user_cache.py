"""Small facts that a user's programs remember for each other, and may lose at any time: files in the cache folder."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from discomfort.settings.folders import cache_folder

LARGEST = 1024 * 1024
"""Bytes of the largest file; what would grow beyond is written without its older entries."""


class UserCache:
    """A JSON file of facts by key, the oldest of which give way. Safe for several processes: files are replaced whole.

    Two processes that write at once may lose the fact of one of them. A file that is damaged, or cannot be written,
    remembers nothing.
    """

    def __init__(self, name: str, most: int) -> None:
        """Name the file; at most `most` facts are kept."""
        self._name = name
        self._most = most

    def get(self, key: str) -> Any:
        """Return what is remembered for `key`, None for nothing."""
        return self._read().get(key)

    def put(self, key: str, fact: Any) -> None:
        """Remember `fact`, which is JSON data, for `key`."""
        folder = cache_folder()
        if folder is None:
            return
        facts = {name: value for name, value in self._read().items() if name != key}
        facts[key] = fact
        facts = dict(list(facts.items())[-self._most :])
        text = json.dumps(facts)
        if len(text) > LARGEST:
            text = json.dumps({key: fact})
        if len(text) <= LARGEST:
            self._write(folder, text)

    def _read(self) -> dict[str, Any]:
        folder = cache_folder()
        if folder is None:
            return {}
        try:
            with (folder / self._name).open("rb") as file:
                content = file.read(LARGEST + 1)
            facts = json.loads(content) if len(content) <= LARGEST else {}
        except (OSError, ValueError, RecursionError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def _write(self, folder: Path, text: str) -> None:
        temporary = folder / f".{self._name}.{os.getpid()}.{uuid.uuid4().hex}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_text(text, encoding="ascii")
            temporary.replace(folder / self._name)
        except OSError:  # a full disk, a folder that cannot be written: the fact is found again next time
            with contextlib.suppress(OSError):
                temporary.unlink()
