"""One event loop in a thread of its own, where every engine lives.

Engines keep sockets and processes that belong to one event loop, while callers come from plain scripts, from other
running loops (Jupyter, a web server) and from several threads. All of them hand their work to this loop, so that there
is one code path and an engine never changes loops.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

CLEAN_UP = 10.0
"""Seconds that interrupted work may take to clean up before Ctrl-C returns all the same."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _begin_anew() -> None:
    """Forget the loop in a process that was forked: its thread is the parent's, so nobody would run what it gets."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def engine_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop of the engine thread, starting the thread when there is none."""
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="discomfort-engines", daemon=True).start()
        return _loop


def run_blocking(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` on the engine loop and wait for it; Ctrl-C cancels it, waits for its clean-up, and is raised again.

    Raises:
        RuntimeError: when called on the engine loop itself, which would wait for itself.
    """
    loop = engine_loop()
    if _running_loop() is loop:
        work.close()
        raise RuntimeError("a blocking run was asked for on the engine loop; await the asynchronous form instead")
    errand = _Errand(work)
    try:  # Ctrl-C may come while the work is handed over, too
        return asyncio.run_coroutine_threadsafe(errand.coroutine, loop).result()
    except KeyboardInterrupt:
        errand.cancel(loop)
        errand.settle(loop)
        raise


async def run_awaiting(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` on the engine loop from whatever loop the caller is on.

    Cancelling the caller cancels the work and waits for its clean-up, since a program may end right after.
    """
    loop = engine_loop()
    if _running_loop() is loop:
        return await work
    errand = _Errand(work)
    future = asyncio.run_coroutine_threadsafe(errand.coroutine, loop)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.cancel()
        await asyncio.shield(asyncio.to_thread(errand.settle, loop))
        raise


async def within(seconds: float, work: Awaitable[Result]) -> Result:
    """Wait for `work`, at most `seconds`; then, or when the caller is cancelled, cancel it.

    `asyncio.wait_for` before Python 3.12 loses a cancellation that comes in the moment in which the work ends.

    Raises:
        asyncio.TimeoutError: it took longer.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise asyncio.TimeoutError
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Errand(Generic[Result]):
    """Work handed to another loop as `coroutine`, whose end can be waited for even after its future was cancelled."""

    def __init__(self, work: Coroutine[Any, Any, Result]) -> None:
        self.coroutine = self._run()
        self._work = work
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._began = threading.Event()
        self._ended = threading.Event()

    async def _run(self) -> Result:
        self._task = asyncio.current_task()
        self._began.set()
        try:
            if self._cancelled:
                self._work.close()
                raise asyncio.CancelledError
            return await self._work
        finally:
            self._ended.set()

    def cancel(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel the work, also where nobody got hold of its future."""

        def cancel() -> None:
            self._cancelled = True
            if self._task is not None:
                self._task.cancel()

        loop.call_soon_threadsafe(cancel)

    def settle(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until cancelled work has cleaned up, at most CLEAN_UP seconds; not for work that never began."""
        for _ in range(2):  # the loop makes the task in one turn, and begins or drops it in the next
            turn = threading.Event()
            loop.call_soon_threadsafe(turn.set)
            turn.wait(CLEAN_UP)
        if self._began.is_set():
            self._ended.wait(CLEAN_UP)
        else:
            self.coroutine.close()
            self._work.close()
