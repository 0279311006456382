"""Values that a running task needs: kept until the task ends, even if their names are deleted before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from discomfort.context.store.changes import Change, CloseHolder, Hold, OpenHolder, Put
from discomfort.context.store.protocol import Store
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import Encoded


class Holds:
    """What one piece of work keeps alive in a store: counted, and released by it alone.

    A value that is put (`ValuesByContent`) stays until anything takes it over, which suits one who names it right away.
    Work that goes on next to other work on the same values needs counts of its own. They end with this process at the
    latest.
    """

    def __init__(self, store: Store, whole: Holds | None = None) -> None:
        """Begin with nothing; as a part of `whole`, whose values may `move` there, and which must be released later."""
        self._store = store
        self._holder: str = store.new_holder() if whole is None else whole._holder
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

        def changes(digest: str) -> list[Change]:
            nonlocal others
            blobs = self._store.read().blobs
            others = tuple(other for other in mentioned if other in blobs)
            return [Hold(self._holder, kept) for kept in (digest, *others)]

        digest = self._store.put(encoded, use_ram, changes)
        self._count((digest, *others), 1)
        return digest, others

    def keep(self, digests: Iterable[str]) -> bool:
        """Keep values that are stored; False where one of them is not (any more), and then none is kept."""
        wanted = list(digests)
        if not wanted:
            return True
        with self._store.writing() as contents:
            if any(digest not in contents.blobs for digest in wanted):
                return False
            self._store.commit([Hold(self._holder, digest) for digest in wanted])
        self._count(wanted, 1)
        return True

    def receive(self, digest: str) -> bool:
        """Keep a value that another one put for us, on our account; False where it is not here."""
        with self._store.writing() as contents:
            if digest not in contents.blobs:
                return False
            left = [Put(digest, -1)] if contents.is_put(digest) else []
            self._store.commit([Hold(self._holder, digest), *left])
        self._count([digest], 1)
        return True

    def letterbox(self) -> str:
        """Return a name under which other processes may `ValuesByContent.put` for this work, until `release`."""
        assert not self._is_part, "what is put there ends with the whole"
        self._store.commit([OpenHolder(self._holder)])
        return self._holder

    def hand_over(self, digests: Iterable[str]) -> None:
        """Leave values that are kept here, or in the `letterbox`, to the caller as if it put them, and `release`."""
        self._store.commit([*map(Put, digests), CloseHolder(self._holder)])
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
        if unwanted and not self._store.closed:
            self._store.commit([Hold(self._holder, digest, -1) for digest in unwanted])
        self._count(unwanted, -1)

    def release(self) -> None:
        """Undo every `put` and `keep`; safe to call again, and after the context was shut down."""
        held, self._held = self._held, {}
        if self._store.closed:
            return
        if self._is_part:
            if held:
                self._store.commit([Hold(self._holder, digest, -count) for digest, count in held.items()])
        elif self._store.read().is_open(self._holder):
            self._store.commit([CloseHolder(self._holder)])

    def _count(self, digests: Iterable[str], change: int) -> None:
        for digest in digests:
            self._held[digest] = self._held.get(digest, 0) + change
            if not self._held[digest]:
                del self._held[digest]
