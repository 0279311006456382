"""The RAM tier: files on tmpfs that keep their touched pages when a value goes, ready for the next one.

A segment is claimed by locking its file exclusively and read by sharing that lock for as long as a mapping of it lives.
Both locks die with their process. So a segment whose value is gone is written again only when no process reads it.
"""

from __future__ import annotations

import mmap
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from discomfort.context.home.os_support import (
    BINARY,
    SHARED_LOCKS,
    free_bytes,
    reserve,
    try_lock_exclusive,
    try_lock_shared,
    unlock,
)
from discomfort.context.index.index import Index
from discomfort.context.index.records import segment_gone_record, segment_record
from discomfort.context.index.state import State

_PAGE = mmap.PAGESIZE
_SLACK = 1 << 20  # left free on tmpfs for the index, and for others
_OPEN_SEGMENTS = 32
_POPULATE = getattr(mmap, "MAP_POPULATE", 0)


class Segment:
    """A segment this process has open, and its shared mapping once every page of it is known to be there."""

    def __init__(self, number: int, fd: int, size: int) -> None:
        self.number = number
        self.fd = fd
        self.size = size
        self.mapping: mmap.mmap | None = None

    def close(self) -> None:
        """Release the file; whoever still views the mapping keeps it."""
        if self.mapping is not None:
            with suppress(BufferError):
                self.mapping.close()
        os.close(self.fd)


class Segments:
    """The segments of a run, as one process uses them. Callers of `claim` and `drop_free` hold the index."""

    def __init__(self, directory: Path, capacity: int, index: Index) -> None:
        self.directory = directory
        self.capacity = capacity
        self._index = index
        self._open: dict[int, Segment] = {}  # least recently claimed first
        self._claimed: set[int] = set()
        self._mutex = threading.Lock()

    def path(self, number: int) -> Path:
        """The file of a segment."""
        return self.directory / f"segment-{number}"

    def could_hold(self, state: State, nbytes: int) -> bool:
        """Would `nbytes` fit the budget and the memory, were nothing else in RAM?"""
        reachable = free_bytes(self.directory) + state.segment_bytes >= nbytes + _SLACK
        return reachable and 0 < nbytes <= self.capacity

    def claim(self, state: State, nbytes: int) -> Segment | None:
        """A segment of at least `nbytes` for us alone, or None where there is no room for it now."""
        if not self.could_hold(state, nbytes):
            return None
        while True:
            segment = self._reuse(state, nbytes) or self._create(state, nbytes)
            if segment is not None or not self.drop_free(state, nbytes):
                return segment

    def share(self, segment: Segment) -> None:
        """Let a filled segment be read. The index is held, and the value is committed before the index is released.

        So whoever learns of the value can lock its segment at once, and no other process can claim it in between.
        """
        try_lock_shared(segment.fd)

    def release(self, segment: Segment) -> None:
        """Give up a claim; the segment is free, or holds the value committed meanwhile."""
        with self._mutex:
            if segment.number in self._claimed:
                self._claimed.discard(segment.number)
                unlock(segment.fd)
            surplus = [number for number in self._open if number not in self._claimed][:-_OPEN_SEGMENTS]
            for number in surplus:
                self._open.pop(number).close()

    def discard(self, segment: Segment) -> None:
        """Delete a claimed segment that turned out not to be backed by memory. The index is held."""
        self._index.commit([segment_gone_record(segment.number)])
        self._forget(segment.number, truncate=True)

    def open_for_reading(self, number: int) -> int | None:
        """A file descriptor that keeps the segment from being written, or None if it is gone or being written."""
        try:
            fd = os.open(self.path(number), os.O_RDONLY | BINARY)
        except FileNotFoundError:
            return None
        if try_lock_shared(fd):
            return fd
        os.close(fd)
        return None

    def free_numbers(self, state: State) -> list[int]:
        """Segments that hold no value and that no thread of this process is filling."""
        return sorted(state.free - self._claimed)

    def drop_free(self, state: State, nbytes: int) -> bool:
        """Delete free segments until `nbytes` fit the budget and the memory; False if there was none to delete."""
        dropped = False
        for number in self.free_numbers(state):
            if dropped and self._fits(state, nbytes):
                break
            dropped = self._drop(number) or dropped
        return dropped

    def trim(self, state: State) -> None:
        """Keep at most a quarter of the budget in free segments. The index is held."""
        if not state.free:
            return
        free = self.free_numbers(state)
        surplus = sum(state.segments[number] for number in free) - self.capacity // 4
        for number in free:
            if surplus <= 0:
                break
            size = state.segments[number]
            if self._drop(number):
                surplus -= size

    def close(self) -> None:
        """Release every file."""
        with self._mutex:
            for segment in self._open.values():
                segment.close()
            self._open.clear()
            self._claimed.clear()

    def _reuse(self, state: State, nbytes: int) -> Segment | None:
        if not SHARED_LOCKS:
            return None
        limit = nbytes + nbytes // 4 + 64 * 1024
        fitting = [number for number in self.free_numbers(state) if nbytes <= state.segments[number] <= limit]
        # One this process has mapped already costs no page faults.
        fitting.sort(key=lambda number: (number not in self._open, state.segments[number]))
        for number in fitting:
            segment = self._take(number, state.segments[number])
            if segment is not None:
                return segment
        return None

    def _take(self, number: int, size: int) -> Segment | None:
        with self._mutex:
            segment = self._open.pop(number, None)
        if segment is None:
            try:
                segment = Segment(number, os.open(self.path(number), os.O_RDWR | BINARY), size)
            except FileNotFoundError:
                return None
        if not try_lock_exclusive(segment.fd):
            with self._mutex:
                self._open[number] = segment
            return None
        with self._mutex:
            self._open[number] = segment
            self._claimed.add(number)
        if segment.mapping is None:
            # Its writer may have been killed before it had written every page.
            try:
                if os.fstat(segment.fd).st_blocks * 512 < size:
                    reserve(segment.fd, size)
                segment.mapping = _map_shared(segment.fd, size)
            except OSError:
                self.discard(segment)
                return None
        return segment

    def _create(self, state: State, nbytes: int) -> Segment | None:
        size = nbytes + -nbytes % _PAGE
        if not self._fits(state, size):
            return None
        number = state.next_segment
        fd = os.open(self.path(number), os.O_RDWR | os.O_CREAT | os.O_TRUNC | BINARY, 0o600)
        segment = Segment(number, fd, size)
        with self._mutex:
            self._open[number] = segment
            self._claimed.add(number)
        try_lock_exclusive(fd)
        self._index.commit([segment_record(number, size)])
        return segment

    def _fits(self, state: State, nbytes: int) -> bool:
        """The budget and the memory itself, checked before anything is touched (C2)."""
        within = state.segment_bytes + state.inline_bytes + nbytes <= self.capacity
        return within and free_bytes(self.directory) >= nbytes + _SLACK

    def _drop(self, number: int) -> bool:
        try:
            fd = os.open(self.path(number), os.O_RDWR | BINARY)
        except FileNotFoundError:
            fd = -1
        try:
            unread = fd >= 0 and self._lock_ours(number, fd)
            if fd >= 0 and not unread and not try_lock_shared(fd):
                return False  # a process is writing it
            self._index.commit([segment_gone_record(number)])
            self._forget(number, truncate=unread)
        finally:
            if fd >= 0:
                os.close(fd)
        return True

    def _lock_ours(self, number: int, fd: int) -> bool:
        with self._mutex:
            if number in self._claimed:
                return False
        return try_lock_exclusive(fd)

    def _forget(self, number: int, truncate: bool) -> None:
        """Delete the file. No other process maps it when it is truncated, which frees it even where we have it open."""
        path = self.path(number)
        with self._mutex:
            segment = self._open.pop(number, None)
            self._claimed.discard(number)
        if truncate:
            with suppress(OSError):
                os.truncate(path, 0)
        with suppress(OSError):
            path.unlink()
        if segment is not None:
            segment.close()


def _map_shared(fd: int, size: int) -> mmap.mmap:
    """A shared mapping with its page tables filled, so that copying into it faults no more."""
    if _POPULATE:
        return mmap.mmap(fd, size, flags=mmap.MAP_SHARED | _POPULATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return mmap.mmap(fd, size)


def map_private(fd: int, size: int) -> Any:
    """A copy-on-write mapping: whoever writes to it writes to memory of its own (C3).

    The mapping duplicates `fd`, and so keeps the shared lock of `open_for_reading` until it goes itself.
    """
    return mmap.mmap(fd, size, access=mmap.ACCESS_COPY)
