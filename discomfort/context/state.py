"""What is stored where: the state that the journal's records add up to, the same in every process."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from discomfort.context.journal import Record

Info = tuple[str, "str | None", "tuple[int, ...] | None"]

MISSING: Final = object()
_U32 = struct.Struct("<I")

VALUE, NAME, NAME_GONE, BLOB, SEGMENT, SEGMENT_GONE, MEMO, MEMO_GONE, HOLD, PUT = range(1, 11)


class Name:
    """What a unique_id stands for: a small value kept right here, or a blob by its digest.

    Attributes:
        payload: the bytes of a small value; None where `digest` says which blob it is.
        value: the decoded value where that is immutable and known, else `MISSING`.
        refs: digests of the blobs this name keeps alive, its own among them.
    """

    __slots__ = ("digest", "pass_by", "payload", "refs", "value")

    def __init__(
        self, payload: bytes | None, value: Any, pass_by: str, digest: str | None, refs: tuple[str, ...]
    ) -> None:
        self.payload = payload
        self.value = value
        self.pass_by = pass_by
        self.digest = digest
        self.refs = refs


@dataclass(frozen=True, slots=True)
class Blob:
    """A value by content.

    Attributes:
        text: type and shape, for people.
        info: kind, dtype and shape, for programs.
        place: "ram" (in a segment), "disk" (in a file) or "index" (small enough to lie in the index itself).
        where: number of the segment, or name of the file.
        signature: size, modification time and inode of the file when it was written: a change of these calls for
            verification.
        promote: may it move to RAM when it is used?
    """

    digest: str
    place: str
    where: int | str
    size: int
    text: str
    info: Info
    signature: tuple[int, ...]
    promote: bool
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Memo:
    """A remembered record and the digests it refers to."""

    record: str
    refs: tuple[str, ...]

    def fields(self) -> dict[str, Any]:
        """A fresh copy of the record."""
        fields: dict[str, Any] = json.loads(self.record)
        return fields


class State:
    """Everything the index knows. `apply` is the only way it changes.

    Attributes:
        holds: digest → how many open transactions hold it.
        put: digest → how many `put_value` nobody has taken over yet.
        users: segment → digest of the blob in it.
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
        self.dropped: list[Blob] = []
        self.next_segment = 0
        self.segment_bytes = 0
        self.inline_bytes = 0
        self.disk_bytes = 0
        self._counts: dict[str, int] = {}

    def apply(self, op: int, body: bytes) -> None:
        """Take in one record of the journal."""
        if op == VALUE:
            (length,) = _U32.unpack_from(body)
            name = body[4 : 4 + length].decode("utf-8", "surrogatepass")
            self.set_value(name, body[4 + length :], MISSING)
        elif op == NAME_GONE:
            self._set_name(body.decode("utf-8", "surrogatepass"), None)
        else:
            self._apply_fields(op, json.loads(body))

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
        if op == NAME:
            self._set_name(fields["u"], Name(None, MISSING, fields["p"], fields["d"], tuple(fields["r"])))
            self._take_over(fields["s"])
        elif op == BLOB:
            self._set_blob(_blob(fields))
        elif op == SEGMENT:
            self.segments[fields["i"]] = fields["n"]
            self.segment_bytes += fields["n"]
            self.next_segment = max(self.next_segment, fields["i"] + 1)
        elif op == SEGMENT_GONE:
            self.segment_bytes -= self.segments.pop(fields["i"], 0)
        elif op == MEMO:
            self._set_memo(fields["k"], Memo(fields["v"], tuple(fields["r"])))
            self._take_over(fields["r"])
        elif op == MEMO_GONE:
            self._set_memo(fields["k"], None)
        elif op == HOLD:
            self._hold(self.holds, fields["d"], fields["c"])
        elif op == PUT:
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
        """A name or memo now refers to what was put for it."""
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
        elif blob.place == "disk":
            self.disk_bytes += blob.size
        else:
            self.inline_bytes += blob.size

    def _forget_place(self, blob: Blob | None) -> None:
        if blob is None:
            return
        if blob.place == "ram":
            assert isinstance(blob.where, int)
            self.users.pop(blob.where, None)
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

    def snapshot(self) -> Iterator[Record]:
        """The records that add up to this state, for a new generation of the journal."""
        for number, size in self.segments.items():
            yield segment_record(number, size)
        yield segment_record(self.next_segment, 0)  # numbers are never used twice
        yield segment_gone_record(self.next_segment)
        for blob in self.blobs.values():
            yield blob_record(blob)
        for digest, count in self.holds.items():
            yield hold_record(digest, count)
        for key, memo in self.memos.items():
            yield memo_record(key, memo)
        for unique_id, name in self.names.items():
            if name.payload is not None:
                yield value_record(unique_id, name.payload)
            elif name.digest is not None:
                yield name_record(unique_id, name.pass_by, name.digest, name.refs)
        for digest, count in self.put.items():  # last: names and memos take over what they find
            yield put_record(digest, count)


def value_record(unique_id: str, payload: bytes) -> Record:
    """A name gets a small value."""
    name = unique_id.encode("utf-8", "surrogatepass")
    return VALUE, _U32.pack(len(name)) + name + payload


def name_record(
    unique_id: str, pass_by: str, digest: str, refs: tuple[str, ...], taken: tuple[str, ...] = ()
) -> Record:
    """A name gets a blob; `refs` are the digests it keeps alive, its own among them, `taken` those put for it."""
    return NAME, _json({"u": unique_id, "p": pass_by, "d": digest, "r": refs, "s": taken})


def name_gone_record(unique_id: str) -> Record:
    """A name goes."""
    return NAME_GONE, unique_id.encode("utf-8", "surrogatepass")


def blob_record(blob: Blob) -> Record:
    """A blob comes, or moves."""
    payload = None if blob.payload is None else base64.b64encode(blob.payload).decode()
    fields = {"d": blob.digest, "p": blob.place, "w": blob.where, "n": blob.size, "t": blob.text}
    return BLOB, _json({**fields, "i": blob.info, "g": blob.signature, "m": blob.promote, "j": payload})


def segment_record(number: int, size: int) -> Record:
    """A segment of the RAM tier comes."""
    return SEGMENT, _json({"i": number, "n": size})


def segment_gone_record(number: int) -> Record:
    """A segment of the RAM tier goes."""
    return SEGMENT_GONE, _json({"i": number})


def memo_record(key: str, memo: Memo) -> Record:
    """A record is remembered."""
    return MEMO, _json({"k": key, "v": memo.record, "r": memo.refs})


def memo_gone_record(key: str) -> Record:
    """A remembered record goes."""
    return MEMO_GONE, _json({"k": key})


def hold_record(digest: str, change: int) -> Record:
    """Transactions hold a blob so many times more, or less."""
    return HOLD, _json({"d": digest, "c": change})


def put_record(digest: str, change: int) -> Record:
    """A blob was put so many times more, or less, without a name."""
    return PUT, _json({"d": digest, "c": change})


def moved(blob: Blob, place: str, where: int | str, signature: tuple[int, ...]) -> Blob:
    """The same blob in another place."""
    return replace(blob, place=place, where=where, signature=signature)


def _blob(fields: dict[str, Any]) -> Blob:
    payload = None if fields["j"] is None else base64.b64decode(fields["j"])
    kind, dtype, shape = fields["i"]
    info = (kind, dtype, None if shape is None else tuple(shape))
    where, signature = fields["w"], tuple(fields["g"])
    return Blob(fields["d"], fields["p"], where, fields["n"], fields["t"], info, signature, fields["m"], payload)


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()
