"""What a store holds: names, values by content, and remembered records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Protocol

Info = tuple[str, "str | None", "tuple[int, ...] | None"]
MISSING: Final = object()

INLINE_BYTES = 2048
"""A value of at most so many bytes may lie with its name; a larger one is stored by its content."""


class Name:
    """What a unique_id refers to: a small value kept right here, or a value by its digest.

    Attributes:
        payload: the bytes of a small value (`values.encoded.to_inline`); None where `digest` says which value it is.
        value: the decoded value where that is immutable and known, else `MISSING`.
        refs: digests of the values this name keeps alive, its own among them.
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


class StoredValue(Protocol):
    """A value by content, without its bytes."""

    @property
    def digest(self) -> str:
        """Content digest."""
        ...

    @property
    def size(self) -> int:
        """Bytes stored."""
        ...

    @property
    def text(self) -> str:
        """Type and shape, for people."""
        ...

    @property
    def info(self) -> Info:
        """Kind, dtype and shape, for programs: `values.encoded.Encoded.info`."""
        ...

    @property
    def tier(self) -> str:
        """Where it lies, "ram" or "disk"."""
        ...


@dataclass(frozen=True, slots=True)
class Memo:
    """A remembered record and the digests it refers to."""

    record: str
    refs: tuple[str, ...]

    def fields(self) -> dict[str, Any]:
        """Return a fresh copy of the record."""
        fields: dict[str, Any] = json.loads(self.record)
        return fields


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store takes, and may take, in bytes.

    Attributes:
        ram: values in RAM.
        ram_capacity: what they may take.
        disk: values on disk, and unfinished files.
        unfinished: files that are being written, or were left by a killed process.
        memo: results that only the memo keeps.
        memo_capacity: what they may take.
        held: how many values are held or put, as a count.
    """

    ram: int
    ram_capacity: int
    disk: int
    unfinished: int
    memo: int
    memo_capacity: int
    held: int
