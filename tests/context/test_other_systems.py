"""The branches of `home.os_support` for Windows and macOS, with substitutes for what those systems lack or have.

The module is loaded once more under another name, with `sys.platform`, `msvcrt` and the functions of `os` as on that
system. What cannot be seen this way is whether the system itself behaves as the substitute does.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from discomfort.context.errors import UnsafeDirectoryError
from discomfort.context.home import os_support

POSIX_ONLY = ("pread", "pwrite", "posix_fallocate", "getuid")


class Locks:
    """`msvcrt`: a lock belongs to a file and a descriptor, and covers the byte at the position of the file."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        self.held: dict[tuple[int, int], int] = {}
        self.refusals = 0

    def locking(self, fd: int, mode: int, nbytes: int) -> None:
        assert (os.lseek(fd, 0, os.SEEK_CUR), nbytes) == (0, 1), "every process must lock the same byte"
        key = (os.fstat(fd).st_dev, os.fstat(fd).st_ino)
        if mode == self.LK_UNLCK:
            if self.held.pop(key, None) != fd:
                raise PermissionError(errno.EACCES, "not locked")
        elif key in self.held:
            self.refusals += 1
            raise PermissionError(errno.EACCES, "locked")
        else:
            self.held[key] = fd


def load(monkeypatch: pytest.MonkeyPatch, platform: str, without: tuple[str, ...], **modules: object) -> Any:
    """Return the module as it is on another system."""
    for name in without:
        monkeypatch.delattr(os, name, raising=False)
    spec = importlib.util.spec_from_file_location("os_support_elsewhere", os_support.__file__)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as while_loading:
        while_loading.setattr(sys, "platform", platform)
        for name, module in modules.items():
            while_loading.setitem(sys.modules, name, module)
        spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def locks() -> Locks:
    return Locks()


# pytest makes `tmp_path` with functions that are taken away here, so it comes first.


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: Locks) -> Any:
    return load(monkeypatch, "win32", POSIX_ONLY, msvcrt=locks, fcntl=None, resource=None)


@pytest.fixture
def macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return load(monkeypatch, "darwin", ("posix_fallocate",))


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def test_windows_locks_exclude_each_other(windows: Any, locks: Locks, tmp_path: Path) -> None:
    first, second = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    windows.write_all(first, b"some content moves the position of the file", 0)
    assert windows.try_lock_exclusive(first)
    assert not windows.try_lock_exclusive(second)
    windows.read_at(first, 5, 10)
    windows.unlock(first)
    assert windows.try_lock_exclusive(second)
    windows.unlock(second)
    assert not locks.held
    assert windows.SHARED_LOCKS is False
    assert windows.try_lock_shared(first)  # a mapped file cannot be written over there: nothing to lock
    assert not locks.held
    assert not windows.descriptors_are_scarce(10**6)
    os.close(first)
    os.close(second)


def test_windows_waits_for_a_lock(windows: Any, locks: Locks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    assert windows.try_lock_exclusive(first)

    def sleep(seconds: float) -> None:
        if locks.refusals == 3:
            windows.unlock(first)

    monkeypatch.setattr(windows, "time", types.SimpleNamespace(sleep=sleep))
    windows.lock_exclusive(second)
    assert locks.refusals == 3
    assert list(locks.held.values()) == [second]
    os.close(first)
    os.close(second)


def test_windows_process_lock(windows: Any, locks: Locks, tmp_path: Path) -> None:
    lock = windows.ProcessLock(tmp_path / "lock")
    for _ in range(2):
        with lock:
            assert len(locks.held) == 1
        assert not locks.held
    lock.close()


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_bytes_at_an_offset(system: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    module = request.getfixturevalue(system)
    fd, other = opened(tmp_path / "file"), opened(tmp_path / "copy")
    module.write_all(fd, b"0123456789", 0)
    module.write_all(fd, memoryview(b"abc"), 4)
    assert module.read_at(fd, 100, 2) == b"23abc789"
    assert module.read_at(fd, 2, 4) == b"ab"
    assert module.read_at(fd, 2, 100) == b""
    module.copy_file(fd, other, 6)
    assert module.read_at(other, 100, 0) == b"0123ab"
    os.close(fd)
    os.close(other)


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_space_is_reserved_by_zeros_and_keeps_what_is_there(
    system: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    module = request.getfixturevalue(system)
    fd = opened(tmp_path / "file")
    module.write_all(fd, b"kept", 0)
    size = (2 << 20) + 5
    module.reserve(fd, size)
    assert os.fstat(fd).st_size == size
    assert os.fstat(fd).st_blocks * 512 >= size, "a file with a hole is not backed by space"
    assert module.read_at(fd, 6, 0) == b"kept\0\0"
    module.reserve(fd, 10)
    assert os.fstat(fd).st_size == size
    os.close(fd)


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_a_full_disk_shows_while_space_is_reserved(
    system: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = request.getfixturevalue(system)

    def full(fd: int, data: object, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "pwrite", full)
    fd = opened(tmp_path / "file")
    with pytest.raises(OSError, match="No space left") as caught:
        module.reserve(fd, 1 << 20)
    assert module.is_full(caught.value)
    os.close(fd)


def test_windows_directories_belong_to_a_name(windows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no numbers of users and no permission bits: links and files are refused all the same."""
    monkeypatch.setenv("USERNAME", "ada")
    assert windows.user_name() == "ada"
    monkeypatch.delenv("USERNAME")
    assert windows.user_name() == "user"
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert windows.secure_directory(folder) == folder
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(UnsafeDirectoryError, match="symbolic link"):
        windows.secure_directory(tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(UnsafeDirectoryError, match="not a directory"):
        windows.secure_directory(tmp_path / "file")


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_where_values_lie_without_dev_shm(
    system: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = request.getfixturevalue(system)

    def elsewhere(path: str) -> Path:
        return tmp_path / "absent" if path.startswith(("/dev/shm", "/proc", "/var/tmp", "/sys")) else Path(path)

    monkeypatch.setattr(module, "Path", elsewhere)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("TMPDIR", raising=False)
    assert module.ram_root() == module.disk_root() == tmp_path
    assert not module.is_tmpfs(tmp_path)
    assert module.available_ram() > 0
