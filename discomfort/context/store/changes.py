"""The changes of a store, as data. Those of one commit become visible together, or not at all.

All that the changes of a commit add counts before all that they take away, in whatever order they come: a value that
one of them releases and another needs stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from discomfort.context.store.entries import Memo


@dataclass(frozen=True, slots=True)
class SetSmall:
    """A name gets a small value.

    Attributes:
        payload: its bytes, as `values.encoded.to_inline` makes them.
    """

    unique_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class SetName:
    """A name gets a value by its digest.

    Attributes:
        refs: digests of the values it keeps alive, its own among them.
        taken: digests of which it takes over one `Put` each: of this opening of the store, or else of any other.
    """

    unique_id: str
    pass_by: str
    digest: str
    refs: tuple[str, ...]
    taken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DropName:
    """A name goes."""

    unique_id: str


@dataclass(frozen=True, slots=True)
class Remember:
    """A record is remembered under a key; the values it refers to stay while it does."""

    key: str
    memo: Memo


@dataclass(frozen=True, slots=True)
class Forget:
    """A remembered record goes."""

    key: str


@dataclass(frozen=True, slots=True)
class OpenHolder:
    """A holder may be named by others from here on, although it holds nothing yet."""

    holder: str


@dataclass(frozen=True, slots=True)
class CloseHolder:
    """A holder goes, with all that it holds."""

    holder: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A holder holds a value `count` times more, or less where that is negative."""

    holder: str
    digest: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Put:
    """A value is kept `count` times more for whoever names it; or less: of this opening first, then of any other."""

    digest: str
    count: int = 1


Change = SetSmall | SetName | DropName | Remember | Forget | OpenHolder | CloseHolder | Hold | Put
