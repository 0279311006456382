"""What is stored where: the state that the journal's records add up to, the same in every process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from discomfort.context.index import records
from discomfort.context.index.holders import Holders
from discomfort.context.index.journal import Record
from discomfort.context.index.records import Blob
from discomfort.context.index.references import References
from discomfort.context.store.entries import MISSING, Memo, Name


class State:
    """Everything the index knows. `apply` is the only way it changes, and `settle` ends each commit.

    Attributes:
        memos: the least recently used first.
        holders: who keeps values that have no name.
        references: how often something refers to each value.
        users: segment → digest of the blob in it.
        free: segments without a blob.
        dropped: blobs to which nothing refers since the last look; whoever committed the change frees their space.
    """

    def __init__(self) -> None:
        self.names: dict[str, Name] = {}
        self.blobs: dict[str, Blob] = {}
        self.memos: dict[str, Memo] = {}
        self.references: References = References()
        self.holders: Holders = Holders(self.references)
        self.segments: dict[int, int] = {}
        self.users: dict[int, str] = {}
        self.free: set[int] = set()
        self.dropped: list[Blob] = []
        self.next_segment: int = 0
        self.segment_bytes: int = 0
        self.inline_bytes: int = 0
        self.disk_bytes: int = 0

    def apply(self, op: int, body: bytes) -> None:
        """Take in one record of a commit, in whatever order they come."""
        if op == records.VALUE:
            self.set_value(*records.split_value(body), MISSING)
        elif op == records.NAME_GONE:
            self._set_name(body.decode("utf-8", "surrogatepass"), None)
        else:
            self._apply_fields(op, json.loads(body.decode()))

    def settle(self) -> None:
        """End a commit: what nothing refers to any more goes. Until here its records were counted, in any order."""
        if self.holders.unsettled:
            self.holders.settle()
        if self.references.unsettled:
            for digest in self.references.settle(self.blobs):
                blob = self.blobs.pop(digest, None)
                if blob is not None:
                    self._forget_place(blob)
                    self.dropped.append(blob)

    def is_open(self, holder: str) -> bool:
        """Was a holder opened, or does it hold anything?"""
        return holder in self.holders.holds

    def is_put(self, digest: str) -> bool:
        """Is a value put for a name to take over?"""
        return digest in self.holders.put

    def set_value(self, unique_id: str, payload: bytes, value: Any) -> None:
        """What applying a `value_record` does, for the process that has the value at hand."""
        old = self.names.get(unique_id)
        self.names[unique_id] = Name(payload, value, "val", None, ())
        self.inline_bytes += len(payload)
        if old is not None:
            self._forget_name(old)

    def _apply_fields(self, op: int, fields: dict[str, Any]) -> None:
        if op == records.NAME:
            self._set_name(fields["u"], Name(None, MISSING, fields["p"], fields["d"], tuple(fields["r"])))
            self.holders.take(fields["o"], fields["s"])
        elif op == records.BLOB:
            self._set_blob(records.blob_of(fields))
        elif op == records.SEGMENT:
            self.segments[fields["i"]] = fields["n"]
            self.free.add(fields["i"])
            self.segment_bytes += fields["n"]
            self.next_segment = max(self.next_segment, fields["i"] + 1)
        elif op == records.SEGMENT_GONE:
            self.segment_bytes -= self.segments.pop(fields["i"], 0)
            self.free.discard(fields["i"])
        elif op in (records.MEMO, records.MEMO_GONE, records.MEMO_USED):
            self._apply_memo(op, fields)
        elif op == records.HOLD:
            self.holders.change_hold(fields["h"], fields["d"], fields["c"])
        elif op == records.PUT:
            self.holders.change_put(fields["o"], fields["d"], fields["c"])
        elif op == records.HOLDER:
            self.holders.open(fields["h"])
        elif op == records.HOLDER_GONE:
            self.holders.close(fields["h"])
        else:
            raise ValueError(f"the index holds a record of an unknown kind, {op}: written by a newer version?")

    def _set_name(self, unique_id: str, name: Name | None) -> None:
        old = self.names.get(unique_id)
        if name is not None:
            self.names[unique_id] = name
            self.references.retain(name.refs)
        elif old is not None:
            del self.names[unique_id]
        if old is not None:
            self._forget_name(old)

    def _forget_name(self, name: Name) -> None:
        if name.payload is not None:
            self.inline_bytes -= len(name.payload)
        if name.refs:
            self.references.release(name.refs)

    def _apply_memo(self, op: int, fields: dict[str, Any]) -> None:
        key = fields["k"]
        old = self.memos.pop(key, None)
        if op == records.MEMO_USED:
            if old is not None:
                self.memos[key] = old
            return
        if op == records.MEMO:
            memo = self.memos[key] = Memo(fields["v"], tuple(fields["r"]))
            self.references.add_memo(key, memo)
        if old is not None:
            self.references.remove_memo(key, old)

    def _set_blob(self, blob: Blob) -> None:
        self._forget_place(self.blobs.get(blob.digest))
        self.blobs[blob.digest] = blob
        self.references.touch(blob.digest)
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

    def memos_beyond(self, allowed: int) -> list[str]:
        """The memos to forget, least recently used first, so that at most `allowed` bytes are kept by memos alone."""
        return self.references.forgettable(self.memos, self.blobs, self.references.memo_bytes - allowed)

    def memos_for_room(self, nbytes: int) -> list[str]:
        """The memos to forget, least recently used first, to free `nbytes`; none where all are not enough."""
        return self.references.freeing(self.memos, self.blobs, nbytes)

    def snapshot(self) -> Iterator[Record]:
        """The records that add up to this state, for a new generation of the journal; one commit."""
        for number, size in self.segments.items():
            yield records.segment_record(number, size)
        yield records.segment_record(self.next_segment, 0)  # numbers are never used twice
        yield records.segment_gone_record(self.next_segment)
        for blob in self.blobs.values():
            yield records.blob_record(blob)
        yield from self.holders.snapshot_holds()
        for key, memo in self.memos.items():
            yield records.memo_record(key, memo)
        for unique_id, name in self.names.items():
            if name.payload is not None:
                yield records.value_record(unique_id, name.payload)
            elif name.digest is not None:
                yield records.name_record(unique_id, name.pass_by, name.digest, name.refs)
        yield from self.holders.snapshot_put()
