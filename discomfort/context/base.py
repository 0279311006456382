"""An open context: the parts it is made of, how names are looked up in it, and how it is closed."""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from discomfort.context.errors import ContextClosedError, UnknownKeyError
from discomfort.context.home import ownership
from discomfort.context.index.holders import holder_name
from discomfort.context.index.index import Index
from discomfort.context.index.journal import Record
from discomfort.context.index.members import Member
from discomfort.context.index.records import Name
from discomfort.context.refs.live_refs import Origins
from discomfort.context.refs.recipes import Recipe
from discomfort.context.tiers.ram_segments import Segments
from discomfort.context.tiers.store import Store
from discomfort.context.transaction import Gate, current
from discomfort.near_names import did_you_mean

Resolver = Callable[[str, Recipe], Any]


class OpenContext:
    """What every part of a context needs: its run, index, store and transactions."""

    def _open(self, run: ownership.Run, owner: int | None, create: bool) -> None:
        self._run = run
        self._owner = owner
        disk, ram = Path(run.disk), Path(run.ram)
        self._index = Index(ram, disk, run.memo_capacity, create)
        self._segments = Segments(ram, run.capacity, self._index)
        self._member = Member(disk / "members", self._index)
        self._store = Store(self._index, self._segments, disk, self._member)
        self._holder_numbers = itertools.count(1)
        self._gate = Gate(disk / "transaction.lock")
        self._inline_limit = run.capacity // 4
        self._origins = Origins()
        self._resolver: Resolver | None = None
        self._finalizer = weakref.finalize(
            self, _close, self._index, self._store, self._segments, self._gate, self._member, run, owner, os.getpid()
        )
        if not create:
            self._store.sweep()
        _CONTEXTS.add(self)

    def list_keys(self) -> list[str]:
        """All names, in the order in which they were first saved."""
        names: dict[str, Name | None] = dict(self._index.read().names)
        transaction = current(self)
        if transaction is not None:
            names.update(transaction.names)
        return [unique_id for unique_id, name in names.items() if name is not None]

    def _new_holder(self) -> str:
        """The name of something that holds values; it ends with this process at the latest."""
        return holder_name(self._member.name, next(self._holder_numbers))

    def _commit(self, records: Iterable[Record]) -> None:
        with self._index.writing():
            self._store.free(self._index.commit(records))

    def _find(self, unique_id: str) -> Name | None:
        transaction = current(self)
        if transaction is not None and unique_id in transaction.names:
            return transaction.names[unique_id]
        return self._index.read().names.get(unique_id)

    def _name(self, unique_id: str) -> Name:
        name = self._find(unique_id)
        if name is None:
            raise self._unknown(unique_id)
        return name

    def _unknown(self, unique_id: object) -> UnknownKeyError:
        keys = self.list_keys()
        shown = repr(unique_id)[:200]
        question = did_you_mean(unique_id, keys) if isinstance(unique_id, str) else None
        if question is not None:
            return UnknownKeyError(f"no value named {shown}; {question}")
        holds = f"{len(keys)} other value{'s' if len(keys) != 1 else ''}" if keys else "nothing yet"
        return UnknownKeyError(f"no value named {shown}; the context holds {holds}")

    def _after_fork(self) -> None:
        """In a child process: what the parent owns is not ours, and its locks are not ours to share."""
        was_open = self._finalizer.detach() is not None
        self._member.forget()
        if was_open and self._owner is not None:  # once shut down, its number may be that of another file by now
            os.close(self._owner)
        if not self._index.closed:
            self._open(self._run, None, create=False)


_CONTEXTS: weakref.WeakSet[OpenContext] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for context in list(_CONTEXTS):
        context._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _close(
    index: Index,
    store: Store,
    segments: Segments,
    gate: Gate,
    member: Member,
    run: ownership.Run,
    owner: int | None,
    pid: int,
) -> None:
    """Shut a context down; also called when one is collected, and at exit."""
    if owner is not None and pid == os.getpid():
        index.publish_closed()
    else:
        # Not for long: this may be the collector, in the middle of what another context of this thread commits.
        leave(index, store, member, wait=False)
    index.close(f"context {run.run_id!r} was shut down")
    segments.close()
    gate.close()
    member.leave()
    if owner is not None and pid == os.getpid():
        ownership.remove_run(Path(run.disk), Path(run.ram))
        os.close(owner)


def leave(index: Index, store: Store, member: Member, wait: bool) -> None:
    """Hold nothing any more; what was put for another process to name stays."""
    # The run may be over, or the disk too full to say it: then the others find out by the file that `member` locks.
    with suppress(ContextClosedError, OSError), index.writing(wait) as state:
        store.free(index.commit(state.holders.left_by(member.name)))
