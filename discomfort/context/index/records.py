"""The records of the journal, and what they are about."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from discomfort.context.index.journal import Record
from discomfort.context.store import changes
from discomfort.context.store.entries import Info, Memo

_U32 = struct.Struct("<I")
_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder each time

VALUE, NAME, NAME_GONE, BLOB, SEGMENT, SEGMENT_GONE, MEMO, MEMO_GONE, HOLD, PUT = range(1, 11)
MEMO_USED, HOLDER, HOLDER_GONE = range(11, 14)


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

    @property
    def tier(self) -> str:
        """Which tier it is in, "ram" or "disk"; what lies in the index is in RAM."""
        return "disk" if self.place == "disk" else "ram"


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


_RECORDS: dict[type, Callable[[Any, str], Record]] = {
    changes.SetSmall: lambda change, _: value_record(change.unique_id, change.payload),
    changes.SetName: lambda change, owner: name_record(
        change.unique_id, change.pass_by, change.digest, change.refs, change.taken, owner
    ),
    changes.DropName: lambda change, _: name_gone_record(change.unique_id),
    changes.Remember: lambda change, _: memo_record(change.key, change.memo),
    changes.Forget: lambda change, _: memo_gone_record(change.key),
    changes.OpenHolder: lambda change, _: holder_record(change.holder),
    changes.CloseHolder: lambda change, _: holder_gone_record(change.holder),
    changes.Hold: lambda change, _: hold_record(change.digest, change.count, change.holder),
    changes.Put: lambda change, owner: put_record(change.digest, change.count, owner),
}


def record_of(change: changes.Change, owner: str) -> Record:
    """The record of a change that a member makes."""
    return _RECORDS[type(change)](change, owner)


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
