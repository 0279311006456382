"""Who may reach the contexts of a ComfyUI server: those who know its token.

The token is `DISCOMFORT_TOKEN` of the server's environment. Where there is none the server makes one and leaves it in
a file that only its own user can read, so that programs of the same user on the same machine find it. The file also
holds the port: what answers on another one is not the server that left the file, whatever it calls itself.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import secrets
import stat
import sys
import tempfile
from pathlib import Path

TOKEN_VARIABLE = "DISCOMFORT_TOKEN"
_SERVER_NAME = re.compile(r"[0-9]+-[0-9a-f]{32}")


def token_directory() -> Path:
    """Return the folder of this user's token files; it need not exist."""
    # By hand, not by platformdirs: server and client must find the same folder from two Pythons, one of which may lack
    # that library, and its releases differ in where they look when XDG_RUNTIME_DIR is not set.
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(base) / f"discomfort-tokens-{user}"


def read_token(server_name: str, port: int | None) -> str | None:
    """Return the token that a server of this user and machine left, or None.

    `server_name` is what the server calls itself; anything that is not such a name is answered with None, so that a
    hostile server cannot make us read another file. `port` is where it was reached.
    """
    if not _SERVER_NAME.fullmatch(server_name) or not _is_private(token_directory()):
        return None
    try:
        token, _, left = (token_directory() / server_name).read_text("utf-8").strip().partition("\n")
    except (OSError, ValueError):
        return None
    return token if token and left in ("", str(port)) else None


def _own_port() -> str:
    """Return the port of the ComfyUI in this process as text; empty where it does not say."""
    arguments = getattr(sys.modules.get("comfy.cli_args"), "args", None)
    return str(getattr(arguments, "port", None) or "")


class ServerToken:
    """This server's name and token."""

    def __init__(self) -> None:
        self.server_name: str = f"{os.getpid()}-{secrets.token_hex(16)}"
        given = os.environ.get(TOKEN_VARIABLE)
        self.token: str = given or secrets.token_urlsafe(32)
        self.file: Path | None = None if given else self._leave_file()

    def _leave_file(self) -> Path | None:
        """Write the token where this user's programs find it; None where that is not possible safely."""
        folder = token_directory()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_private(folder):
                return None
            _remove_stale(folder)
            path = folder / self.server_name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(f"{self.token}\n{_own_port()}")
        except OSError:
            return None
        atexit.register(_remove, path)
        return path


def _is_private(folder: Path) -> bool:
    """Return whether `folder` is a real directory, ours, and closed to all other users."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)


def _remove_stale(folder: Path) -> None:
    """Remove token files of servers that are gone."""
    for path in folder.iterdir():
        process = path.name.partition("-")[0]
        if os.name == "posix" and _SERVER_NAME.fullmatch(path.name) and not _is_running(int(process)):
            _remove(path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
