"""The memo: results remembered under keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discomfort.context.errors import UnknownKeyError
from discomfort.context.refs.recipes import memo_of
from discomfort.context.store.changes import Forget, Remember
from discomfort.context.store.protocol import Store
from discomfort.context.transaction import current


class Memos:
    """JSON-able records under keys; the values whose digests occur in one stay while it does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, key: str, record: Mapping[str, Any]) -> None:
        """Remember a record under a key.

        What is remembered can be worked out again: where memos keep more than `max_memo_gb`, or neither RAM nor disk
        has room for a new value, those used least recently are forgotten. What a name refers to, or what is held or
        put, stays through that.

        Raises:
            UnknownKeyError: it refers to a value that is not here.
            EncodingError: it is not JSON-able.
        """
        memo = memo_of(record)
        transaction = current(self._store)
        with self._store.writing() as contents:
            missing = [digest for digest in memo.refs if digest not in contents.blobs]
            if missing:
                raise UnknownKeyError(
                    f"memo {key!r} refers to values that are not in this context: {', '.join(missing)}"
                )
            if transaction is not None:
                transaction.memos[key] = memo
            else:
                self._store.commit([Remember(key, memo)])

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the record of a key (a fresh copy), or None. The memo counts as used."""
        transaction = current(self._store)
        if transaction is not None and key in transaction.memos:
            memo = transaction.memos[key]
        else:
            memo = self._store.read().memos.get(key)
            if memo is not None:
                self._store.use_memo(key)
        return None if memo is None else memo.fields()

    def delete(self, key: str) -> None:
        """Forget a key; nothing happens where there is none."""
        transaction = current(self._store)
        if transaction is not None:
            transaction.memos[key] = None
        elif key in self._store.read().memos:
            self._store.commit([Forget(key)])

    def list_keys(self) -> list[str]:
        """Return every key remembered, the least recently used first."""
        return list(self._store.read().memos)
