"""What a file holds, as a digest of its content, without reading a file again that has not changed.

A fingerprint is remembered for the user by where the file is and what the operating system says of it: path, device,
inode, size, time of the last write, time of the last change. The time of the last change cannot be set by programs, so
a file of equal size and equal time of writing counts as another. Within `YOUNG_SECONDS` of a change that is not
certain, since a further change may leave the same times; a file that young is read each time.

Windows has no time of the last change: there a file of up to `SMALL_BYTES` is read each time, and of a larger one
samples of its content count besides size and time.

Limits: a write through a memory mapping on tmpfs, which changes no time; and a server of network files whose clock is
more than `YOUNG_SECONDS` behind ours.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from discomfort.context.values.digest import CHUNK, hash_view, value_digest
from discomfort.input_files.fingerprint_file import FingerprintFile
from discomfort.settings.folders import cache_folder

logger: logging.Logger = logging.getLogger("discomfort")

YOUNG_SECONDS = 2.0
"""A file changed less long ago may change again and keep its times: the coarsest clock of a file system (FAT)."""
TICK_SECONDS = 0.1
"""The same where a file system keeps times finer than the operating system's clock, which ticks every 16 ms or less."""
SMALL_BYTES = 16 << 20
"""Where the system keeps no time of the last change, files of up to this size (bytes) are read each time."""
LARGE_BYTES = 256 << 20
"""Reading a file of at least this size is reported in the log."""
HAS_CHANGE_TIME = os.name != "nt"
MAX_REMEMBERED = 8192
MAX_FOLDER_FILES = 10_000
_BUFFER = 16 << 20
_SAMPLES = 16
_SAMPLE_BYTES = 1 << 16
_ATTEMPTS = 3

Stop = Callable[[], bool]


class FingerprintStopped(Exception):
    """Reading a file was given up because whoever wanted its content no longer does."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of a file's content, and the `version` of the file that has it.

    `version` changes with every write, also with one that leaves the content equal; `steady` says whether it is sure
    to: a file that was changed just now may change again under the same version.
    """

    content: str
    version: str
    steady: bool


MISSING = Fingerprint("missing", "missing", True)
"""What a path has at which there is no file."""


class Fingerprints:
    """Digests of files, remembered in this process and, in `file`, for all of a user's programs; for any thread."""

    def __init__(self, file: FingerprintFile | None = None) -> None:
        self._file = file
        self._known: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, path: str | os.PathLike[str]) -> Fingerprint | None:
        """Return the fingerprint of a file that need not be read for it; None where it must, or for a folder."""
        place = Path(path).absolute()
        status = _status(place)
        if status is None:
            return MISSING
        if not stat.S_ISREG(status.st_mode) or not _is_settled(status) or _is_read_each_time(status):
            return None
        version = _version(place, status)
        content = self._recall(version)
        return None if content is None else Fingerprint(content, version, True)

    def read(self, path: str | os.PathLike[str], stop: Stop = lambda: False) -> Fingerprint:
        """Return the fingerprint of a file, or of a folder with all that is in it; reads what is not known.

        Args:
            path: the file.
            stop: asked now and then; True gives up.

        Raises:
            OSError: the file cannot be read, changes while it is read, or the folder holds too many files.
            FingerprintStopped: `stop` said so.
        """
        place = Path(path).absolute()
        for _ in range(_ATTEMPTS):
            status = _status(place)
            if status is None:
                return MISSING
            if stat.S_ISDIR(status.st_mode):
                return self._read_folder(place, stop)
            found = self._read_once(place, status, stop)
            if found is not None:
                return found
        raise OSError(f"{place} changes while it is read")

    def version(self, path: str | os.PathLike[str]) -> tuple[str, bool]:
        """Return the version of a file, which is not read, and whether it is sure to change with the file.

        Raises:
            OSError: the file is out of reach.
        """
        place = Path(path).absolute()
        status = _status(place)
        if status is None:
            return MISSING.version, True
        return _version(place, status), _is_settled(status) or _is_steady(status)

    def _read_once(self, place: Path, status: os.stat_result, stop: Stop) -> Fingerprint | None:
        """Return the fingerprint of the file, None where it changed meanwhile."""
        settled = _is_settled(status)
        remembered = settled and not _is_read_each_time(status)
        version = _version(place, status)
        content = self._recall(version) if remembered else None
        if content is None:
            steady = settled or _is_steady(status)
            content = _digest(place, status.st_size, stop)
            after = _status(place)
            if after is None or _version(place, after) != version:
                return None
            if remembered:
                self._remember(version, content)
            return Fingerprint(content, version, steady)
        return Fingerprint(content, version, True)

    def _read_folder(self, place: Path, stop: Stop) -> Fingerprint:
        parts: list[str] = []
        versions: list[str] = []
        steady = True
        for folder, folders, files in os.walk(place):
            folders.sort()
            for name in sorted(files):
                path = Path(folder, name)
                found = self.read(path, stop)
                parts.append(f"{path.relative_to(place).as_posix()}\0{found.content}")
                versions.append(found.version)
                steady = steady and found.steady
                if len(parts) > MAX_FOLDER_FILES:
                    raise OSError(f"{place} holds more than {MAX_FOLDER_FILES} files")
        return Fingerprint(_short("\n".join(parts)), _short("\n".join(versions)), steady)

    def _recall(self, version: str) -> str | None:
        with self._lock:
            content = self._known.get(version)
            if content is not None:
                self._known.move_to_end(version)
                return content
        content = self._file.find(version) if self._file is not None else None
        if content is not None:
            self._keep(version, content)
        return content

    def _remember(self, version: str, content: str) -> None:
        self._keep(version, content)
        if self._file is not None:
            self._file.add(version, content)

    def _keep(self, version: str, content: str) -> None:
        with self._lock:
            self._known[version] = content
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)


def _status(place: Path) -> os.stat_result | None:
    try:
        return place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _version(place: Path, status: os.stat_result) -> str:
    """Return text that changes with every change of the file that the operating system notes."""
    parts = [place, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    if not HAS_CHANGE_TIME and status.st_size > SMALL_BYTES:
        parts.append(_samples(place, status.st_size))
    return _short("\0".join(map(str, parts)))


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _age(status: os.stat_result) -> float:
    """Return the seconds since the last change; negative where the file's clock is ahead of ours."""
    changed = status.st_ctime_ns if HAS_CHANGE_TIME else status.st_mtime_ns
    return (time.time_ns() - changed) / 1e9


def _is_settled(status: os.stat_result) -> bool:
    return _age(status) >= YOUNG_SECONDS


def _is_steady(status: os.stat_result) -> bool:
    """Return whether a change from now on is sure to change the version."""
    changed = status.st_ctime_ns if HAS_CHANGE_TIME else status.st_mtime_ns
    is_fine = changed % 10_000_000 != 0  # coarse file systems count seconds, or hundredths of them
    return is_fine and _age(status) >= TICK_SECONDS


def _is_read_each_time(status: os.stat_result) -> bool:
    return not HAS_CHANGE_TIME and status.st_size <= SMALL_BYTES


def _samples(place: Path, size: int) -> str:
    """Return a digest of pieces of a file, its beginning and its end among them."""
    digest = hashlib.blake2b(digest_size=16)
    with place.open("rb", buffering=0) as file:
        for index in range(_SAMPLES):
            file.seek((size - _SAMPLE_BYTES) * index // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _digest(place: Path, size: int, stop: Stop) -> str:
    """Return the digest of a file's content: the same on every machine, whatever is installed."""
    began = time.monotonic()
    if size >= LARGE_BYTES:
        logger.info("reading %s (%.1f GiB) to know its content; once, until it changes", place, size / (1 << 30))
    chunks: list[bytes] = []
    total = 0
    buffer = memoryview(bytearray(min(_BUFFER, size // CHUNK * CHUNK + CHUNK)))
    with place.open("rb", buffering=0) as file:
        while filled := _fill(file.readinto, buffer):
            if stop():
                raise FingerprintStopped(str(place))
            chunks += hash_view(buffer[:filled])
            total += filled
    if size >= LARGE_BYTES:
        logger.info("read %s in %.1f s", place, time.monotonic() - began)
    return value_digest(b"file", [(total, chunks)])


def _fill(read: Callable[[memoryview], int | None], buffer: memoryview) -> int:
    """Fill the buffer as far as the file goes: chunks are cut at the same places however much one read gives."""
    filled = 0
    while filled < len(buffer) and (count := read(buffer[filled:])):
        filled += count
    return filled


_of_user: Fingerprints | None = None
_lock = threading.Lock()


def fingerprints_of_user() -> Fingerprints:
    """Return the fingerprints that all of a user's programs share."""
    global _of_user
    with _lock:
        if _of_user is None:
            folder = cache_folder()
            _of_user = Fingerprints(None if folder is None else FingerprintFile(folder / "fingerprints"))
        return _of_user


def _begin_again() -> None:
    """Forget what this process has open after a fork: a lock may be held by a thread that is not here."""
    global _of_user, _lock
    _of_user, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
