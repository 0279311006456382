"""Transactions: what is saved inside one becomes visible together, or not at all (C5).

Transactions of one run exclude each other, in all threads and processes, so that reading and writing inside one cannot
lose an update. Saves outside of transactions do not wait for them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from discomfort.context.errors import ContextError
from discomfort.context.home.os_support import ProcessLock
from discomfort.context.index.journal import Record
from discomfort.context.index.records import (
    Memo,
    Name,
    hold_record,
    holder_gone_record,
    memo_gone_record,
    memo_record,
    name_gone_record,
    name_record,
    value_record,
)

if TYPE_CHECKING:
    from discomfort.context.index.index import Index
    from discomfort.context.index.members import Member
    from discomfort.context.index.state import State


class Gate:
    """Lets one transaction of a run through at a time.

    Attributes:
        holder: the thread of this process that is inside, if any.
    """

    def __init__(self, path: Path) -> None:
        self._lock = ProcessLock(path)
        self.holder: int | None = None

    def acquire(self) -> None:
        """Wait for our turn."""
        self._lock.acquire()
        self.holder = threading.get_ident()

    def release(self) -> None:
        """Let the next one in."""
        self.holder = None
        self._lock.release()

    def close(self) -> None:
        """Release the file."""
        self._lock.close()


class Transactional(Protocol):
    """What a transaction needs of its context; requested again each time, since a forked process replaces the parts."""

    _gate: Gate
    _index: Index
    _member: Member

    def _new_holder(self) -> str: ...

    def _commit(self, records: Iterable[Record]) -> None: ...


ACTIVE: ContextVar[Transaction | None] = ContextVar("discomfort_transaction", default=None)


class Transaction:
    """Saves that wait for their commit.

    Attributes:
        names: what was saved inside (None: removed), which loads inside see.
        taken: digests each name takes over from `put_value`.
        holder: keeps the values that are stored already until the commit gives them names.
    """

    def __init__(self, context: Transactional) -> None:
        self.context = context
        self.names: dict[str, Name | None] = {}
        self.memos: dict[str, Memo | None] = {}
        self.taken: dict[str, tuple[str, ...]] = {}
        self.holder: str = context._new_holder()
        self._token: Token[Transaction | None] | None = None
        self.parent: Transaction | None = None

    def __enter__(self) -> Transaction:
        """Begin, or join the transaction of the same context that is open already.

        Raises:
            ContextError: another task of this very thread has one open, and waiting for it would never end.
        """
        outer = current(self.context)
        if outer is not None:
            return outer
        gate = self.context._gate
        if gate.holder == threading.get_ident():
            raise ContextError(
                "another task of this thread has a transaction of this context open; do not await inside a transaction"
            )
        gate.acquire()
        self.parent = ACTIVE.get()
        self._token = ACTIVE.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is None:
            return
        ACTIVE.reset(self._token)
        try:
            with self.context._index.writing() as state:
                try:
                    self.context._commit(self.records(state) if kind is None else [])
                finally:  # it was released with the records, or else is now
                    self.context._commit(self.releases(state))
        finally:
            self.context._gate.release()

    def hold(self, digests: Iterable[str]) -> None:
        """Keep values that are here until the commit."""
        self.context._commit([hold_record(digest, 1, self.holder) for digest in digests])

    def records(self, state: State) -> list[Record]:
        """What the commit publishes."""
        records: list[Record] = []
        owner = self.context._member.name
        for unique_id, name in self.names.items():
            if name is None:
                records.append(name_gone_record(unique_id))
            elif name.payload is not None:
                records.append(value_record(unique_id, name.payload))
            elif name.digest is not None:
                taken = self.taken.get(unique_id, ())
                records.append(name_record(unique_id, name.pass_by, name.digest, name.refs, taken, owner))
        for key, memo in self.memos.items():
            if memo is None:
                records.append(memo_gone_record(key))
            elif all(digest in state.blobs for digest in memo.refs):  # else forgotten by others before it was published
                records.append(memo_record(key, memo))
        return records + self.releases(state)

    def releases(self, state: State) -> list[Record]:
        """Releases the values held."""
        return [holder_gone_record(self.holder)] if self.holder in state.holders.holds else []


def current(context: Transactional) -> Transaction | None:
    """The open transaction of a context in this task or thread."""
    transaction = ACTIVE.get()
    while transaction is not None and transaction.context is not context:
        transaction = transaction.parent
    return transaction
