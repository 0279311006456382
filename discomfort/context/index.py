"""The index of a run as one process sees it: a state kept up to date with the journal, and commits to it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from discomfort.context.errors import ContextClosedError
from discomfort.context.files import lock_exclusive, unlock
from discomfort.context.journal import CLOSED, Journal, Record, frame
from discomfort.context.records import VALUE, Blob, value_record
from discomfort.context.state import State

_REWRITE_BYTES = 4 << 20


class Index:
    """Reads without a lock, writes under one.

    `read` costs one comparison while nobody has written. A commit is applied to the state only after it was published,
    and a state that could have missed a step is thrown away and read again.
    """

    def __init__(self, ram: Path, disk: Path, create: bool) -> None:
        self._journal = Journal(ram, disk, create)
        self._words: Any = self._journal.words
        self._seen = self._journal.seen
        self._state = State()
        self._mutex = threading.RLock()
        self._sick = False
        self._held = False
        self._rewrite_at = _REWRITE_BYTES
        self._closed: str | None = None
        if not create:
            self._seen = -1

    @property
    def closed(self) -> bool:
        """Was the run shut down, here or by its owner?"""
        return self._closed is not None or self._words[0] == CLOSED

    def read(self) -> State:
        """The state now.

        Raises:
            ContextClosedError: the context was shut down, here or by its owner.
        """
        if self._words[0] != self._seen:
            with self._mutex:
                self._catch_up()
        return self._state

    @contextmanager
    def writing(self) -> Iterator[State]:
        """Hold the index: nobody else commits meanwhile. Use `commit` inside. May be nested."""
        with self._mutex:
            self._check_open()
            if self._held:
                yield self._state
                return
            lock_exclusive(self._journal.lock_fd)
            self._held = True
            try:
                if self._words[0] != self._seen:
                    self._catch_up()
                yield self._state
            finally:
                self._held = False
                unlock(self._journal.lock_fd)

    def commit(self, records: Iterable[Record]) -> list[Blob]:
        """Publish records together, inside `writing`. Returns the blobs to which nothing refers any more."""
        records = list(records)
        if records:
            self._publish(b"".join(frame(op, body) for op, body in records))
            try:
                for op, body in records:
                    self._state.apply(op, body)
            except BaseException:
                self._sick = True
                self._seen = -1
                raise
            self._seen = self._journal.seen
        dropped, self._state.dropped = self._state.dropped, []
        return dropped

    def commit_value(self, unique_id: str, payload: bytes, value: Any) -> list[Blob]:
        """Publish one small value: the short way of `writing` and `commit`."""
        data = frame(VALUE, value_record(unique_id, payload)[1])
        with self._mutex:
            self._check_open()
            lock_fd = self._journal.lock_fd
            lock_exclusive(lock_fd)
            try:
                if self._words[0] != self._seen:
                    self._catch_up()
                self._publish(data)
                try:
                    self._state.set_value(unique_id, payload, value)
                except BaseException:
                    self._sick = True
                    self._seen = -1
                    raise
                self._seen = self._journal.seen
            finally:
                unlock(lock_fd)
            dropped = self._state.dropped
            if dropped:
                self._state.dropped = []
            return dropped

    def touch(self, slot: int) -> None:
        """Note a use, for the least recently used order."""
        self._journal.touch(slot)

    def last_use(self, slot: int) -> int:
        """When a slot was last used, by any process."""
        return self._journal.last_use(slot)

    def publish_closed(self) -> None:
        """Tell every process that the run is over."""
        with self._mutex:
            self._journal.publish_closed()

    def close(self, reason: str) -> None:
        """Let go of the files; later calls raise ContextClosedError with this reason."""
        with self._mutex:
            if self._closed is None:
                self._closed = reason
                self._words, self._seen = (0,), -1
                self._journal.close()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise ContextClosedError(self._closed)

    def _catch_up(self) -> None:
        self._check_open()
        if self._sick:
            self._journal.rewind()
            self._sick = False
        restarted, records = self._journal.read_new()
        state = State() if restarted else self._state
        try:
            for op, body in records:
                state.apply(op, body)
        except BaseException:
            self._sick = True
            raise
        state.dropped.clear()  # their space is the business of the process that committed
        self._state = state
        self._seen = self._journal.seen

    def _publish(self, data: bytes) -> None:
        try:
            if self._journal.size > self._rewrite_at:
                self._rewrite(on_disk=False)
            self._journal.append(data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._rewrite(on_disk=True)  # the RAM tier is full: go on in the other one
            self._journal.append(data)

    def _rewrite(self, on_disk: bool) -> None:
        self._journal.rewrite(self._state.snapshot(), on_disk)
        self._seen = self._journal.seen
        self._rewrite_at = self._journal.size * 4 + _REWRITE_BYTES
