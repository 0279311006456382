"""What regular expressions do for text nodes. Run as a program, a process that answers one request after another.

It imports nothing of Discomfort and nothing beyond the standard library, so that it starts in a few hundredths of a
second. A request and its answer are a length of eight bytes and marshalled data. The process ends when its parent does,
when a request takes too long, and after a while without requests.
"""

from __future__ import annotations

import marshal
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

LARGEST_TEXT = 64 * 1024 * 1024
"""Characters of the longest text that a node may give."""

IDLE_SECONDS = 60.0
"""Without a request for so long, the process ends; the next request starts another."""
LOOK_SECONDS = 0.2
"""How often a long request looks whether its time is up and its parent still there."""
GRACE_SECONDS = 2.0
"""After so much more time even a request that does not look is ended."""
LARGEST_MEMORY = 4 * 1024 * 1024 * 1024

TIMED_OUT = 75
ORPHANED = 76


class TextTooLong(ValueError):
    """A result would be longer than texts may be."""

    def __init__(self) -> None:
        super().__init__(f"the result would have more than {LARGEST_TEXT} characters")


def search(pattern: str, flags: int, text: str) -> bool:
    """Return whether a regular expression occurs in a text."""
    return re.search(pattern, text, flags) is not None


def extract(pattern: str, flags: int, text: str, mode: str, group: int) -> str:
    """Return what a regular expression or one of its groups matches, one a line."""
    compiled = re.compile(pattern, flags)
    if mode == "All Matches":
        which = min(compiled.groups, 1)
        return _lines(match.group(which) or "" for match in compiled.finditer(text))
    if mode == "All Groups":
        if compiled.groups < max(group, 1):
            return ""
        return _lines(match.group(group) for match in compiled.finditer(text))
    match = compiled.search(text)
    if match is None:
        return ""
    if mode == "First Match":
        return match.group(0)
    return match.group(group) if compiled.groups >= group else ""


def replace(pattern: str, flags: int, text: str, template: str, count: int) -> str:
    """Return a text in which what a regular expression matches is replaced, `count` times or everywhere."""
    compiled = re.compile(pattern, flags)
    most = (len(text) + 1) * len(template)  # each backslash may put in a group as long as the text
    most += template.count("\\") * len(text) * (len(text) + 1) + len(text)
    if most <= LARGEST_TEXT:
        return compiled.sub(template, text, count=count)
    compiled.sub(template, "", count=1)  # refuses a template that is none, as the whole would
    left = LARGEST_TEXT - len(text)
    plain = "\\" not in template

    def expand(match: re.Match[str]) -> str:
        nonlocal left
        found = template if plain else match.expand(template)
        left -= len(found)
        if left < 0:
            raise TextTooLong
        return found

    return compiled.sub(expand, text, count=count)


def _lines(found: Iterable[str]) -> str:
    return "\n".join(_counted(found))


def _counted(found: Iterable[str]) -> Iterator[str]:
    left = LARGEST_TEXT
    for text in found:
        left -= len(text or "") + 1
        if left < 0:
            raise TextTooLong
        yield text


_WORK: dict[str, Callable[..., Any]] = {"search": search, "extract": extract, "replace": replace}


def answer(request: tuple[Any, ...]) -> tuple[str, Any]:
    """Do what a request asks for; return "done" and the result, or the name of an error and its message."""
    name, *arguments = request
    try:
        return "done", _WORK[name](*arguments)
    except re.error as error:
        return "re.error", str(error)
    except MemoryError:
        return "MemoryError", f"it needs more than {LARGEST_MEMORY >> 30} GiB of memory"
    except Exception as error:  # noqa: BLE001 — the caller raises it again
        return type(error).__name__, str(error)


def send(file: BinaryIO, data: Any) -> None:
    """Write one message."""
    content = marshal.dumps(data)
    file.write(len(content).to_bytes(8, "little") + content)
    file.flush()


def receive(file: BinaryIO) -> Any:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    size = file.read(8)
    content = file.read(int.from_bytes(size, "little")) if len(size) == 8 else b""
    if not content or len(content) < int.from_bytes(size, "little"):
        raise EOFError("the other side is gone")
    return marshal.loads(content)


def main(parent: int) -> None:
    """Answer requests (a limit in seconds, and what `answer` takes) from standard input on standard output."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _limit_memory()
    watch = _Watch(parent)
    while watch.request_comes(requests):
        try:
            seconds, request = receive(requests)
        except EOFError:
            return
        watch.begin(seconds)
        result = answer(request)
        watch.end()
        send(answers, result)


def _limit_memory() -> None:
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, hard))
    except (ImportError, ValueError, OSError):
        return  # Windows has no such limit, macOS does not keep it


class _Watch:
    """Ends this process when a request takes too long, or its parent has gone."""

    def __init__(self, parent: int) -> None:
        import faulthandler
        import os
        import signal

        self._os, self._signal, self._faulthandler = os, signal, faulthandler
        self._parent = parent
        self._deadline = 0.0
        self._nowhere = open(os.devnull, "w")  # noqa: PTH123, SIM115 — for as long as the process lives
        self._has_timer = hasattr(signal, "setitimer")
        if self._has_timer:
            # Python's regular expressions look for signals while they match, and do nothing else.
            signal.signal(signal.SIGALRM, self._look)

    def request_comes(self, requests: BinaryIO) -> bool:
        """Wait for a request; return False when none comes for long."""
        if not self._has_timer:
            return True  # select takes no pipes on Windows; the parent's end closes the pipe
        import select

        return bool(select.select([requests], [], [], IDLE_SECONDS)[0])

    def begin(self, seconds: float) -> None:
        import time

        self._deadline = time.monotonic() + seconds
        self._faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True, file=self._nowhere)
        if self._has_timer:
            self._signal.setitimer(self._signal.ITIMER_REAL, min(LOOK_SECONDS, seconds), LOOK_SECONDS)

    def end(self) -> None:
        if self._has_timer:
            self._signal.setitimer(self._signal.ITIMER_REAL, 0)
        self._faulthandler.cancel_dump_traceback_later()

    def _look(self, number: int, frame: object) -> None:
        import time

        if time.monotonic() >= self._deadline:
            self._os._exit(TIMED_OUT)
        if self._os.getppid() != self._parent:
            self._os._exit(ORPHANED)


if __name__ == "__main__":
    main(int(sys.argv[1]))
