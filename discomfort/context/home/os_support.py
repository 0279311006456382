"""What the operating system gives us: locks that die with their process, space that is there, safe directories."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from discomfort.context.errors import UnsafeDirectoryError

if sys.platform == "win32":
    import msvcrt

    SHARED_LOCKS = False

    def descriptors_are_scarce(fd: int) -> bool:
        """Is this descriptor, the lowest that was free, near the limit?"""
        return False

    def pread(fd: int, size: int, offset: int) -> bytes:
        """Read at an offset."""
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)

    def pwrite(fd: int, data: bytes | memoryview, offset: int) -> int:
        """Write at an offset; returns how much was written."""
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data)

    def lock_exclusive(fd: int) -> None:
        """Wait for the lock of an open file."""
        while not try_lock_exclusive(fd):
            time.sleep(0.001)

    def try_lock_exclusive(fd: int) -> bool:
        """Take the lock of an open file unless someone has it."""
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def try_lock_shared(fd: int) -> bool:
        """Windows refuses to delete or overwrite a mapped file, which is all a reader needs."""
        return True

    def unlock(fd: int) -> None:
        """Release what this open file holds."""
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl
    import resource

    SHARED_LOCKS = True
    pread: Callable[[int, int, int], bytes] = os.pread
    pwrite: Callable[[int, bytes | memoryview, int], int] = os.pwrite

    def descriptors_are_scarce(fd: int) -> bool:
        """Is this descriptor, the lowest that was free, near the limit?"""
        return fd >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] * 3 // 4

    def lock_exclusive(fd: int) -> None:
        """Wait for the lock of an open file; the kernel releases it when the process dies."""
        fcntl.flock(fd, fcntl.LOCK_EX)

    def try_lock_exclusive(fd: int) -> bool:
        """Take the lock of an open file unless someone has it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def try_lock_shared(fd: int) -> bool:
        """Share the lock of an open file unless someone has it for himself."""
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(fd: int) -> None:
        """Release what this open file holds."""
        fcntl.flock(fd, fcntl.LOCK_UN)


_COPY_SIZE = 8 << 20
BINARY = getattr(os, "O_BINARY", 0)


class ProcessLock:
    """A mutex between threads and processes, on a file; the death of its holder releases it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | BINARY, 0o600)

    def acquire(self) -> None:
        """Wait for it."""
        self._threads.acquire()
        try:
            lock_exclusive(self._fd)
        except BaseException:
            self._threads.release()
            raise

    def release(self) -> None:
        """Give it back."""
        try:
            unlock(self._fd)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Close the file; the lock must be free."""
        os.close(self._fd)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write at an offset, in full.

    Raises:
        OSError: no room, among others. On tmpfs this is how a full RAM tier shows, where a mapping would die of SIGBUS.
    """
    written = pwrite(fd, data, offset)
    if written == len(data):
        return
    view = memoryview(data)
    while written < len(view):
        written += pwrite(fd, view[written:], offset + written)


def read_at(fd: int, size: int, offset: int) -> bytes:
    """Read up to `size` bytes at an offset."""
    parts: list[bytes] = []
    while size > 0:
        part = pread(fd, size, offset)
        if not part:
            break
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return b"".join(parts)


def copy_file(source: int, target: int, size: int) -> None:
    """Copy the first `size` bytes of one open file to another."""
    for offset in range(0, size, _COPY_SIZE):
        write_all(target, read_at(source, min(_COPY_SIZE, size - offset), offset), offset)


def reserve(fd: int, size: int) -> None:
    """Make sure that `size` bytes of the file are backed by real space.

    Raises:
        OSError: there is not enough room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    zeros = bytes(1 << 20)
    for offset in range(os.fstat(fd).st_size, size, len(zeros)):
        write_all(fd, memoryview(zeros)[: min(len(zeros), size - offset)], offset)


def is_full(error: OSError) -> bool:
    """Does an error say that there is no room?"""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def free_bytes(directory: Path) -> int:
    """Room left on the file system of a directory, in bytes."""
    return shutil.disk_usage(directory).free


def available_ram() -> int:
    """RAM that is free now, in bytes, within the limit of our control group where there is one."""
    import psutil

    available = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return available
    return max(0, min(available, limit - used))


def ram_root() -> Path:
    """Where shared mappings live in memory: /dev/shm, else the temporary directory."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and os.access(shared, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def disk_root() -> Path:
    """Where values spill to: TMPDIR, else the temporary directory, else /var/tmp when that one is RAM itself."""
    root, fallback = Path(tempfile.gettempdir()), Path("/var/tmp")
    if "TMPDIR" not in os.environ and is_tmpfs(root) and fallback.is_dir() and not is_tmpfs(fallback):
        return fallback
    return root


def is_tmpfs(path: Path) -> bool:
    """Does a path lie on a file system held in RAM? False where that cannot be known."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    resolved = path.resolve()
    best, kind = -1, ""
    for line in mounts:
        _, mount, file_system, *_ = line.split(" ")
        point = Path(mount.replace("\\040", " "))
        if point in (resolved, *resolved.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), file_system
    return kind in ("tmpfs", "ramfs")


def user_name() -> str:
    """What sets this user's directories apart from others'."""
    if hasattr(os, "getuid"):
        return str(os.getuid())
    return os.environ.get("USERNAME", "user")


def secure_directory(path: Path) -> Path:
    """Create a directory for us alone (0700), or check one that exists (C7).

    Raises:
        UnsafeDirectoryError: it is a symbolic link, not a directory, another user's, or writable by others.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        check_directory(path)
    return path


def own_directory(path: Path, marker: str, inside: str) -> Path:
    """Create a directory for us alone, or find one: `path`, or one in it called `inside` where `path` is not ours.

    A directory is ours that was empty, or has a file called `marker` in it, which the caller makes. What others put
    into theirs stays as it is, and so do the permissions of such a directory.

    Raises:
        UnsafeDirectoryError: as `secure_directory`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        refuse_unsafe(path)
        if not (path / marker).is_file() and any(path.iterdir()):
            return secure_directory(path / inside)
        check_directory(path)
    return path


def check_directory(path: Path) -> None:
    """Refuse a directory that others could have prepared or could change, and close it to those who could read it.

    Raises:
        UnsafeDirectoryError: says which of these it is.
        FileNotFoundError: there is none.
    """
    refuse_unsafe(path)
    if hasattr(os, "getuid") and path.stat().st_mode & 0o077:
        path.chmod(0o700)


def refuse_unsafe(path: Path) -> None:
    """Refuse a directory that others could have prepared or could change.

    Raises:
        UnsafeDirectoryError: says which of these it is.
        FileNotFoundError: there is none.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeDirectoryError(f"{path} is a symbolic link; a context directory must be a real one")
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeDirectoryError(f"{path} is not a directory")
    if not hasattr(os, "getuid"):
        return
    if found.st_uid != os.getuid():
        raise UnsafeDirectoryError(f"{path} belongs to user {found.st_uid}, not to us ({os.getuid()})")
    if found.st_mode & 0o022:
        mode = stat.S_IMODE(found.st_mode)
        raise UnsafeDirectoryError(f"{path} can be written by others (mode {mode:o}); expected 700: chmod 700 {path}")
