"""Which processes have a run open, and which of them died: each keeps a file locked for as long as it lives."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from discomfort.context.home.os_support import BINARY, try_lock_exclusive
from discomfort.context.index.index import Index


class Member:
    """One open context of a process, as the others see it.

    Attributes:
        name: differs for every one there ever was.
    """

    def __init__(self, directory: Path, index: Index) -> None:
        self.name: str = secrets.token_hex(8)
        self._path = directory / self.name
        self._fd = -1
        with index.writing():  # whoever looks for the dead holds the index, and so finds the file locked
            directory.mkdir(mode=0o700, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
            try_lock_exclusive(self._fd)

    def leave(self) -> None:
        """Be one no longer."""
        self.forget()
        with suppress(OSError):  # Windows keeps it while a process checks whether we live; the next check removes it
            self._path.unlink()

    def forget(self) -> None:
        """Close the file, in a forked child: only the parent must keep it locked."""
        os.close(self._fd)


def living(directory: Path, own: Member) -> tuple[set[str], list[Path]]:
    """The names of the members that live, and the files of those that died. The index is held."""
    alive, dead = {own.name}, []
    for path in directory.iterdir():
        if path.name == own.name:
            continue
        with suppress(FileNotFoundError):  # it leaves right now
            fd = os.open(path, os.O_RDWR | BINARY)
            try:
                if try_lock_exclusive(fd):
                    dead.append(path)
                else:
                    alive.add(path.name)
            finally:
                os.close(fd)
    return alive, dead
