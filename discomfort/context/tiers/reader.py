"""Reads blobs from the tiers, and vouches for what it gives.

What is verified, and when: the header of a blob carries a checksum that every load checks, as it checks the size. The
content digest is recomputed when a value is moved from disk to RAM, the first time a process maps a value from disk,
and whenever size, times of change or inode of a file are not those noted when it was written. A blob in RAM whose
file is untouched is trusted, as a process trusts its own memory; so a load takes no longer for a longer value.
`verify` recomputes everything.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from discomfort.context.errors import CorruptValueError
from discomfort.context.home.os_support import BINARY, descriptors_are_scarce, read_at
from discomfort.context.index.index import Index
from discomfort.context.index.records import Blob
from discomfort.context.tiers.ram_segments import Segments, map_private
from discomfort.context.values import decode

_READ_SIZE = 8 << 20
_VERIFIED = 1024


class BlobReader:
    """The blobs of a run, as one process reads them."""

    def __init__(self, index: Index, segments: Segments, blobs_directory: Path) -> None:
        self._index = index
        self._segments = segments
        self.directory: Path = blobs_directory
        self.index_path: Path = segments.directory / "control"
        self._verified: dict[str, tuple[int, ...]] = {}

    def path(self, blob: Blob) -> Path:
        """The file a blob lies in."""
        if blob.place == "ram":
            assert isinstance(blob.where, int)
            return self._segments.path(blob.where)
        return self.directory / str(blob.where)

    def verify(self, digest: str) -> bool:
        """Recompute the digest of a value from the bytes in its file; True also where it is gone meanwhile."""
        while True:
            blob = self._index.read().blobs.get(digest)
            if blob is None:
                return True
            if blob.payload is not None:
                return decode.inline_digest(blob.payload) == digest
            try:
                mapped = self.map(blob, verify=False)
                if mapped is not None:
                    return decode.blob_digest(mapped) == digest
            except CorruptValueError:
                return False
            if self._index.read().blobs.get(digest) == blob:  # else it moved while we looked
                return False

    def decode(self, blob: Blob, mapped: Any) -> Any:
        """The value of a blob that was mapped."""
        try:
            return decode.decode(mapped)
        except CorruptValueError as error:
            raise CorruptValueError(f"value {blob.digest} in {self.path(blob)}: {error}") from error

    def map(self, blob: Blob, verify: bool = True) -> Any:
        """A private mapping of a blob; None where it is not there any more, or being written."""
        fd = self.open(blob)
        if fd is None:
            return None
        try:
            # Checked after the lock was taken: from here on no process can give the segment to another value.
            if self._index.read().blobs.get(blob.digest) != blob:
                return None
            found = os.fstat(fd)
            if found.st_size < blob.size:
                raise CorruptValueError(
                    f"value {blob.digest} in {self.path(blob)} is cut short: {found.st_size} bytes of {blob.size}"
                )
            if blob.place == "ram":
                assert isinstance(blob.where, int)
                self._index.touch(blob.where)
            mapped = self._map_file(fd, blob.size)
        finally:
            os.close(fd)
        if verify:
            self._check(blob, signature_of(found), mapped)
        return mapped

    def _map_file(self, fd: int, size: int) -> Any:
        if not descriptors_are_scarce(fd):
            try:
                return map_private(fd, size)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENOMEM, errno.ENODEV):
                    raise
        data = bytearray()  # every live mapping takes a descriptor; where they run out a copy serves as well
        while len(data) < size:
            data += read_at(fd, min(size - len(data), _READ_SIZE), len(data))
        return data

    def open(self, blob: Blob) -> int | None:
        """A descriptor of the file of a blob; None where it is not there any more, or being written."""
        if blob.place == "ram":
            assert isinstance(blob.where, int)
            return self._segments.open_for_reading(blob.where)
        try:
            return os.open(self.path(blob), os.O_RDONLY | BINARY)
        except FileNotFoundError:
            return None

    def _check(self, blob: Blob, signature: tuple[int, ...], mapped: Any) -> None:
        trusted = blob.signature if blob.place == "ram" else None
        if signature in (trusted, self._verified.get(blob.digest)):
            return
        try:
            digest = decode.blob_digest(mapped)
        except CorruptValueError as error:
            raise CorruptValueError(f"value {blob.digest} in {self.path(blob)}: {error}") from error
        if digest != blob.digest:
            raise self.damaged(blob, digest)
        self.note_verified(blob.digest, signature)

    def note_verified(self, digest: str, signature: tuple[int, ...]) -> None:
        """Remember that a file was verified; what others freed meanwhile is forgotten now and then."""
        blobs = self._index.read().blobs
        if len(self._verified) > 2 * len(blobs) + _VERIFIED:
            self._verified = {digest: known for digest, known in list(self._verified.items()) if digest in blobs}
        self._verified[digest] = signature

    def forget(self, digest: str) -> None:
        """Forget that a file was verified, since it goes."""
        self._verified.pop(digest, None)

    def is_untouched(self, blob: Blob) -> bool:
        """Is the file of a blob the one that was written, as far as its times and size say?"""
        if blob.payload is not None:
            return True
        try:
            return signature_of(self.path(blob).stat()) == blob.signature
        except OSError:
            return False

    def damaged(self, blob: Blob, found: str) -> CorruptValueError:
        """What to raise for a blob whose digest is now another one."""
        return CorruptValueError(
            f"value {blob.digest} ({blob.text}) in {self.path(blob)} is damaged: its content is now {found}"
        )


def signature_of(found: os.stat_result) -> tuple[int, ...]:
    """What changes when a program writes to a file, or puts another in its place."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
