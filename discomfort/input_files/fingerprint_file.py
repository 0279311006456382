"""A small file of digests that a user's programs share: lines are added, and none is believed that is not whole.

Programs may add at the same time, and be killed while they do: a line is one write, and has a checksum. When the file
has grown too large its newest lines are written to another, which takes its place; what another program adds in that
moment is lost, and worked out again. Where the file cannot be read or written, or others could, nothing is kept.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
import threading
from pathlib import Path

logger: logging.Logger = logging.getLogger("discomfort")

MAX_BYTES = 1 << 20
KEPT_LINES = 4096
_VERSION = "1"


class FingerprintFile:
    """Texts without spaces by key, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._lines: dict[str, str] = {}
        self._seen: tuple[int, int, int] | None = None
        self._given_up = False

    def find(self, key: str) -> str | None:
        """Return what any program added under `key`, None where none did."""
        with self._lock:
            found = self._lines.get(key)
            if found is None and self._has_changed():
                self._read()
                found = self._lines.get(key)
            return found

    def add(self, key: str, text: str) -> None:
        """Add a line; where that is not possible it is left out."""
        with self._lock:
            self._lines[key] = text
            self._forget_oldest()
            if self._given_up:
                return
            try:
                self._append(_line(key, text))
            except OSError as error:
                self._give_up(error)

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(self._path.parent)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self._path, flags, 0o600)
        try:
            # a line that was cut off by a kill must not swallow this one
            os.write(descriptor, b"\n" + line)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > MAX_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        """Keep the newest lines."""
        self._read()
        newest = list(self._lines.items())[-KEPT_LINES // 2 :]
        self._lines = dict(newest)
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=".fingerprints-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(_line(key, text) for key, text in newest)
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink()
            raise
        self._seen = None

    def _has_changed(self) -> bool:
        if self._given_up:
            return False
        try:
            status = self._path.stat()
        except OSError:
            return False
        now = (status.st_ino, status.st_size, status.st_mtime_ns)
        changed, self._seen = now != self._seen, now
        return changed

    def _read(self) -> None:
        try:
            _require_own(self._path.parent)
            _require_own(self._path)
            with self._path.open("rb") as file:
                content = file.read(4 * MAX_BYTES)
        except OSError as error:
            self._give_up(error)
            return
        for line in content.splitlines():
            whole = _parsed(line)
            if whole is not None:
                self._lines.pop(whole[0], None)  # the newest come last
                self._lines[whole[0]] = whole[1]
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._lines) > KEPT_LINES:
            del self._lines[next(iter(self._lines))]

    def _give_up(self, error: OSError) -> None:
        self._given_up = True
        logger.warning("the digests of files are not kept for other programs: %s", error)


def _line(key: str, text: str) -> bytes:
    body = f"{_VERSION} {key} {text}"
    return f"{body} {_checksum(body)}\n".encode()


def _parsed(line: bytes) -> tuple[str, str] | None:
    """Return key and text of a line, None for one that is not whole or not ours."""
    try:
        version, key, text, checksum = line.decode("ascii").split(" ")
    except ValueError:
        return None
    if version != _VERSION or checksum != _checksum(f"{version} {key} {text}"):
        return None
    return key, text


def _checksum(body: str) -> str:
    return hashlib.blake2b(body.encode(), digest_size=8).hexdigest()


def _require_own(path: Path) -> None:
    """Raise where others may write what we are about to believe."""
    status = path.stat()
    if not hasattr(os, "getuid"):
        return
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{path} belongs to another user, or others may write to it")
