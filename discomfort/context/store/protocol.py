"""What a context needs of a store. `tests/context/store_conformance.py` checks every promise made here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from discomfort.context.store.changes import Change
from discomfort.context.store.entries import Memo, Name, StoredValue, Usage
from discomfort.context.store.gate import Gate

if TYPE_CHECKING:
    from discomfort.context.values.encoded import Encoded

ChangesOf = Callable[[str], Iterable[Change]]
"""Makes the changes that are published with a value, from its digest."""


class Contents(Protocol):
    """What a store holds at one moment. Read it, and change it by `Store.commit` only."""

    @property
    def names(self) -> Mapping[str, Name]:
        """The names, in the order in which they were first saved.

        A `Name` is the same object until that name is saved again; only its `value` is filled in by readers.
        """
        ...

    @property
    def blobs(self) -> Mapping[str, StoredValue]:
        """The values by digest: all that something refers to, and no others."""
        ...

    @property
    def memos(self) -> Mapping[str, Memo]:
        """The remembered records, the least recently used first."""
        ...

    def is_open(self, holder: str) -> bool:
        """Return whether a holder was opened, or holds something, and was not closed."""
        ...

    def is_put(self, digest: str) -> bool:
        """Return whether a value is put for a name to take over."""
        ...


class Index(Protocol):
    """What is there, as this process sees it."""

    def read(self) -> Contents:
        """Return what is there now, every commit included that has returned, here or elsewhere; it takes no lock.

        The result may change with later commits.
        """
        ...


class Store(Protocol):
    """Where the values of a context lie. Every method may be called from any thread.

    Several openings of one store may exist, in one process or in many: what one commits all of them read. Every method
    but `closed`, `run_id` and `shutdown` raises `ContextClosedError` after the store was shut down.
    """

    @property
    def run_id(self) -> str:
        """The name of what is opened."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it was shut down, here or by its owner."""
        ...

    @property
    def gate(self) -> Gate:
        """What lets one transaction at a time through, among all openings; other commits do not wait for it."""
        ...

    @property
    def index(self) -> Index:
        """What `read` calls, the same object for the life of the store.

        `WorkflowContext.load` of a number calls its `read` and nothing else, since every layer counts there.
        """
        ...

    def read(self) -> Contents:
        """Return `index.read()`."""
        ...

    def writing(self) -> AbstractContextManager[Contents]:
        """Hold the store: no other thread or opening commits meanwhile. May be nested. Hold it for short."""
        ...

    def commit(self, changes: Iterable[Change]) -> None:
        """Publish changes together, or raise and publish none; values to which nothing refers any more are gone.

        Raises:
            OSError: there is no room.
        """
        ...

    def takes_small(self, nbytes: int) -> bool:
        """Return whether a value of `nbytes` may lie with its name now: at most `INLINE_BYTES`, while there is room."""
        ...

    def save_small(self, unique_id: str, payload: bytes, value: Any) -> bool:
        """Give a name a small value: a short way for `takes_small` and a commit of `SetSmall`.

        Args:
            unique_id: the name.
            payload: as of `SetSmall`.
            value: the decoded value for `Name.value`, or `MISSING`.

        Returns:
            False where a value of this size may not lie with its name, and nothing was changed.
        """
        ...

    def put(self, encoded: Encoded, use_ram: bool, changes: ChangesOf) -> str:
        """Store a value and publish it together with changes, which must refer to it; return its digest.

        An equal value is stored once: then only the changes are published. `changes` is called while the store is
        held; it may be called more than once, and what its last call returned is published. What it raises is raised,
        and then nothing is stored.

        Args:
            encoded: the value; its bytes are copied.
            use_ram: where it should lie, as far as the store has tiers and room; the latest `put` counts.
            changes: makes what is published with it.

        Raises:
            OSError: there is no room, and nothing was changed.
        """
        ...

    def get(self, digest: str) -> Any:
        """Return the value of a digest: the caller may change it, and the store never changes by that.

        Raises:
            UnknownKeyError: there is none.
            CorruptValueError: the stored bytes are not those that were saved.
            UnreadableValueError: this Python cannot rebuild it.
        """
        ...

    def verify(self, digest: str) -> bool:
        """Return whether the digest is that of the stored bytes; True also where the value is gone."""
        ...

    def location(self, digest: str | None) -> str:
        """Return the path, or another readable place, of a value, or of the small ones where `digest` is None."""
        ...

    def use_memo(self, key: str) -> None:
        """Note that a record was used: those used least recently are forgotten first. It may fail in silence."""
        ...

    def new_holder(self) -> str:
        """Return a name for a holder, which no other one has; it is closed when this opening ends, however it ends."""
        ...

    def usage(self) -> Usage:
        """Return what the store takes and may take."""
        ...

    def handle(self) -> dict[str, Any]:
        """Return a JSON-able ticket with which another process can open it.

        Raises:
            ContextError: no other process can.
        """
        ...

    def shutdown(self) -> None:
        """End this opening, and everything where it is the owner's. Twice is once.

        Its holders are closed. What it has put stays for others to name. Values that were loaded stay valid.
        """
        ...
