"""Where runs live, who owns them, and what becomes of those whose owner died.

A run has a directory on disk and one in RAM. Its owner holds a lock in the former for as long as it lives; a run whose
lock is free is an orphan, and the next context removes it (C6).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from discomfort.context.errors import ContextClosedError, UnknownKeyError
from discomfort.context.home.os_support import (
    BINARY,
    SHARED_LOCKS,
    ProcessLock,
    check_directory,
    disk_root,
    own_directory,
    ram_root,
    refuse_unsafe,
    secure_directory,
    try_lock_exclusive,
    user_name,
)
from discomfort.settings.context import ContextConfig

_OWNER = "discomfort-owner.lock"
_LOCK = "runs.lock"
_NEW = "runs.new"
_INSIDE = "discomfort-contexts"
_BEGUN = {_OWNER, "blobs", "ram", "run.json.tmp"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CLOSED_WORD = struct.pack("<Q", (1 << 64) - 1)


@dataclass(frozen=True, slots=True)
class Run:
    """A run and its places, as they are handed to other processes.

    Attributes:
        disk: directory on disk: locks, spilled values.
        ram: directory in RAM: control word, journal, segments.
        capacity: RAM budget in bytes.
        memo_capacity: bytes that the memo alone may keep.
        token: distinguishes this run from a later one of the same name.
    """

    run_id: str
    disk: str
    ram: str
    capacity: int
    memo_capacity: int
    token: str

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)


class Roots:
    """The two directories that hold the runs of a user."""

    def __init__(self, config: ContextConfig) -> None:
        name = config.contexts_dir_name
        if Path(name).is_absolute():
            self.disk: Path = own_directory(Path(name), marker=_LOCK, inside=_INSIDE)
        else:
            self.disk = secure_directory(secure_directory(disk_root() / f"discomfort-{user_name()}") / name)
        tag = hashlib.blake2b(os.fsencode(self.disk.resolve()), digest_size=8).hexdigest()
        self.ram: Path = secure_directory(secure_directory(ram_root() / f"discomfort-{user_name()}-ram") / tag)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process creates or removes runs meanwhile."""
        lock = ProcessLock(self.disk / _LOCK)
        try:
            with lock:
                yield
        finally:
            lock.close()

    def create(self, run_id: str, capacity: int, memo_capacity: int) -> tuple[Run, int]:
        """Make a run; returns it and the descriptor that holds its ownership.

        Raises:
            FileExistsError: a run of this name lives already.
        """
        disk = self.disk / directory_name(run_id)
        note = self.disk / _NEW
        note.touch(mode=0o600)
        note.write_text(disk.name, encoding="utf-8")
        try:
            disk.mkdir(mode=0o700)
        except FileExistsError:
            note.unlink()
            raise FileExistsError(f"context {run_id!r} exists already; attach to it with create=False") from None
        owner = os.open(disk / _OWNER, os.O_RDWR | os.O_CREAT | BINARY, 0o600)
        try_lock_exclusive(owner)
        note.unlink()
        (disk / "blobs").mkdir(mode=0o700)
        ram = self._make_ram(disk)
        run = Run(run_id, str(disk), str(ram), capacity, memo_capacity, secrets.token_hex(16))
        temporary = disk / "run.json.tmp"
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(run.to_json()), encoding="utf-8")
        temporary.replace(disk / "run.json")
        return run, owner

    def _make_ram(self, disk: Path) -> Path:
        ram = self.ram / disk.name
        try:
            if ram.exists():
                shutil.rmtree(ram)
            ram.mkdir(mode=0o700)
            (ram / "probe").write_bytes(bytes(1 << 18))  # room for the control block, or the disk serves
            (ram / "probe").unlink()
        except OSError:
            shutil.rmtree(ram, ignore_errors=True)
            ram = disk / "ram"
            ram.mkdir(mode=0o700)
        return ram

    def find(self, run_id: str) -> Run:
        """An existing run.

        Raises:
            FileNotFoundError: there is none; the message names those there are.
        """
        try:
            return read_run(self.disk / directory_name(run_id))
        except FileNotFoundError:
            known = ", ".join(sorted(run.run_id for run in self.runs())) or "none"
            raise FileNotFoundError(f"no context with run_id {run_id!r} in {self.disk}; there are: {known}") from None

    def runs(self) -> Iterator[Run]:
        """Every run that is whole."""
        for directory in self.disk.iterdir():
            if directory.is_dir():
                with suppress(OSError, ValueError, TypeError):
                    yield read_run(directory)

    def reclaim(self, keep: str | None = None) -> list[str]:
        """Remove runs whose owner died, save one that is about to be adopted; returns their names. `locked` is held."""
        self._forget_unfinished()
        reclaimed = []
        kept = None if keep is None else directory_name(keep)
        for directory in list(self.disk.iterdir()):
            if directory.is_symlink() or not directory.is_dir() or directory.name == kept:
                continue
            if has_owner(directory) is False and is_run(directory):
                remove_run(directory, self.ram / directory.name)
                reclaimed.append(directory.name)
        for directory in list(self.ram.iterdir()):
            if not (self.disk / directory.name).exists():
                shutil.rmtree(directory, ignore_errors=True)
        return reclaimed

    def _forget_unfinished(self) -> None:
        """Remove the directory of a run whose creator was killed before it owned that.

        A note names it, and it is empty. An empty directory that no note names is not ours.
        """
        note = self.disk / _NEW
        with suppress(FileNotFoundError):
            unfinished = self.disk / note.read_text(encoding="utf-8")
            with suppress(OSError):
                if unfinished.parent == self.disk:
                    unfinished.rmdir()
            note.unlink()


def directory_name(run_id: str) -> str:
    """A run_id is just a name: what is not fit to be a directory's is hashed."""
    if _PLAIN_NAME.fullmatch(run_id):
        return run_id
    return "run-" + hashlib.blake2b(run_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def read_run(disk: Path) -> Run:
    """The run in a directory.

    Raises:
        FileNotFoundError: there is none, or it is not whole.
        UnsafeDirectoryError: the directory is not ours alone.
    """
    refuse_unsafe(disk)
    run = Run(**json.loads((disk / "run.json").read_text(encoding="utf-8")))
    check_directory(disk)  # not before: among runs there may be a directory of another user
    check_directory(Path(run.ram))
    return run


def is_run(directory: Path) -> bool:
    """Was a run made in a directory, or begun there? Not where a user put a copy of one, or other things."""
    try:
        made_in = Path(json.loads((directory / "run.json").read_text(encoding="utf-8"))["disk"])
    except FileNotFoundError:
        return {path.name for path in directory.rglob("*")} <= _BEGUN
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return made_in.name == directory.name


def run_of_handle(handle: dict[str, Any]) -> Run:
    """The run another process handed us, if it is still that one.

    Raises:
        UnknownKeyError: the handle is not one of ours.
        ContextClosedError: the run is over.
    """
    try:
        expected = Run(**handle)
    except TypeError as error:
        raise UnknownKeyError(f"not the handle of a context: {error}") from error
    try:
        run = read_run(Path(expected.disk))
    except TypeError as error:
        raise UnknownKeyError(f"not the handle of a context: {error}") from error
    except FileNotFoundError:
        raise ContextClosedError(f"context {expected.run_id!r} is over: {expected.disk} is gone") from None
    if not secrets.compare_digest(run.token, expected.token):
        raise ContextClosedError(f"context {expected.run_id!r} is over; another one has its name now")
    return run


def adopt(run: Run) -> int | None:
    """Become the owner of a run whose owner died; None while he lives."""
    owner = os.open(Path(run.disk) / _OWNER, os.O_RDWR | BINARY)
    if try_lock_exclusive(owner):
        return owner
    os.close(owner)
    return None


def has_owner(disk: Path) -> bool | None:
    """Does some process hold the ownership of the run in this directory? None: there is no run, or no longer."""
    try:
        owner = os.open(disk / _OWNER, os.O_RDWR | BINARY)
    except FileNotFoundError:
        return None
    try:
        return not try_lock_exclusive(owner)
    finally:
        os.close(owner)


def release_memory(segment: Path) -> None:
    """Free the pages of a segment that no process reads, even where another process still has it open."""
    with suppress(OSError):
        fd = os.open(segment, os.O_RDWR | BINARY)
        try:
            if SHARED_LOCKS and try_lock_exclusive(fd):
                os.ftruncate(fd, 0)
        finally:
            os.close(fd)


def remove_run(disk: Path, ram: Path) -> None:
    """Delete a run; the processes attached to it are notified first."""
    for place in (ram, disk / "ram"):
        with suppress(OSError), (place / "control").open("r+b") as control:
            control.write(_CLOSED_WORD)
    for segment in ram.glob("segment-*"):
        release_memory(segment)
    shutil.rmtree(ram, ignore_errors=True)
    shutil.rmtree(disk, ignore_errors=True)
