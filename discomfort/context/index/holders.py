"""Who keeps values that have no name: work that is under way, and whoever put one to be named later.

What a commit takes away from them is noted, and done when it `settle`s: so its records may come in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from discomfort.context.index import records
from discomfort.context.index.journal import Record
from discomfort.context.index.references import References


def holder_name(member: str, number: int | str) -> str:
    """The name of a holder of a process; it goes with that process at the latest."""
    return f"{member}.{number}"


def member_of(holder: str) -> str:
    """The process a holder goes with; "" for none."""
    return holder.partition(".")[0]


class Holders:
    """Values kept without a name.

    Attributes:
        holds: holder → digest → how often it holds that value. Only who is in here may hold any.
        put: digest → process → how many `put_value` of it nothing has taken over yet.
    """

    def __init__(self, references: References) -> None:
        self.holds: dict[str, dict[str, int]] = {}
        self.put: dict[str, dict[str, int]] = {}
        self._references = references
        self._going: list[str] = []
        self._released: list[tuple[str, str, int]] = []
        self._taken: list[tuple[str, str, int]] = []

    def open(self, holder: str) -> None:
        """A holder comes."""
        self.holds.setdefault(holder, {})

    def close(self, holder: str) -> None:
        """A holder goes, with all that it holds."""
        self._going.append(holder)

    def change_hold(self, holder: str, digest: str, change: int) -> None:
        """A holder holds a value so many times more, or less."""
        if change < 0:
            self._released.append((holder, digest, -change))
            return
        held = self.holds.setdefault(holder, {})
        held[digest] = held.get(digest, 0) + change
        self._references.retain((digest,) * change)

    def change_put(self, owner: str, digest: str, change: int) -> None:
        """A process has put a value so many times more, or less; less is of its own first, then of any other's."""
        if change < 0:
            self._taken.append((owner, digest, -change))
            return
        owners = self.put.setdefault(digest, {})
        owners[owner] = owners.get(owner, 0) + change
        self._references.retain((digest,) * change)

    def take(self, owner: str, digests: Iterable[str]) -> None:
        """A name takes over what was put for it."""
        self._taken += [(owner, digest, 1) for digest in digests]

    def settle(self) -> None:
        """End a commit: do what it took away."""
        for holder, digest, count in self._released:
            self._reduce(self.holds.get(holder, {}), digest, digest, count)
        for owner, digest, count in self._taken:
            owners = self.put.get(digest, {})
            for one in ([owner] if owner in owners else []) + [other for other in owners if other != owner]:
                count -= self._reduce(owners, one, digest, count)
            if not owners:
                self.put.pop(digest, None)
        for holder in self._going:
            for digest, count in self.holds.pop(holder, {}).items():
                self._references.release((digest,) * count)
        self._released.clear()
        self._taken.clear()
        self._going.clear()

    @property
    def unsettled(self) -> bool:
        """Does `settle` have anything to do?"""
        return bool(self._released or self._taken or self._going)

    def digests(self) -> set[str]:
        """Every value that is held or put."""
        return {*self.put, *(digest for held in self.holds.values() for digest in held)}

    def members(self) -> set[str]:
        """The processes that hold or have put anything."""
        return {*map(member_of, self.holds), *(owner for owners in self.put.values() for owner in owners)} - {""}

    def without(self, members: Iterable[str]) -> Iterator[Record]:
        """The records with which everything goes that these processes hold or have put."""
        gone = set(members)
        for holder in self.holds:
            if member_of(holder) in gone:
                yield records.holder_gone_record(holder)
        for digest, owners in self.put.items():
            for owner, count in owners.items():
                if owner in gone:
                    yield records.put_record(digest, -count, owner)

    def left_by(self, member: str) -> Iterator[Record]:
        """The records with which a process leaves: it holds nothing, and what it put is counted for no process."""
        yield from self.without([member])
        for digest, owners in self.put.items():
            if member in owners:
                yield records.put_record(digest, owners[member])

    def snapshot_holds(self) -> Iterator[Record]:
        """The records of the holders and what they hold."""
        for holder, held in self.holds.items():
            yield records.holder_record(holder)
            for digest, count in held.items():
                yield records.hold_record(digest, count, holder)

    def snapshot_put(self) -> Iterator[Record]:
        """The records of what was put."""
        for digest, owners in self.put.items():
            for owner, count in owners.items():
                yield records.put_record(digest, count, owner)

    def _reduce(self, counts: dict[str, int], key: str, digest: str, count: int) -> int:
        """Lower a count as far as it goes, and return by how much."""
        count = min(count, counts.get(key, 0))
        if count:
            counts[key] -= count
            if not counts[key]:
                del counts[key]
            self._references.release((digest,) * count)
        return count
