"""Values that work in progress needs, kept for as long as the work takes, whatever becomes of their names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from discomfort.context.index.journal import Record
from discomfort.context.index.records import hold_record, holder_gone_record, holder_record, put_record
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import Encoded

if TYPE_CHECKING:
    from discomfort.context.base import OpenContext


class Holds:
    """What one piece of work keeps alive in a context: counted, and released by it alone.

    `put_value` keeps a value until anything takes it over, which suits one who gives it a name right away. Work that
    goes on next to other work on the same values needs counts of its own. They end with this process at the latest.
    """

    def __init__(self, context: OpenContext, whole: Holds | None = None) -> None:
        """Begin with nothing; as a part of `whole`, whose values may `move` there, and which must be released later."""
        self._context = context
        self._holder: str = context._new_holder() if whole is None else whole._holder
        self._is_part = whole is not None
        self._held: dict[str, int] = {}

    def put(self, value: Any, use_ram: bool = True) -> str:
        """Store a value and return its digest.

        Raises:
            EncodingError, OSError: as `WorkflowContext.save`.
        """
        return self.put_encoded(encode(value), use_ram)[0]

    def put_encoded(
        self, encoded: Encoded, use_ram: bool = True, mentioned: Iterable[str] = ()
    ) -> tuple[str, tuple[str, ...]]:
        """Store an encoded value, and keep those of `mentioned` that are here; return its digest and theirs."""
        others: tuple[str, ...] = ()

        def records(digest: str) -> list[Record]:
            nonlocal others
            blobs = self._context._index.read().blobs
            others = tuple(other for other in mentioned if other in blobs)
            return [hold_record(kept, 1, self._holder) for kept in (digest, *others)]

        digest = self._context._store.put(encoded, use_ram, records)
        self._count((digest, *others), 1)
        return digest, others

    def keep(self, digests: Iterable[str]) -> bool:
        """Keep values that are stored; False where one of them is not (any more), and then none is kept."""
        wanted = list(digests)
        if not wanted:
            return True
        with self._context._index.writing() as state:
            if any(digest not in state.blobs for digest in wanted):
                return False
            self._context._index.commit([hold_record(digest, 1, self._holder) for digest in wanted])
        self._count(wanted, 1)
        return True

    def receive(self, digest: str) -> bool:
        """Keep a value that another one left for us with `put_value`, on our account; False where it is not here."""
        with self._context._index.writing() as state:
            if digest not in state.blobs:
                return False
            left = [put_record(digest, -1, self._context._member.name)] if digest in state.holders.put else []
            self._context._index.commit([hold_record(digest, 1, self._holder), *left])
        self._count([digest], 1)
        return True

    def letterbox(self) -> str:
        """Return a name under which other processes may `put_value` for this work, until `release`."""
        assert not self._is_part, "what is put there ends with the whole"
        self._context._commit([holder_record(self._holder)])
        return self._holder

    def hand_over(self, digests: Iterable[str]) -> None:
        """Leave values that are kept here, or in the `letterbox`, to the caller as `put_value` does, and `release`."""
        owner = self._context._member.name
        records = [put_record(digest, 1, owner) for digest in digests]
        self._context._commit([*records, holder_gone_record(self._holder)])
        self._held = {}

    def move(self, digest: str, to: Holds) -> bool:
        """Leave one `put` or `keep` of a value to another part of the same work; False where there is none here."""
        assert to._holder == self._holder, "parts of the same work"
        if digest not in self._held:
            return False
        self._count([digest], -1)
        to._count([digest], 1)
        return True

    def drop(self, digests: Iterable[str]) -> None:
        """Undo one `put` or `keep` of each of these values."""
        unwanted = [digest for digest in digests if digest in self._held]
        if unwanted and not self._context._index.closed:
            self._context._commit([hold_record(digest, -1, self._holder) for digest in unwanted])
        self._count(unwanted, -1)

    def release(self) -> None:
        """Undo every `put` and `keep`; safe to call again, and after the context was shut down."""
        held, self._held = self._held, {}
        if self._context._index.closed:
            return
        if self._is_part:
            if held:
                self._context._commit([hold_record(digest, -count, self._holder) for digest, count in held.items()])
        elif self._holder in self._context._index.read().holders.holds:
            self._context._commit([holder_gone_record(self._holder)])

    def _count(self, digests: Iterable[str], change: int) -> None:
        for digest in digests:
            self._held[digest] = self._held.get(digest, 0) + change
            if not self._held[digest]:
                del self._held[digest]
