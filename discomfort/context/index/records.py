"""The records of the journal, and what they are about."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass, replace
from typing import Any, Final

from discomfort.context.index.journal import Record

Info = tuple[str, "str | None", "tuple[int, ...] | None"]
MISSING: Final = object()

_U32 = struct.Struct("<I")
_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder each time

VALUE, NAME, NAME_GONE, BLOB, SEGMENT, SEGMENT_GONE, MEMO, MEMO_GONE, HOLD, PUT = range(1, 11)
MEMO_USED, HOLDER, HOLDER_GONE = range(11, 14)


class Name:
    """What a unique_id names: a small value kept right here, or a blob by its digest.

    Attributes:
        payload: the bytes of a small value; None where `digest` says which blob it is.
        value: the decoded value where that is immutable and known, else `MISSING`.
        refs: digests of the blobs this name keeps alive, its own among them.
    """

    __slots__ = ("digest", "pass_by", "payload", "refs", "value")

    def __init__(
        self, payload: bytes | None, value: Any, pass_by: str, digest: str | None, refs: tuple[str, ...]
    ) -> None:
        self.payload: bytes | None = payload
        self.value: Any = value
        self.pass_by: str = pass_by
        self.digest: str | None = digest
        self.refs: tuple[str, ...] = refs


@dataclass(frozen=True, slots=True)
class Blob:
    """A value by content.

    Attributes:
        text: type and shape, for people.
        info: kind, dtype and shape, for programs.
        place: "ram" (in a segment), "disk" (in a file) or "index" (small enough to lie in the index itself).
        where: number of the segment, or name of the file.
        signature: size, times of change and inode of the file when it was written: a change of these calls for
            verification.
        promote: may it move to RAM when it is used?
        use: differs for every use that is made of a place. A value that left a segment and came back to it has all else
            equal, times of the file included, but another value may have been there in between.
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
    use: int = 0


@dataclass(frozen=True, slots=True)
class Memo:
    """A remembered record and the digests it refers to."""

    record: str
    refs: tuple[str, ...]

    def fields(self) -> dict[str, Any]:
        """A fresh copy of the record."""
        fields: dict[str, Any] = json.loads(self.record)
        return fields


def value_record(unique_id: str, payload: bytes) -> Record:
    """A name gets a small value."""
    name = unique_id.encode("utf-8", "surrogatepass")
    return VALUE, _U32.pack(len(name)) + name + payload


def name_record(
    unique_id: str, pass_by: str, digest: str, refs: tuple[str, ...], taken: tuple[str, ...] = (), owner: str = ""
) -> Record:
    """A name gets a blob; `refs` are the digests it keeps alive, its own among them.

    `taken` are those put for it, by `owner` or else by anybody.
    """
    return NAME, _json({"u": unique_id, "p": pass_by, "d": digest, "r": refs, "s": taken, "o": owner})


def name_gone_record(unique_id: str) -> Record:
    """A name goes."""
    return NAME_GONE, unique_id.encode("utf-8", "surrogatepass")


def blob_record(blob: Blob) -> Record:
    """A blob comes, or moves."""
    payload = None if blob.payload is None else base64.b64encode(blob.payload).decode()
    fields = {"d": blob.digest, "p": blob.place, "w": blob.where, "n": blob.size, "t": blob.text}
    return BLOB, _json({**fields, "i": blob.info, "g": blob.signature, "m": blob.promote, "j": payload, "u": blob.use})


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


def memo_used_record(key: str) -> Record:
    """A remembered record is used, and so forgotten later than others."""
    return MEMO_USED, _json({"k": key})


def hold_record(digest: str, change: int, holder: str = "") -> Record:
    """A holder holds a blob so many times more, or less."""
    return HOLD, _json({"d": digest, "c": change, "h": holder})


def holder_record(holder: str) -> Record:
    """A holder may hold blobs from here on."""
    return HOLDER, _json({"h": holder})


def holder_gone_record(holder: str) -> Record:
    """A holder goes, and holds nothing any more."""
    return HOLDER_GONE, _json({"h": holder})


def put_record(digest: str, change: int, owner: str = "") -> Record:
    """A blob was put so many times more without a name, by `owner`; or less, by `owner` or else by anybody."""
    return PUT, _json({"d": digest, "c": change, "o": owner})


def moved(blob: Blob, place: str, where: int | str, signature: tuple[int, ...]) -> Blob:
    """The same blob in another place."""
    return replace(blob, place=place, where=where, signature=signature)


def used(blob: Blob, use: int) -> Blob:
    """The same blob, with the number of the use that it makes of its place."""
    return replace(blob, use=use)


def blob_of(fields: dict[str, Any]) -> Blob:
    """The blob of a `blob_record`."""
    payload = None if fields["j"] is None else base64.b64decode(fields["j"])
    kind, dtype, shape = fields["i"]
    info = (kind, dtype, None if shape is None else tuple(shape))
    where, signature = fields["w"], tuple(fields["g"])
    return Blob(
        fields["d"], fields["p"], where, fields["n"], fields["t"], info, signature, fields["m"], payload, fields["u"]
    )


def _json(fields: dict[str, Any]) -> bytes:
    return _encode(fields).encode()


def split_value(body: bytes) -> tuple[str, bytes]:
    """Name and payload of the body of a `value_record`."""
    (length,) = _U32.unpack_from(body)
    return body[4 : 4 + length].decode("utf-8", "surrogatepass"), body[4 + length :]
