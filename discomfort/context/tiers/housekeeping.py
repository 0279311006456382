"""What processes leave behind that are killed: files in which no value lies, and values that they held."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path

from discomfort.context.index.index import Index
from discomfort.context.index.members import Member, living
from discomfort.context.index.records import Blob
from discomfort.context.index.state import State

_SECONDS = 1.0
_SHARE = 50
_PREFIX = "blob-"


class Housekeeping:
    """Finds and removes it, while the run goes on.

    It looks when a value is stored, at most once a second, and then not again for fifty times as long as looking took.

    Attributes:
        due: when it looks again, by `time.monotonic`.
    """

    def __init__(self, index: Index, blobs: Path, members: Path, member: Member) -> None:
        self._index = index
        self._blobs = blobs
        self._members = members
        self._member = member
        self.due: float = time.monotonic() + _SECONDS

    def new_file(self) -> str:
        """A name for a file in which a value is to lie. It says who writes it."""
        return f"{_PREFIX}{self._member.name}-{secrets.token_hex(8)}"

    def is_due(self) -> bool:
        """Is it time to look again?"""
        return time.monotonic() >= self.due

    def sweep(self) -> list[Blob]:
        """Remove what members left that died: files that were not finished, and what they held and put.

        Returns the blobs to which nothing refers by that, whose space is the caller's to free.
        """
        began = time.monotonic()
        dropped = self._sweep()
        ended = time.monotonic()
        self.due = ended + max(_SECONDS, _SHARE * (ended - began))
        return dropped

    def unfinished_bytes(self) -> int:
        """Bytes of the files in which no value lies: being written, or not yet swept up."""
        found = list(self._blobs.iterdir())
        used = _files(self._index.read())
        total = 0
        for path in found:
            if path.name not in used:
                with suppress(FileNotFoundError):
                    total += path.stat().st_size
        return total

    def _sweep(self) -> list[Blob]:
        with self._index.writing() as state:
            alive, dead = living(self._members, self._member)
            gone = state.holders.members() - alive
            dropped = self._index.commit(state.holders.without(gone)) if gone else []
            for path in dead:
                with suppress(OSError):  # Windows keeps it while another process looks at it, too
                    path.unlink()
        unfinished = [path for path in self._blobs.iterdir() if _writer(path) not in alive]
        # Read after the writers were found dead: what is not in here by now is in none of their commits.
        used = _files(self._index.read())
        for path in unfinished:
            if path.name not in used:
                with suppress(OSError):  # another process removes it just now, or Windows keeps it while it is mapped
                    path.unlink()
        return dropped


def _files(state: State) -> set[str]:
    return {str(blob.where) for blob in list(state.blobs.values()) if blob.place == "disk"}


def _writer(path: Path) -> str:
    """The member that writes, or wrote, a file."""
    return path.name[len(_PREFIX) :].partition("-")[0]
