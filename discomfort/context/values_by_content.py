"""Values by content, and the memo that refers to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discomfort.context import summary
from discomfort.context.errors import UnknownKeyError, UnreadableValueError
from discomfort.context.home.os_support import is_full
from discomfort.context.index.journal import Record
from discomfort.context.index.records import (
    MISSING,
    Name,
    hold_record,
    holder_gone_record,
    memo_gone_record,
    memo_record,
    memo_used_record,
    name_record,
    put_record,
)
from discomfort.context.named_values import NamedValues
from discomfort.context.refs.recipes import memo_of
from discomfort.context.summary import Description
from discomfort.context.transaction import Transaction, current
from discomfort.context.values.decode import SERVER
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import inline_encoded
from discomfort.context.values.opaque import ServerValue, opaque_value, server_value


class ContentValues(NamedValues):
    """Digests, values without a name, remembered records, transactions."""

    def digest(self, unique_id: str) -> str:
        """The content digest of a value: equal content, equal digest; 1, 1.0, True and "1" all differ.

        `get_value` finds the value by it, in every process, for as long as something refers to it.
        """
        return self._as_blob(unique_id)[0]

    def _as_blob(self, unique_id: str) -> tuple[str, Name]:
        """A name's digest; a small value that lies with its name becomes a blob first, to be found by its digest."""
        name = self._name(unique_id)
        if name.digest is not None:
            return name.digest, name
        assert name.payload is not None
        encoded = inline_encoded(name.payload)
        if current(self) is not None:
            self._name_blob(unique_id, encoded, True, "val", ())
        else:
            holder = self._new_holder()
            digest = self._store.put(encoded, True, lambda digest: [hold_record(digest, 1, holder)])
            with self._index.writing() as state:
                records = [holder_gone_record(holder)]
                if state.names.get(unique_id) is name:
                    records.insert(0, name_record(unique_id, "val", digest, (digest,)))
                self._store.free(self._index.commit(records))
                if len(records) > 1:
                    state.names[unique_id].value = name.value
        return self._as_blob(unique_id)

    def put_value(self, value: Any, *, use_ram: bool = True, letterbox: str | None = None) -> str:
        """Store a value without a name and return its digest.

        It stays until `save_digest` or a recipe takes it over, and then for as long as anything refers to it;
        `release_value` gives up one that nothing took over, and so does the death of this process. In a `letterbox`
        it stays for as long as whoever requested it wants (see `Holds.letterbox`).

        Raises:
            UnknownKeyError: no run waits for what comes into this letterbox (any more).
        """
        return self._store.put(encode(value), use_ram, lambda digest: self._put_records(digest, letterbox))

    def hold_value(self, digest: str, *, letterbox: str | None = None) -> bool:
        """Keep a value that is here as `put_value` would; False where it is not here (any more)."""
        with self._index.writing() as state:
            if digest not in state.blobs:
                return False
            self._index.commit(self._put_records(digest, letterbox))
            return True

    def _put_records(self, digest: str, letterbox: str | None) -> list[Record]:
        if letterbox is None:
            return [put_record(digest, 1, self._member.name)]
        if letterbox not in self._index.read().holders.holds:
            raise UnknownKeyError("the run that requested this value has ended")
        return [hold_record(digest, 1, letterbox)]

    def release_value(self, digest: str) -> None:
        """Undo one `put_value` or `hold_value` that nothing has taken over; harmless where something has."""
        with self._index.writing() as state:
            if digest in state.holders.put:
                self._store.free(self._index.commit([put_record(digest, -1, self._member.name)]))

    def save_digest(self, unique_id: str, digest: str) -> None:
        """Give a name to a value that is here already.

        Raises:
            UnknownKeyError: there is no value with this digest.
        """
        transaction = current(self)
        with self._index.writing() as state:
            if digest not in state.blobs:
                raise UnknownKeyError(f"{unique_id!r}: no value with digest {digest} in this context")
            if transaction is None:
                record = name_record(unique_id, "val", digest, (digest,), (digest,), self._member.name)
                self._store.free(self._index.commit([record]))
                return
            self._index.commit([hold_record(digest, 1, transaction.holder)])
        transaction.names[unique_id] = Name(None, MISSING, "val", digest, (digest,))
        transaction.taken[unique_id] = (digest,)

    def get_value(self, digest: str) -> Any:
        """The value of a digest.

        Raises:
            UnknownKeyError: there is none, or nothing refers to it any more.
            UnreadableValueError: this Python cannot rebuild it.
        """
        return self._store.get(digest)

    def value_or_opaque(self, digest: str, place: str = "") -> Any:
        """The value of a digest, or an `OpaqueValue` where this Python cannot rebuild it; `place` is for its errors."""
        try:
            return self._store.get(digest)
        except UnreadableValueError as error:
            return opaque_value(error, place)

    def server_value(self, digest: str) -> ServerValue | None:
        """Where the value of a digest lies instead, None where it is here or not known at all."""
        if not self.has_value(digest) or self.kind_of(digest) != SERVER:
            return None
        return server_value(self.value_or_opaque(digest))

    def kind_of(self, digest: str) -> str:
        """What a value is made of, as `Description.kind`, or "server" for one that lies on a server; not decoded.

        Raises:
            UnknownKeyError: there is none.
        """
        blob = self._index.read().blobs.get(digest)
        if blob is None:
            raise UnknownKeyError(f"no value with digest {digest} in this context")
        return blob.info[0]

    def has_value(self, digest: str) -> bool:
        """Is there a value of this digest?"""
        return digest in self._index.read().blobs

    def describe(self, unique_id: str) -> Description:
        """What is stored under a name: digest, kind, type, shape, size, tier, pass-by."""
        _, name = self._as_blob(unique_id)
        return summary.describe(self._index.read(), name)

    def memo_put(self, key: str, record: Mapping[str, Any]) -> None:
        """Remember a JSON-able record under a key. Values whose digests occur in it stay while it does.

        What is remembered can be worked out again: where memos keep more than `max_memo_gb`, or neither RAM nor disk
        has room for a new value, those used least recently are forgotten. What a name refers to, or what is held or
        put, stays through that.

        Raises:
            UnknownKeyError: it refers to a value that is not here.
            EncodingError: it is not JSON-able.
        """
        memo = memo_of(record)
        transaction = current(self)
        with self._index.writing() as state:
            missing = [digest for digest in memo.refs if digest not in state.blobs]
            if missing:
                raise UnknownKeyError(
                    f"memo {key!r} refers to values that are not in this context: {', '.join(missing)}"
                )
            if transaction is not None:
                transaction.memos[key] = memo
            else:
                self._store.free(self._index.commit([memo_record(key, memo)]))

    def memo_get(self, key: str) -> dict[str, Any] | None:
        """The record of a key (a fresh copy), or None. The memo counts as used."""
        transaction = current(self)
        if transaction is not None and key in transaction.memos:
            memo = transaction.memos[key]
        else:
            memo = self._index.read().memos.get(key)
            if memo is not None:
                self._use_memo(key)
        return None if memo is None else memo.fields()

    def _use_memo(self, key: str) -> None:
        try:
            with self._index.writing() as state:
                if key in state.memos and next(reversed(state.memos)) != key:
                    self._index.commit([memo_used_record(key)])
        except OSError as error:
            if not is_full(error):  # else there is no room to note the use, and the memo is forgotten the earlier
                raise

    def memo_delete(self, key: str) -> None:
        """Forget a key; nothing happens if it is not known."""
        transaction = current(self)
        if transaction is not None:
            transaction.memos[key] = None
        elif key in self._index.read().memos:
            self._commit([memo_gone_record(key)])

    def memo_keys(self) -> list[str]:
        """Every key remembered, the least recently used first."""
        return list(self._index.read().memos)

    def transaction(self) -> Transaction:
        """A ``with`` block whose saves, deletions and memos become visible together at its end, or not at all.

        Transactions of a run exclude each other across threads and processes: what one reads, none other changes.
        """
        return Transaction(self)
