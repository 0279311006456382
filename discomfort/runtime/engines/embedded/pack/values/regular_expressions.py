"""Regular expressions in a process of their own, which can be ended: Python's `re` cannot be interrupted in a thread.

One process is kept between calls. It is started by the first call, ends by itself after a while without work, and is
killed when a pattern takes too long, when the run is cancelled and on Ctrl-C. A killed parent leaves none behind.
"""

from __future__ import annotations

import atexit
import builtins
import logging
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

from discomfort.printable import shortened
from discomfort.runtime.engines.embedded.for_node_authors.node_api import ended_by_cancel, raise_if_interrupted
from discomfort.runtime.engines.embedded.pack.values import regular_expression_process

VARIABLE = "DISCOMFORT_REGEX_SECONDS"
"""The environment variable that changes how long a regular expression may take."""
LONGEST_SECONDS = 30.0

_MOST_KEPT = 1
_LONGEST_SHOWN = 100
_log = logging.getLogger(__name__)


def longest_seconds() -> float:
    """Return how long a regular expression may take."""
    try:
        seconds = float(os.environ.get(VARIABLE, ""))
    except ValueError:
        return LONGEST_SECONDS
    return min(seconds, 86400.0) if seconds > 0 else LONGEST_SECONDS


def match(work: str, pattern: str, flags: int, text: str, *arguments: Any) -> Any:
    """Do `work`, a function of `pattern_process`, in the process for regular expressions.

    Raises:
        TimeoutError: it takes longer than `longest_seconds`; names the pattern.
        re.error: the pattern, or a template, is not a regular expression.
        Interrupted: the run was cancelled.
    """
    request = (work, _plain(pattern), flags, _plain(text), *map(_plain, arguments))
    seconds = longest_seconds()
    process = _take()
    if process is None:
        return _result(regular_expression_process.answer(request))
    began = time.monotonic()
    try:
        with ended_by_cancel(process.kill):
            answered = process.ask((seconds, request))
    except BaseException:  # Ctrl-C too: what is half said cannot be used again
        process.close()
        raise
    if answered is None:
        code = process.close()
        raise_if_interrupted()
        raise _ended(code, time.monotonic() - began, seconds, pattern, text)
    _give_back(process)
    return _result(answered)


def _plain(value: Any) -> Any:
    """Return a text or a whole number as exactly that, without what a subclass adds.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"expected text, found {type(value).__name__}")


def _result(answered: tuple[str, Any]) -> Any:
    """Return the result in an answer, or raise its error."""
    kind, value = answered
    if kind == "done":
        return value
    if kind == "re.error":
        raise re.error(value)
    error = getattr(builtins, kind, ValueError)
    raise (error if isinstance(error, type) and issubclass(error, Exception) else ValueError)(value)


def _ended(code: int | None, took: float, seconds: float, pattern: str, text: str) -> Exception:
    shown = repr(shortened(pattern, _LONGEST_SHOWN))
    if code == regular_expression_process.TIMED_OUT or took >= seconds:
        return TimeoutError(
            f"the regular expression {shown} did not end within {seconds:g} s on a text of {len(text)} characters; "
            f"nested repetitions such as (a+)+ can take forever, and {VARIABLE} gives more time"
        )
    return RuntimeError(f"the process for regular expressions ended (status {code}) while it matched {shown}")


class _Process:
    """One process that answers requests."""

    def __init__(self) -> None:
        options: dict[str, Any] = {}
        if os.name == "nt":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined,unused-ignore]
        else:
            options["start_new_session"] = True  # Ctrl-C is for us; we end it
        program = str(Path(regular_expression_process.__file__))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", program, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **options,
        )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def ask(self, message: Any) -> Any:
        """Return what the process answers, None where it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            regular_expression_process.send(cast("BinaryIO", self._process.stdin), message)
            return regular_expression_process.receive(cast("BinaryIO", self._process.stdout))
        except (EOFError, BrokenPipeError, ConnectionError):
            return None

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> int | None:
        """End the process; return its status."""
        try:
            status = self._process.wait(0.1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._close_pipes()
        return status

    def forget(self) -> None:
        """Release a process that belongs to the parent of this one."""
        self._process.returncode = 0
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # the receiver of what was not sent yet is gone
                    continue


_kept: list[_Process] = []
_lock = threading.Lock()
_warned = False


def _take() -> _Process | None:
    """Return an idle process; None where none can be started."""
    with _lock:
        while _kept:
            process = _kept.pop()
            if process.is_running:
                return process
            process.close()
    return _start()


def _start() -> _Process | None:
    global _warned
    if not sys.executable or getattr(sys, "frozen", False):
        return None  # there is no Python to start: this is one program with everything inside
    try:
        return _Process()
    except OSError as error:
        if not _warned:
            _warned = True
            _log.warning("regular expressions run in this process, without a limit: no other can be started: %s", error)
        return None


def _give_back(process: _Process) -> None:
    with _lock:
        if len(_kept) < _MOST_KEPT:
            _kept.append(process)
            return
    process.close()


def close() -> None:
    """End the process that is kept, if there is one."""
    with _lock:
        processes, _kept[:] = list(_kept), []
    for process in processes:
        process.kill()
        process.close()


def _begin_again() -> None:
    """Forget processes after a fork: they are the parent's."""
    global _lock
    _lock = threading.Lock()
    processes, _kept[:] = list(_kept), []
    for process in processes:
        process.forget()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
