"""The index of a run as one process sees it: a state kept up to date with the journal, and commits to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from discomfort.context.errors import ContextClosedError, folder_deleted
from discomfort.context.home.os_support import is_full, lock_exclusive, try_lock_exclusive, unlock
from discomfort.context.index.journal import CLOSED, END, Journal, Record, commit_of, frame
from discomfort.context.index.records import VALUE, Blob, memo_gone_record, value_record
from discomfort.context.index.state import State

_REWRITE_BYTES = 4 << 20
_LOOK_NS = 100_000  # deleting a folder takes longer, and looking for it longer than a small save takes otherwise
_MEMO_SHARE = 16
_TRIES = 20
_PAUSE = 0.005


class Index:
    """Reads without a lock, writes under one.

    `read` costs one comparison while no process has written. A commit is applied to the state only once published,
    and a state that could have missed a step is thrown away and read again.

    Every commit also keeps what memos alone keep within `memo_capacity` bytes.

    Attributes:
        held: whether a thread of this process is inside `writing`.
        rewrite_at: bytes of journal, history included, at which a commit writes it again.
    """

    def __init__(self, ram: Path, disk: Path, memo_capacity: int, create: bool) -> None:
        self._ram = ram
        self._disk = disk
        self._memo_capacity = memo_capacity
        self._open(create)

    def _open(self, create: bool) -> None:
        self._journal = Journal(self._ram, self._disk, create)
        self._look_again = 0
        self._words: Any = self._journal.words
        self._seen = self._journal.seen
        self._state = State()
        self._mutex = threading.RLock()
        self._sick = False
        self.held: bool = False
        self.rewrite_at: int = _REWRITE_BYTES
        self._closed: str | None = None
        if not create:
            self._seen = -1

    def reopen(self) -> None:
        """In a forked child: open the files again, whose locks are otherwise the parent's."""
        self._open(create=False)

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

    @property
    def moment(self) -> int:
        """A number that differs for every commit; the next one's while the index is held."""
        return self._journal.seen

    @contextmanager
    def writing(self, wait: bool = True) -> Iterator[State]:
        """Hold the index: no other process commits meanwhile. Use `commit` inside. May be nested.

        Raises:
            BlockingIOError: another one holds it, even after a moment, and `wait` is False.
            ContextClosedError: as `read`.
        """
        with self._mutex:
            self._check_open()
            if self.held:
                yield self._state
                return
            self._lock(wait)
            self.held = True
            try:
                if self._words[0] != self._seen:
                    self._catch_up()
                yield self._state
            finally:
                self.held = False
                unlock(self._journal.lock_fd)

    def _lock(self, wait: bool) -> None:
        lock_fd = self._journal.lock_fd
        if wait:
            lock_exclusive(lock_fd)
            return
        for _ in range(_TRIES):
            if try_lock_exclusive(lock_fd):
                return
            time.sleep(_PAUSE)
        raise BlockingIOError("another one holds the index")

    def commit(self, records: Iterable[Record]) -> list[Blob]:
        """Publish records together, inside `writing`. Returns the blobs to which nothing refers any more."""
        records = list(records)
        if records:
            self._append(records)
            self._bound_memos()
        dropped, self._state.dropped = self._state.dropped, []
        return dropped

    def commit_value(self, unique_id: str, payload: bytes, value: Any) -> list[Blob]:
        """Publish one small value: the short way of `writing` and `commit`."""
        data = frame(VALUE | END, value_record(unique_id, payload)[1])
        with self._mutex:
            self._check_open()
            lock_fd = self._journal.lock_fd
            lock_exclusive(lock_fd)
            try:
                if self._words[0] != self._seen:
                    self._catch_up()
                self._publish(data)
                self._state.set_value(unique_id, payload, value)
                self._state.settle()
                self._sick, self._seen = False, self._journal.seen
                self._bound_memos()
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
        """Mark the run as over, for every process."""
        with self._mutex:
            self._journal.publish_closed()

    def close(self, reason: str) -> None:
        """Release the files; later calls raise ContextClosedError with this reason."""
        with self._mutex:
            if self._closed is None:
                self._closed = reason
                self._words, self._seen = (0,), -1
                self._journal.close()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise ContextClosedError(self._closed)
        now = time.monotonic_ns()
        if now > self._look_again:
            if self._words[0] != CLOSED and self._journal.is_deleted() and self._words[0] != CLOSED:
                raise folder_deleted(self._disk)
            self._look_again = now + _LOOK_NS

    def _catch_up(self) -> None:
        self._check_open()
        if self._sick:
            self._journal.rewind()
        self._sick = True
        restarted, records = self._journal.read_new()
        state = State() if restarted else self._state
        for op, body in records:
            state.apply(op & ~END, body)
            if op & END:
                state.settle()
        state.dropped.clear()  # their space is the business of the process that committed
        self._state = state
        self._sick, self._seen = False, self._journal.seen

    def _append(self, records: list[Record]) -> None:
        """Publish one commit and apply it."""
        if self._sick:  # an earlier one of the same `writing` was interrupted
            self._catch_up()
        self._publish(commit_of(records))
        for op, body in records:
            self._state.apply(op, body)
        self._state.settle()
        self._sick, self._seen = False, self._journal.seen

    def _bound_memos(self) -> None:
        """Forget memos, the least recently used first, where they keep more than they may."""
        if self._state.references.memo_bytes <= self._memo_capacity:
            return
        keys = self._state.memos_beyond(self._memo_capacity - self._memo_capacity // _MEMO_SHARE)
        try:
            if keys:
                self._append([memo_gone_record(key) for key in keys])
        except OSError as error:
            if not is_full(error):  # else what was to be saved is saved, and the next commit tries this again
                raise

    def _publish(self, data: bytes) -> None:
        """Publish a commit. Until it is applied, the state counts as one to be read again: Ctrl-C may come."""
        try:
            if self._journal.size > self.rewrite_at:
                self._rewrite(on_disk=False)
            self._change(lambda: self._journal.append(data))
        except OSError as error:
            if not is_full(error):
                raise
            self._rewrite(on_disk=True)  # the RAM tier is full: go on in the other one
            self._change(lambda: self._journal.append(data))

    def _rewrite(self, on_disk: bool) -> None:
        self._change(lambda: self._journal.rewrite(self._state.snapshot(), on_disk))
        self._sick, self._seen = False, self._journal.seen
        self.rewrite_at = self._journal.size * 4 + _REWRITE_BYTES

    def _change(self, step: Callable[[], None]) -> None:
        """Change the journal, with the state marked as one to be read again; unmarked where nothing was changed."""
        before = self._seen
        self._sick, self._seen = True, -1
        try:
            step()
        except OSError:
            self._sick, self._seen = False, before
            raise
