"""Makes room in RAM: the least recently used values move to disk."""

from __future__ import annotations

import os

from discomfort.context.home.os_support import BINARY, copy_file, is_full, reserve
from discomfort.context.index.index import Index
from discomfort.context.index.records import Blob, blob_record, moved, used
from discomfort.context.index.state import State
from discomfort.context.tiers.housekeeping import Housekeeping
from discomfort.context.tiers.ram_segments import Segment, Segments
from discomfort.context.tiers.reader import BlobReader, signature_of

_SPILL_SHARE = 32
_ATTEMPTS = 64


class Spilling:
    """Finds a segment for a new value, and moves other values to disk where there is none."""

    def __init__(self, index: Index, segments: Segments, reader: BlobReader, housekeeping: Housekeeping) -> None:
        self._index = index
        self._segments = segments
        self._reader = reader
        self._housekeeping = housekeeping

    def claim(self, size: int) -> Segment | None:
        """A segment of at least `size` bytes for us alone, or None where the value has to go to disk."""
        for _ in range(_ATTEMPTS):
            with self._index.writing() as state:
                segment = self._segments.claim(state, size)
                if segment is not None or not self._segments.could_hold(state, size):
                    return segment
                victims = self._least_recently_used(state, size)
            if not victims or not self.spill(victims):
                return None
        return None  # others take the room as fast as we make it

    def _least_recently_used(self, state: State, nbytes: int) -> list[Blob]:
        """The values to move to disk so that `nbytes` are free.

        A little more than that, so that the order need not be worked out for every small value.
        """
        wanted = max(nbytes, self._segments.capacity // _SPILL_SHARE)
        victims: list[Blob] = []
        for number in sorted(state.users, key=self._index.last_use):
            if wanted <= 0:
                break
            victims.append(state.blobs[state.users[number]])
            wanted -= state.segments[number]
        return victims

    def spill(self, victims: list[Blob]) -> bool:
        """Move values from RAM to disk, unless they changed meanwhile; False if the disk is full and took none.

        The index is free while they are written, so that others can save.
        """
        spilled: list[tuple[Blob, Blob]] = []
        full = False
        try:
            for blob in victims:
                copy = self._write_out(blob)
                if copy is not None:
                    spilled.append((blob, copy))
        except OSError as error:
            if not is_full(error):
                raise
            full = True
        finally:
            self._replace(spilled)
        return bool(spilled) or not full

    def _replace(self, copies: list[tuple[Blob, Blob]]) -> None:
        """Put copies in the place of what they were made of, where that is what it was all the while."""
        if not copies:
            return
        with self._index.writing() as state:
            use = self._index.moment
            valid = [used(copy, use) for blob, copy in copies if state.blobs.get(blob.digest) == blob]
            try:
                self._index.commit(blob_record(copy) for copy in valid)
            finally:
                published = {blob.where for blob in map(state.blobs.get, (copy.digest for copy in valid)) if blob}
                for _, copy in copies:
                    if copy.where not in published:
                        self._reader.path(copy).unlink(missing_ok=True)

    def _write_out(self, blob: Blob) -> Blob | None:
        """Copy a value from RAM to disk; None where it is not in its segment any more."""
        source = self._reader.open(blob)
        if source is None:
            return None
        try:
            # As when mapping: looked at after the segment was locked. Its use is compared again before the commit.
            if self._index.read().blobs.get(blob.digest) != blob:
                return None
            name = self._housekeeping.new_file()
            path = self._reader.directory / name
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
            try:
                reserve(fd, blob.size)
                copy_file(source, fd, blob.size)
                return moved(blob, "disk", name, signature_of(os.fstat(fd)))
            except BaseException:
                path.unlink()
                raise
            finally:
                os.close(fd)
        finally:
            os.close(source)
