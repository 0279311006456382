"""What is stored where: the state that the journal's records add up to, the same in every process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from discomfort.context import records as rec
from discomfort.context.journal import Record
from discomfort.context.records import MISSING, Blob, Memo, Name


class State:
    """Everything the index knows. `apply` is the only way it changes.

    Attributes:
        holds: digest → how many open transactions hold it.
        put: digest → how many `put_value` nobody has taken over yet.
        users: segment → digest of the blob in it.
        free: segments without a blob.
        dropped: blobs to which nothing refers since the last look; whoever committed the change frees their space.
    """

    def __init__(self) -> None:
        self.names: dict[str, Name] = {}
        self.blobs: dict[str, Blob] = {}
        self.memos: dict[str, Memo] = {}
        self.holds: dict[str, int] = {}
        self.put: dict[str, int] = {}
        self.segments: dict[int, int] = {}
        self.users: dict[int, str] = {}
        self.free: set[int] = set()
        self.dropped: list[Blob] = []
        self.next_segment = 0
        self.segment_bytes = 0
        self.inline_bytes = 0
        self.disk_bytes = 0
        self._counts: dict[str, int] = {}

    def apply(self, op: int, body: bytes) -> None:
        """Take in one record of the journal."""
        if op == rec.VALUE:
            self.set_value(*rec.split_value(body), MISSING)
        elif op == rec.NAME_GONE:
            self._set_name(body.decode("utf-8", "surrogatepass"), None)
        else:
            self._apply_fields(op, json.loads(body.decode()))

    def set_value(self, unique_id: str, payload: bytes, value: Any) -> None:
        """What applying a `value_record` does, for the process that has the value at hand."""
        old = self.names.get(unique_id)
        if old is not None:
            if old.payload is not None:
                self.inline_bytes -= len(old.payload)
            self.names[unique_id] = Name(payload, value, "val", None, ())
            for digest in old.refs:
                self._release(digest)
        else:
            self.names[unique_id] = Name(payload, value, "val", None, ())
        self.inline_bytes += len(payload)

    def _apply_fields(self, op: int, fields: dict[str, Any]) -> None:
        if op == rec.NAME:
            self._set_name(fields["u"], Name(None, MISSING, fields["p"], fields["d"], tuple(fields["r"])))
            self._take_over(fields["s"])
        elif op == rec.BLOB:
            self._set_blob(rec.blob_of(fields))
        elif op == rec.SEGMENT:
            self.segments[fields["i"]] = fields["n"]
            self.free.add(fields["i"])
            self.segment_bytes += fields["n"]
            self.next_segment = max(self.next_segment, fields["i"] + 1)
        elif op == rec.SEGMENT_GONE:
            self.segment_bytes -= self.segments.pop(fields["i"], 0)
            self.free.discard(fields["i"])
        elif op == rec.MEMO:
            self._set_memo(fields["k"], Memo(fields["v"], tuple(fields["r"])))
        elif op == rec.MEMO_GONE:
            self._set_memo(fields["k"], None)
        elif op == rec.HOLD:
            self._hold(self.holds, fields["d"], fields["c"])
        elif op == rec.PUT:
            self._hold(self.put, fields["d"], fields["c"])
        else:
            raise ValueError(f"the index holds a record of an unknown kind, {op}: written by a newer version?")

    def _set_name(self, unique_id: str, name: Name | None) -> None:
        old = self.names.get(unique_id)
        if name is not None:
            self.names[unique_id] = name
            self._retain(name.refs)
        elif old is not None:
            del self.names[unique_id]
        if old is not None:
            if old.payload is not None:
                self.inline_bytes -= len(old.payload)
            for digest in old.refs:
                self._release(digest)

    def _set_memo(self, key: str, memo: Memo | None) -> None:
        old = self.memos.pop(key, None)
        if memo is not None:
            self.memos[key] = memo
            self._retain(memo.refs)
        if old is not None:
            for digest in old.refs:
                self._release(digest)

    def _take_over(self, digests: list[str]) -> None:
        """A name now refers to what was put for it."""
        for digest in digests:
            if digest in self.put:
                self._hold(self.put, digest, -1)

    def _hold(self, holds: dict[str, int], digest: str, change: int) -> None:
        count = holds.get(digest, 0) + change
        if count > 0:
            holds[digest] = count
        else:
            holds.pop(digest, None)
        if change > 0:
            self._retain((digest,) * change)
        else:
            for _ in range(-change):
                self._release(digest)

    def _set_blob(self, blob: Blob) -> None:
        self._forget_place(self.blobs.get(blob.digest))
        self.blobs[blob.digest] = blob
        if blob.place == "ram":
            assert isinstance(blob.where, int)
            self.users[blob.where] = blob.digest
            self.free.discard(blob.where)
        elif blob.place == "disk":
            self.disk_bytes += blob.size
        else:
            self.inline_bytes += blob.size

    def _forget_place(self, blob: Blob | None) -> None:
        if blob is None:
            return
        if blob.place == "ram":
            assert isinstance(blob.where, int)
            del self.users[blob.where]
            self.free.add(blob.where)
        elif blob.place == "disk":
            self.disk_bytes -= blob.size
        else:
            self.inline_bytes -= blob.size

    def _retain(self, digests: tuple[str, ...]) -> None:
        for digest in digests:
            self._counts[digest] = self._counts.get(digest, 0) + 1

    def _release(self, digest: str) -> None:
        count = self._counts.get(digest, 0) - 1
        if count > 0:
            self._counts[digest] = count
            return
        self._counts.pop(digest, None)
        blob = self.blobs.pop(digest, None)
        if blob is not None:
            self._forget_place(blob)
            self.dropped.append(blob)

    def kept_by_memos_alone(self, nbytes: int) -> list[str]:
        """The oldest memos whose values nothing else refers to, enough for `nbytes`; none where all are not enough."""
        keys: list[str] = []
        for key, memo in self.memos.items():
            if nbytes <= 0:
                break
            ours = [self.blobs[digest] for digest in memo.refs if self._counts.get(digest) == 1]
            if ours:
                keys.append(key)
                nbytes -= sum(blob.size for blob in ours)
        return keys if nbytes <= 0 else []

    def snapshot(self) -> Iterator[Record]:
        """The records that add up to this state, for a new generation of the journal."""
        for number, size in self.segments.items():
            yield rec.segment_record(number, size)
        yield rec.segment_record(self.next_segment, 0)  # numbers are never used twice
        yield rec.segment_gone_record(self.next_segment)
        for blob in self.blobs.values():
            yield rec.blob_record(blob)
        for digest, count in self.holds.items():
            yield rec.hold_record(digest, count)
        for key, memo in self.memos.items():
            yield rec.memo_record(key, memo)
        for unique_id, name in self.names.items():
            if name.payload is not None:
                yield rec.value_record(unique_id, name.payload)
            elif name.digest is not None:
                yield rec.name_record(unique_id, name.pass_by, name.digest, name.refs)
        for digest, count in self.put.items():  # last: names take over what they find
            yield rec.put_record(digest, count)
