"""The texts of `comfy_serverless.json`: command lines, and addresses at which a server is reached."""

from __future__ import annotations

import os
import re
import shlex

_HOST = re.compile(r"[^\s/?#@\x00-\x1f]{1,253}")


def split_command_line(line: str) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """Return interpreter, its options, and `main.py` arguments of a line such as `python3 -s main.py --cpu`.

    A bare `python` or `python3` means the interpreter that runs us (None), so that a virtual environment is kept.

    Raises:
        ValueError: a quotation is not closed.
    """
    arguments = shlex.split(line, posix=os.name == "posix")
    script = next((index for index, word in enumerate(arguments) if word.endswith("main.py")), None)
    if script is None:
        return None, (), tuple(arguments)
    interpreter = arguments[0] if script > 0 else None
    bare = interpreter in (None, "python", "python3", "python.exe")
    return (None if bare else interpreter), tuple(arguments[1:script]), tuple(arguments[script + 1 :])


def reachable_host(host: str) -> str:
    """Return where a server that listens on `host` is reached from this machine."""
    bare = host.split("://", 1)[-1].rstrip("/")
    return "127.0.0.1" if bare in ("0.0.0.0", "::", "") else bare


def has_port(host: str) -> bool:
    """Return whether an address holds a port besides the host."""
    return re.fullmatch(r"[^:]*:[0-9]+", reachable_host(host)) is not None


def is_host(host: str) -> bool:
    """Return whether an address can be looked up at all."""
    reachable = reachable_host(host)
    try:
        reachable.encode("idna")
    except UnicodeError:
        return False
    return _HOST.fullmatch(reachable) is not None
