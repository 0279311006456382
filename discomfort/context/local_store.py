"""The store of a run on this machine: RAM shared between processes, then disk, and an index of what lies where."""

from __future__ import annotations

import itertools
import os
import secrets
import time
import weakref
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from discomfort.context.errors import ContextClosedError
from discomfort.context.home import ownership
from discomfort.context.home.os_support import ProcessLock, available_ram, free_bytes, is_full
from discomfort.context.index.holders import holder_name
from discomfort.context.index.index import Index
from discomfort.context.index.members import Member
from discomfort.context.index.records import memo_used_record, record_of
from discomfort.context.index.state import State
from discomfort.context.store.changes import Change
from discomfort.context.store.entries import INLINE_BYTES, Usage
from discomfort.context.store.gate import Gate
from discomfort.context.store.protocol import ChangesOf
from discomfort.context.tiers.blobs import Blobs
from discomfort.context.tiers.ram_segments import Segments
from discomfort.context.values.encoded import Encoded
from discomfort.settings.context import load_config


class LocalStore:
    """A `store.protocol.Store`, which describes each method; the docstrings here add what is particular to this store.

    Attributes:
        run: the folders and budgets of the run.
        index: what lies where, as this process sees it.
        segments: the RAM tier.
        blobs: the values in both tiers.
    """

    def __init__(self, run: ownership.Run, owner: int | None, create: bool) -> None:
        """Open a run.

        Args:
            run: its folders and budgets.
            owner: the descriptor of the lock that makes us its owner; None where another process is that.
            create: whether it is new.
        """
        self.run: ownership.Run = run
        self.index: Index = Index(Path(run.ram), Path(run.disk), run.memo_capacity, create)
        self._open(owner, create)
        _OPENED.add(self)

    def _open(self, owner: int | None, create: bool) -> None:
        disk, ram = Path(self.run.disk), Path(self.run.ram)
        self._owner = owner
        self.segments: Segments = Segments(ram, self.run.capacity, self.index)
        self._member = Member(disk / "members", self.index)
        self.blobs: Blobs = Blobs(self.index, self.segments, disk, self._member)
        self._holder_numbers = itertools.count(1)
        self._transaction_lock = ProcessLock(disk / "transaction.lock")
        self.gate: Gate = Gate(self._transaction_lock)
        self._inline_limit = self.run.capacity // 4
        parts = (self.index, self.blobs, self.segments, self._transaction_lock, self._member)
        self._finalizer = weakref.finalize(self, _close, *parts, self.run, owner, os.getpid())
        if not create:
            self.blobs.sweep()

    @property
    def run_id(self) -> str:
        """The name of the run."""
        return self.run.run_id

    @property
    def owner(self) -> int | None:
        """The descriptor of the lock that makes us the owner of the run; None where another process is that."""
        return self._owner

    @property
    def closed(self) -> bool:
        """Whether the run was shut down, here or by its owner."""
        return self.index.closed

    def read(self) -> State:
        """Return the state now."""
        return self.index.read()

    def writing(self) -> AbstractContextManager[State]:
        """Hold the index."""
        return self.index.writing()

    def commit(self, changes: Iterable[Change]) -> None:
        """Publish changes together."""
        owner = self._member.name
        with self.index.writing():
            self.blobs.free(self.index.commit([record_of(change, owner) for change in changes]))

    def takes_small(self, nbytes: int) -> bool:
        """Small values lie in the index. That is RAM too: a quarter of the budget at most."""
        return self.blobs.fits_index(self.index.read(), nbytes)

    def save_small(self, unique_id: str, payload: bytes, value: Any) -> bool:
        """Publish one small value."""
        size = len(payload)
        if size > INLINE_BYTES or self.index.read().inline_bytes + size > self._inline_limit:
            return False
        dropped = self.index.commit_value(unique_id, payload, value)
        if dropped:
            self.blobs.free(dropped)
        return True

    def put(self, encoded: Encoded, use_ram: bool, changes: ChangesOf) -> str:
        """Store a value in RAM while there is room, or after others moved to disk; else on disk."""
        owner = self._member.name
        return self.blobs.put(encoded, use_ram, lambda digest: [record_of(change, owner) for change in changes(digest)])

    def get(self, digest: str) -> Any:
        """Return a value whose tensors are private copy-on-write mappings."""
        return self.blobs.get(digest)

    def verify(self, digest: str) -> bool:
        """Recompute a digest from the bytes in the file."""
        return self.blobs.reader.verify(digest)

    def location(self, digest: str | None) -> str:
        """Return the path of the file in which a value lies."""
        blob = None if digest is None else self.index.read().blobs.get(digest)
        in_index = blob is None or blob.place == "index"
        return str(self.blobs.reader.index_path if blob is None or in_index else self.blobs.reader.path(blob))

    def use_memo(self, key: str) -> None:
        """Move a record to the end of those to be forgotten, unless it is there."""
        try:
            with self.index.writing() as state:
                if key in state.memos and next(reversed(state.memos)) != key:
                    self.index.commit([memo_used_record(key)])
        except OSError as error:
            if not is_full(error):  # on a full disk the use is not recorded, so the memo may be forgotten earlier
                raise

    def new_holder(self) -> str:
        """Return a name that says which process holds."""
        return holder_name(self._member.name, next(self._holder_numbers))

    def usage(self) -> Usage:
        """Return the bytes in each tier."""
        state = self.index.read()
        unfinished = self.blobs.unfinished_bytes()
        return Usage(
            ram=state.inline_bytes + sum(state.segments.get(number, 0) for number in list(state.users)),
            ram_capacity=self.run.capacity,
            disk=state.disk_bytes + unfinished,
            unfinished=unfinished,
            memo=state.references.memo_bytes,
            memo_capacity=self.run.memo_capacity,
            held=len(state.holders.digests()),
        )

    def handle(self) -> dict[str, Any]:
        """Return a ticket for another process of this user on this machine: `attach_run`."""
        return self.run.to_json()

    def shutdown(self) -> None:
        """Free all RAM and disk where we own the run, else our part of it."""
        if self._finalizer.alive:
            if self._owner is None:
                _leave(self.index, self.blobs, self._member, wait=True)
            self._finalizer()

    def after_fork(self) -> None:
        """In a child process: what the parent owns is not ours, and its locks are not ours to share."""
        was_open = self._finalizer.detach() is not None
        self._member.forget()
        if was_open and self._owner is not None:  # once shut down, its number may be that of another file by now
            os.close(self._owner)
        if not self.index.closed:
            self.index.reopen()
            self._open(None, create=False)


_OPENED: weakref.WeakSet[LocalStore] = weakref.WeakSet()


def open_run(
    config_path: str | os.PathLike[str] | None,
    max_ram_gb: float | None,
    run_id: str | None,
    create: bool,
    max_memo_gb: float | None,
) -> LocalStore:
    """Make a run, or attach to an existing one; what dead owners left is removed. See `WorkflowContext`."""
    config = load_config(config_path)
    roots = ownership.Roots(config)
    if not create and run_id is None:
        raise ValueError("create=False attaches to an existing run: say which by run_id")
    with roots.locked():
        if create:
            roots.reclaim()
            budget = config.ram_budget(0 if max_ram_gb is not None else available_ram(), max_ram_gb)
            memo_budget = config.memo_budget(free_bytes(roots.disk), max_memo_gb)
            run, owner = roots.create(_new_run_id() if run_id is None else run_id, budget, memo_budget)
            return LocalStore(run, owner, create=True)
        assert run_id is not None
        roots.reclaim(keep=run_id)
        run = roots.find(run_id)
        return LocalStore(run, ownership.adopt(run), create=False)


def attach_run(handle: dict[str, Any]) -> LocalStore:
    """Open the run of a handle, which another process keeps.

    Raises:
        ContextClosedError: it is over.
    """
    return LocalStore(ownership.run_of_handle(handle), None, create=False)


def _new_run_id() -> str:
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(4)


def _after_fork_in_child() -> None:
    for store in list(_OPENED):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _close(
    index: Index,
    blobs: Blobs,
    segments: Segments,
    transaction_lock: ProcessLock,
    member: Member,
    run: ownership.Run,
    owner: int | None,
    pid: int,
) -> None:
    """Shut a store down; also called when one is collected, and at exit."""
    if owner is not None and pid == os.getpid():
        index.publish_closed()
    else:
        # Not for long: this may be the collector, in the middle of what another context of this thread commits.
        _leave(index, blobs, member, wait=False)
    index.close(f"context {run.run_id!r} was shut down")
    segments.close()
    transaction_lock.close()
    member.leave()
    if owner is not None and pid == os.getpid():
        ownership.remove_run(Path(run.disk), Path(run.ram))
        os.close(owner)


def _leave(index: Index, blobs: Blobs, member: Member, wait: bool) -> None:
    """Hold nothing any more; what was put for another process to name stays."""
    # The run may be over, or the disk too full to say it: then the others find out by the file that `member` locks.
    with suppress(ContextClosedError, OSError), index.writing(wait) as state:
        blobs.free(index.commit(state.holders.left_by(member.name)))
