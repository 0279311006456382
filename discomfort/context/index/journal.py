"""An append-only journal that processes share, with one word of memory as its commit point.

A record counts once the *state word*, eight aligned bytes of shared memory, says that the journal reaches past it. A
process that dies while appending leaves bytes that are never read and the next writer overwrites. Several records
become visible by one store of that word, or not at all (C5). Readers compare the word with the one they last saw.

When most of a journal is history, a new generation is written next to it and the word switched over to that.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from discomfort.context.errors import ContextClosedError, CorruptValueError, folder_deleted
from discomfort.context.home.os_support import BINARY, read_at, write_all

Record = tuple[int, bytes]

_FRAME = struct.Struct("<IIB")
END = 0x80
"""Set in the kind of the last record of a commit."""

_TAIL_BITS = 44  # 16 TiB a generation, and a million generations
_TAIL = (1 << _TAIL_BITS) - 1
CLOSED = (1 << 64) - 1
_CLOCKS = 8192
_HEADER_WORDS = 8
_CONTROL_SIZE = 8 * (_HEADER_WORDS + _CLOCKS)


def frame(op: int, body: bytes) -> bytes:
    """A record as it lies in the journal."""
    return _FRAME.pack(len(body), zlib.crc32(body), op) + body


def commit_of(records: Iterable[Record]) -> bytes:
    """Records that belong together, as they lie in the journal: the last says that it is that."""
    *others, (op, body) = records
    return b"".join([*(frame(*record) for record in others), frame(op | END, body)])


class Journal:
    """One process's view of the journal of a run.

    Attributes:
        lock_fd: the file whose lock is held while appending, by one process.
        seen: the state word up to which `read_new` has read.
    """

    def __init__(self, ram: Path, disk: Path, create: bool) -> None:
        self._places = (ram, disk)
        self._control_path = ram / "control"
        if create:
            fd = os.open(self._control_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
            write_all(fd, bytes(_CONTROL_SIZE), 0)
        else:
            fd = os.open(self._control_path, os.O_RDWR | BINARY)
        try:
            self._control = mmap.mmap(fd, _CONTROL_SIZE)
        finally:
            os.close(fd)
        self.words: memoryview[int] = memoryview(self._control).cast("Q")
        self.lock_fd: int = os.open(disk / "index.lock", os.O_RDWR | os.O_CREAT | BINARY, 0o600)
        self.seen: int = 0
        self._fd = -1
        self._generation = -1
        if create:
            self._fd = self._create(0)
            self._generation = 0

    @property
    def size(self) -> int:
        """Bytes of journal read so far, history included."""
        return self.seen & _TAIL

    def append(self, data: bytes) -> None:
        """Append framed records and publish them at once. The lock is held and everything older has been read.

        Raises:
            OSError: no room, even after moving the journal to disk is the caller's business; nothing changed.
        """
        tail = self.seen & _TAIL
        write_all(self._fd, data, tail)
        self.seen = self.words[0] = self.seen + len(data)

    def read_new(self) -> tuple[bool, list[Record]]:
        """Records published since the last call; True when they are the whole story and not its continuation.

        The kind of the last record of each commit has `END` set.

        Raises:
            ContextClosedError: the owner has shut the run down.
            CorruptValueError: the journal is damaged.
        """
        restarted = False
        while True:
            word = self.words[0]
            if word == CLOSED:
                raise ContextClosedError("the owner of this context has shut it down")
            generation = word >> _TAIL_BITS
            if generation != self._generation:
                try:
                    self._open(generation)
                except FileNotFoundError:
                    if self.words[0] == word:
                        raise ContextClosedError("the directory of this context is gone: its owner died") from None
                    continue
                restarted = True
            start = 0 if restarted else self.seen & _TAIL
            data = read_at(self._fd, (word & _TAIL) - start, start)
            self.seen = word
            return restarted, list(self._parse(data, start, (word & _TAIL) - start))

    def rewind(self) -> None:
        """Forget what was read, so that `read_new` starts over."""
        self._generation = -1

    def rewrite(self, records: Iterable[Record], on_disk: bool) -> None:
        """Switch to a new generation that holds these records only. The lock is held.

        Raises:
            OSError: no room; nothing changed.
            ContextClosedError: the folder of the journal was deleted.
        """
        generation = self._generation + 1
        path = self._places[on_disk] / f"journal-{generation}"
        data = commit_of(records)
        with suppress(FileNotFoundError):  # left by a process that died right here
            path.unlink()
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
        except FileNotFoundError:
            raise folder_deleted(path.parent) from None
        try:
            write_all(fd, data, 0)
        except OSError:
            os.close(fd)
            path.unlink()
            raise
        old_fd, self._fd = self._fd, fd
        self._generation = generation
        self.seen = self.words[0] = generation << _TAIL_BITS | len(data)
        os.close(old_fd)
        for place in self._places:
            with suppress(OSError):  # on Windows another process may have it open still
                (place / f"journal-{generation - 1}").unlink()

    def is_deleted(self) -> bool:
        """Was the folder on disk deleted, and our files with it?"""
        return os.fstat(self.lock_fd).st_nlink == 0

    def touch(self, slot: int) -> None:
        """Note that something is being used now, for the least recently used order of all processes."""
        self.words[_HEADER_WORDS + slot % _CLOCKS] = time.monotonic_ns()

    def last_use(self, slot: int) -> int:
        """When `touch` was last called for a slot; slots are shared by numbers far apart, so this is approximate."""
        return self.words[_HEADER_WORDS + slot % _CLOCKS]

    def publish_closed(self) -> None:
        """Mark the run as over, for every process."""
        self.words[0] = CLOSED

    def close(self) -> None:
        """Release the files."""
        self.words.release()
        self._control.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        os.close(self.lock_fd)

    def _create(self, generation: int) -> int:
        return os.open(self._places[0] / f"journal-{generation}", os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)

    def _open(self, generation: int) -> None:
        fd = -1
        for place in self._places:
            with suppress(FileNotFoundError):
                fd = os.open(place / f"journal-{generation}", os.O_RDWR | BINARY)
                break
        if fd < 0:
            raise FileNotFoundError(f"journal-{generation}")
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._generation = generation

    def _parse(self, data: bytes, start: int, expected: int) -> Iterator[Record]:
        position = 0
        while position < expected:
            length, checksum, op = (0, 0, 0)
            body = b""
            if position + _FRAME.size <= len(data):
                length, checksum, op = _FRAME.unpack_from(data, position)
                body = data[position + _FRAME.size : position + _FRAME.size + length]
            if op == 0 or len(body) != length or zlib.crc32(body) != checksum:
                raise CorruptValueError(f"the index in {self._places[0]} is damaged at byte {start + position}")
            yield op, body
            position += _FRAME.size + length
