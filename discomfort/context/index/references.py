"""How often something refers to each value, and what memos alone keep.

A commit is several records, and what one of them releases another may retain. So they are counted as they come, in
whatever order, and only `settle`, at the end of the commit, looks for what nothing refers to any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from discomfort.context.index.records import Blob
from discomfort.context.store.entries import Memo

RECORD_BYTES = 1024
"""What a record takes besides its content, in the memory of every process that has the context open."""

_BLOCK = 4096


class References:
    """Counts of references, by digest.

    Attributes:
        memo_bytes: what the memos take: their records, and the values that only they keep.
    """

    def __init__(self) -> None:
        self.memo_bytes: int = 0
        self._counts: dict[str, int] = {}
        self._of_memos: dict[str, int] = {}
        self._memos_only: dict[str, int] = {}  # digest → bytes of a value that only memos keep
        self._touched: dict[str, None] = {}

    def retain(self, digests: Iterable[str]) -> None:
        """Something refers to these values once more."""
        for digest in digests:
            self._counts[digest] = self._counts.get(digest, 0) + 1
            self._touched[digest] = None

    def release(self, digests: Iterable[str]) -> None:
        """Something refers to these values once less."""
        for digest in digests:
            self._counts[digest] = self._counts.get(digest, 0) - 1
            self._touched[digest] = None

    def touch(self, digest: str) -> None:
        """A value came: `settle` looks at it."""
        self._touched[digest] = None

    def add_memo(self, key: str, memo: Memo) -> None:
        """A memo refers to its values."""
        self.memo_bytes += _record_bytes(key, memo)
        for digest in memo.refs:
            self._of_memos[digest] = self._of_memos.get(digest, 0) + 1
        self.retain(memo.refs)

    def remove_memo(self, key: str, memo: Memo) -> None:
        """A memo refers to nothing any more."""
        self.memo_bytes -= _record_bytes(key, memo)
        for digest in memo.refs:
            self._of_memos[digest] -= 1
        self.release(memo.refs)

    @property
    def unsettled(self) -> bool:
        """Does `settle` have anything to look at?"""
        return bool(self._touched)

    def settle(self, blobs: Mapping[str, Blob]) -> list[str]:
        """End a commit; returns the digests to which nothing refers now."""
        unused = []
        for digest in self._touched:
            count = self._counts.get(digest, 0)
            if count <= 0:
                self._counts.pop(digest, None)
                unused.append(digest)
            if not self._of_memos.get(digest, 0):
                self._of_memos.pop(digest, None)
            blob = blobs.get(digest)
            only = blob is not None and count > 0 and self._of_memos.get(digest) == count
            self._count_memo_bytes(digest, blob_bytes(blob) if only and blob is not None else 0)
        self._touched.clear()
        return unused

    def forgettable(self, memos: Mapping[str, Memo], blobs: Mapping[str, Blob], excess: int) -> list[str]:
        """Keys of memos, in the order given, without which `excess` bytes less are kept.

        A memo of a value that something else needs goes only where all others are not enough.
        """
        going: dict[str, int] = {}
        keys: list[str] = []
        needed: list[str] = []
        for key, memo in memos.items():
            if excess <= 0:
                break
            if memo.refs and all(self._counts[digest] > self._of_memos[digest] for digest in memo.refs):
                needed.append(key)
                continue
            keys.append(key)
            excess -= _record_bytes(key, memo) + self._freed(memo, blobs, going)
        for key in needed:
            if excess <= 0:
                break
            keys.append(key)
            excess -= _record_bytes(key, memos[key])
        return keys

    def freeing(self, memos: Mapping[str, Memo], blobs: Mapping[str, Blob], nbytes: int) -> list[str]:
        """Keys of memos, in the order given, without which `nbytes` of values less are kept; none if all do not do."""
        going: dict[str, int] = {}
        keys: list[str] = []
        for key, memo in memos.items():
            if nbytes <= 0:
                break
            if any(self._counts[digest] == self._of_memos[digest] for digest in memo.refs):
                keys.append(key)
                nbytes -= self._freed(memo, blobs, going)
        return keys if nbytes <= 0 else []

    def _freed(self, memo: Memo, blobs: Mapping[str, Blob], going: dict[str, int]) -> int:
        """Bytes of values that go with a memo, when the references counted in `going` have gone before."""
        freed = 0
        for digest in memo.refs:
            going[digest] = going.get(digest, 0) + 1
            if going[digest] == self._counts[digest] and digest in blobs:
                freed += blob_bytes(blobs[digest])
        return freed

    def _count_memo_bytes(self, digest: str, nbytes: int) -> None:
        before = self._memos_only.pop(digest, 0)
        if nbytes:
            self._memos_only[digest] = nbytes
        self.memo_bytes += nbytes - before


def blob_bytes(blob: Blob) -> int:
    """What a value takes in all: whole blocks of a file, and its record."""
    size = blob.size if blob.place == "index" else blob.size + -blob.size % _BLOCK
    return size + RECORD_BYTES


def _record_bytes(key: str, memo: Memo) -> int:
    return len(key) + len(memo.record) + RECORD_BYTES
