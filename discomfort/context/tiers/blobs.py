"""Blobs in two tiers: RAM shared between processes, and disk; spilled when RAM is short, promoted when used.

See `reader` for what is verified, and when.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from discomfort.context.errors import ContextError, CorruptValueError, UnknownKeyError, folder_deleted
from discomfort.context.home.os_support import BINARY, free_bytes, is_full, reserve
from discomfort.context.index.index import Index
from discomfort.context.index.journal import Record
from discomfort.context.index.members import Member
from discomfort.context.index.records import Blob, blob_record, memo_gone_record, moved, used
from discomfort.context.index.state import State
from discomfort.context.store.entries import INLINE_BYTES
from discomfort.context.tiers.housekeeping import Housekeeping
from discomfort.context.tiers.ram_segments import Segment, Segments
from discomfort.context.tiers.reader import BlobReader, signature_of
from discomfort.context.tiers.spilling import Spilling
from discomfort.context.tiers.writer import Sink, fill
from discomfort.context.values import decode
from discomfort.context.values.encoded import Encoded, leaf_digests, take_apart, to_inline

_DISK_SLACK = 64 << 10  # what a file takes besides its bytes
_ATTEMPTS = 64
_PROMOTIONS = 8  # then the value is read from disk: others need the RAM more

Extra = Callable[[str], Iterable[Record]]


class Blobs:
    """The blobs of a run, as one process uses them."""

    def __init__(self, index: Index, segments: Segments, disk: Path, member: Member) -> None:
        self._index = index
        self._segments = segments
        self.reader: BlobReader = BlobReader(index, segments, disk / "blobs")
        self.housekeeping: Housekeeping = Housekeeping(index, disk / "blobs", disk / "members", member)
        self.spilling: Spilling = Spilling(index, segments, self.reader, self.housekeeping)

    def fits_index(self, state: State, nbytes: int) -> bool:
        """May a small value lie in the index itself? That is RAM too: a quarter of the budget at most."""
        return nbytes <= INLINE_BYTES and state.inline_bytes + nbytes <= self._segments.capacity // 4

    def put(self, encoded: Encoded, use_ram: bool, extra: Extra) -> str:
        """Store a value and publish it together with the records `extra` makes of its digest.

        Raises:
            OSError: neither tier has room, even without the memos that could be forgotten; nothing changed.
            ContextClosedError: the context is shut down, or its folder was deleted.
        """
        with self._folder_there():
            if self.housekeeping.is_due():
                self.sweep()
            while True:
                try:
                    return self._put(encoded, use_ram, extra)
                except OSError as error:
                    if not is_full(error) or not self._make_room(encoded.nbytes):
                        raise

    def unfinished_bytes(self) -> int:
        """Bytes of files on disk in which no value lies: being written, or left by a killed process."""
        with self._folder_there():
            return self.housekeeping.unfinished_bytes()

    def sweep(self) -> None:
        """Remove what killed processes left."""
        self.free(self.housekeeping.sweep())

    def _make_room(self, nbytes: int) -> bool:
        """Free disk: of what killed processes left, then of memos; False where all of that is not enough."""
        missing = self._missing(nbytes)
        self.sweep()
        if self._missing(nbytes) <= 0 < missing:
            return True
        with self._index.writing() as state:
            records = [memo_gone_record(key) for key in state.memos_for_room(self._missing(nbytes))]
            self.free(self._index.commit(records))
        return bool(records)

    def _missing(self, nbytes: int) -> int:
        return nbytes + _DISK_SLACK - free_bytes(self.reader.directory)

    @contextmanager
    def _folder_there(self) -> Iterator[None]:
        """Say so where a file is not found because the whole folder is not there any more."""
        try:
            yield
        except FileNotFoundError:
            self._check_folders()
            raise

    def _check_folders(self) -> None:
        self._index.read()  # where the run was shut down, that is reported instead
        for folder in (self.reader.directory, self._segments.directory):
            if not folder.is_dir():
                raise folder_deleted(folder)

    def _put(self, encoded: Encoded, use_ram: bool, extra: Extra) -> str:
        header = encoded.header()
        offsets = encoded.offsets(len(header))
        size = offsets[-1]
        if use_ram and self.fits_index(self._index.read(), size):
            digest = encoded.digest(leaf_digests(encoded))
            payload = to_inline(encoded)
            blob = Blob(digest, "index", 0, len(payload), encoded.text, encoded.info(), (), True, payload)
            return self._publish(blob, extra)
        stored = self._put_in_ram(encoded, header, offsets, extra) if use_ram else None
        if stored is not None:
            return stored
        return self._put_on_disk(encoded, header, offsets, use_ram, extra)

    def _put_in_ram(self, encoded: Encoded, header: bytes, offsets: list[int], extra: Extra) -> str | None:
        segment = self.spilling.claim(offsets[-1])
        if segment is None:
            return None
        try:
            digest = self._fill_segment(segment, encoded, header, offsets)
            if digest is None:
                return None
            signature = signature_of(os.fstat(segment.fd))
            blob = Blob(digest, "ram", segment.number, offsets[-1], encoded.text, encoded.info(), signature, True)
            self._index.touch(segment.number)
            with self._index.writing():
                self._segments.share(segment)
                return self._publish(blob, extra)
        finally:
            self._segments.release(segment)

    def _fill_segment(self, segment: Segment, encoded: Encoded, header: bytes, offsets: list[int]) -> str | None:
        try:
            if segment.mapping is None:
                os.ftruncate(segment.fd, segment.size)
            return fill(Sink(segment.fd, segment.mapping), encoded, header, offsets)
        except OSError as error:
            if not is_full(error):
                raise
        with self._index.writing():  # another program took the memory we had counted on
            self._segments.discard(segment)
        return None

    def _put_on_disk(self, encoded: Encoded, header: bytes, offsets: list[int], promote: bool, extra: Extra) -> str:
        name = self.housekeeping.new_file()
        path = self.reader.directory / name
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
        digest = None
        try:
            reserve(fd, offsets[-1])
            digest = fill(Sink(fd, None), encoded, header, offsets)
            signature = signature_of(os.fstat(fd))
            blob = Blob(digest, "disk", name, offsets[-1], encoded.text, encoded.info(), signature, promote)
            self._publish(blob, extra)
            self.reader.note_verified(digest, signature)
            return digest
        except OSError as error:
            raise self._no_room(error, offsets[-1], promote) from error
        finally:
            os.close(fd)
            # The index says whether it was published, whatever interrupted us (Ctrl-C may come after the commit).
            known = None if digest is None else self._index.read().blobs.get(digest)
            if known is None or known.where != name:
                path.unlink(missing_ok=True)

    def _publish(self, blob: Blob, extra: Extra) -> str:
        """Commit a blob, unless an equal one is there (C4)."""
        with self._index.writing() as state:
            records = list(extra(blob.digest))
            known = state.blobs.get(blob.digest)
            replaced = known is not None and self._is_better(blob, known)
            if known is None or replaced:
                records.insert(0, blob_record(used(blob, self._index.moment)))
            dropped = self._index.commit(records)
            self.free([known, *dropped] if known is not None and replaced else dropped)
        return blob.digest

    def free(self, dropped: Iterable[Blob]) -> None:
        """Give back the space of blobs to which nothing refers; some segments stay for the next value."""
        segments_freed = False
        for blob in dropped:
            self.reader.forget(blob.digest)
            segments_freed = segments_freed or blob.place == "ram"
            if blob.place == "disk":
                with suppress(OSError):  # Windows keeps it while it is mapped; shutdown removes it
                    self.reader.path(blob).unlink()
        if segments_freed:
            with self._index.writing() as state:
                self._segments.trim(state)

    def get(self, digest: str) -> Any:
        """The value of a digest; its tensors are private copy-on-write mappings.

        Raises:
            UnknownKeyError: nothing has this digest.
            CorruptValueError: the stored bytes are not those that were saved.
            ContextClosedError: the context is shut down, or its folder was deleted.
        """
        with self._folder_there():
            for attempt in range(_ATTEMPTS):
                blob = self._blob(digest)
                if blob.payload is not None:
                    return decode.from_inline(blob.payload)
                if blob.place == "disk" and blob.promote and attempt < _PROMOTIONS:
                    blob = self._promote(blob) or blob
                mapped = self.reader.map(blob)
                if mapped is not None:
                    return self.reader.decode(blob, mapped)
                if self._index.read().blobs.get(digest) == blob:  # else it moved while we looked
                    self._check_folders()
                    raise CorruptValueError(f"{self.reader.path(blob)} is missing: value {digest} is lost")
        raise ContextError(f"value {digest} moves faster than it can be read")

    def _blob(self, digest: str) -> Blob:
        blob = self._index.read().blobs.get(digest)
        if blob is None:
            raise UnknownKeyError(f"no value with digest {digest} in this context")
        return blob

    def _is_better(self, blob: Blob, known: Blob) -> bool:
        """Should a new copy replace the known one? Where the latest save wants another tier, or that was damaged."""
        faster = blob.place == "ram" and known.place == "disk"
        return faster or blob.promote != known.promote or not self.reader.is_untouched(known)

    def _promote(self, blob: Blob) -> Blob | None:
        """Move a blob from disk to RAM, verifying it on the way; None where it stays."""
        mapped = self.reader.map(blob, verify=False)
        segment = None if mapped is None else self.spilling.claim(blob.size)
        if segment is None:
            return None
        try:
            encoded = take_apart(mapped)
            header = encoded.header()
            digest = self._fill_segment(segment, encoded, header, encoded.offsets(len(header)))
            if digest is None:
                return None
            if digest != blob.digest:
                raise self.reader.damaged(blob, digest)
            new = moved(blob, "ram", segment.number, signature_of(os.fstat(segment.fd)))
            with self._index.writing() as state:
                if state.blobs.get(blob.digest) != blob:
                    return None
                new = used(new, self._index.moment)
                self._index.touch(segment.number)
                self._segments.share(segment)
                self._index.commit([blob_record(new)])
            self.free([blob])
            return new
        finally:
            self._segments.release(segment)

    def _no_room(self, error: OSError, size: int, wanted_ram: bool) -> OSError:
        if not is_full(error):
            return error
        free = free_bytes(self.reader.directory)
        tiers = "neither RAM nor disk has" if wanted_ram else "the disk has not the"
        return OSError(
            errno.ENOSPC,
            f"{tiers} room for a value of {size} bytes: the RAM budget is {self._segments.capacity} bytes, "
            f"{free} bytes are free on disk; earlier values are intact",
            str(self.reader.directory),
        )
