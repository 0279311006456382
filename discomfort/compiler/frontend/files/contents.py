"""The content of a file, read as far as needed: a video of many gigabytes holds its workflow in a few kilobytes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

LARGEST_FILE = 512 * 1024 * 1024
"""Bytes of the largest workflow that is read whole; media files, of which parts are read, may be larger."""

_READ_AT_ONCE = 16 * 1024 * 1024


class Bytes(Protocol):
    """What media readers need of a content: its length, and any stretch of it."""

    def __len__(self) -> int: ...

    def __getitem__(self, stretch: slice, /) -> bytes: ...


class FileTooLarge(ValueError):
    """A file holds more than is read into memory."""


class StoredBytes:
    """The content of an open file as `Bytes`; close it, or use it in a `with` block."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, stretch: slice, /) -> bytes:
        start, stop, _ = stretch.indices(self._size)
        if stop <= start:
            return b""
        self._file.seek(start)
        return self._file.read(stop - start)

    def __enter__(self) -> StoredBytes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def open_content(path: str | os.PathLike[str]) -> bytes | StoredBytes:
    """Return a file's content: small ones and pipes whole, large regular files opened.

    Raises:
        FileTooLarge: a pipe or a device gives more than LARGEST_FILE bytes.
        OSError, ValueError: the file cannot be read.
    """
    file = Path(path).open("rb")  # noqa: SIM115 — a large file stays open until its reader closes it
    try:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size > _READ_AT_ONCE:
            return StoredBytes(file, status.st_size)
        content = read_limited(file)
    except BaseException:
        file.close()
        raise
    file.close()
    return content


def read_limited(file: BinaryIO) -> bytes:
    """Return all that a file gives.

    Raises:
        FileTooLarge: that is more than LARGEST_FILE bytes.
    """
    content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise FileTooLarge(f"it is larger than {LARGEST_FILE >> 20} MiB, the most that is read")
    return content


def whole(content: bytes | StoredBytes) -> bytes:
    """Return all of a content.

    Raises:
        FileTooLarge: it is larger than LARGEST_FILE bytes.
    """
    if isinstance(content, bytes):
        return content
    if len(content) > LARGEST_FILE:
        raise FileTooLarge(f"it is larger than {LARGEST_FILE >> 20} MiB, the most that is read")
    return content[:]
