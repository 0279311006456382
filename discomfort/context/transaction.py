"""Transactions: what is saved inside one becomes visible together, or not at all (C5).

Transactions of one run exclude each other, in all threads and processes, so that reading and writing inside one cannot
lose an update. Saves outside of transactions do not wait for them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextvars import ContextVar, Token
from types import TracebackType

from discomfort.context.errors import ContextError
from discomfort.context.store.changes import (
    Change,
    CloseHolder,
    DropName,
    Forget,
    Hold,
    Remember,
    SetName,
    SetSmall,
)
from discomfort.context.store.entries import Memo, Name
from discomfort.context.store.protocol import Contents, Store

ACTIVE: ContextVar[Transaction | None] = ContextVar("discomfort_transaction", default=None)


class Transaction:
    """Saves that wait for their commit.

    Attributes:
        names: what was saved inside (None: removed), which loads inside see.
        taken: digests each name takes over from `put_value`.
        holder: keeps the values that are stored already until the commit gives them names.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.names: dict[str, Name | None] = {}
        self.memos: dict[str, Memo | None] = {}
        self.taken: dict[str, tuple[str, ...]] = {}
        self.holder: str = store.new_holder()
        self._token: Token[Transaction | None] | None = None
        self.parent: Transaction | None = None

    def __enter__(self) -> Transaction:
        """Begin, or join the transaction of the same context that is open already.

        Raises:
            ContextError: another task of this very thread has one open, and waiting for it would never end.
        """
        outer = current(self.store)
        if outer is not None:
            return outer
        gate = self.store.gate
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
            with self.store.writing() as contents:
                try:
                    self.store.commit(self.changes(contents) if kind is None else [])
                finally:  # it was released with the records, or else is now
                    self.store.commit(self.releases(contents))
        finally:
            self.store.gate.release()

    def hold(self, digests: Iterable[str]) -> None:
        """Keep values that are here until the commit."""
        self.store.commit([Hold(self.holder, digest) for digest in digests])

    def changes(self, contents: Contents) -> list[Change]:
        """What the commit publishes."""
        changes: list[Change] = []
        for unique_id, name in self.names.items():
            if name is None:
                changes.append(DropName(unique_id))
            elif name.payload is not None:
                changes.append(SetSmall(unique_id, name.payload))
            elif name.digest is not None:
                taken = self.taken.get(unique_id, ())
                changes.append(SetName(unique_id, name.pass_by, name.digest, name.refs, taken))
        for key, memo in self.memos.items():
            if memo is None:
                changes.append(Forget(key))
            elif all(digest in contents.blobs for digest in memo.refs):  # else forgotten by others in the meantime
                changes.append(Remember(key, memo))
        return changes + self.releases(contents)

    def releases(self, contents: Contents) -> list[Change]:
        """The changes that release the values held."""
        return [CloseHolder(self.holder)] if contents.is_open(self.holder) else []


def current(store: Store) -> Transaction | None:
    """The open transaction of a store in this task or thread."""
    transaction = ACTIVE.get()
    while transaction is not None and transaction.store is not store:
        transaction = transaction.parent
    return transaction
