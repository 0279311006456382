"""One event loop in a thread of its own, where every engine lives.

Engines keep sockets and processes that belong to one event loop, while callers come from plain scripts, from other
running loops (Jupyter, a web server) and from several threads. All of them hand their work to this loop, so that there
is one code path and an engine never changes loops.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from concurrent.futures import Future, wait
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

CLEAN_UP = 10.0
"""Seconds that interrupted work may take to clean up before Ctrl-C returns all the same."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _begin_again() -> None:
    """Forget the loop in a process that was forked: its thread is the parent's, so its work would never run here."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)


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
        raise RuntimeError("a blocking run was requested on the engine loop; await the asynchronous form instead")
    handoff = _Handoff(work, loop)
    try:  # Ctrl-C may come while the work is handed over, too
        handoff.hand_over()
        return handoff.outcome.result()
    except KeyboardInterrupt:
        handoff.cancel()
        handoff.settle()
        raise
    finally:
        del handoff  # it holds its error, whose traceback holds this frame


async def run_awaiting(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` on the engine loop from whatever loop the caller is on.

    Cancelling the caller cancels the work and waits for its clean-up, since a program may end right after.
    """
    loop = engine_loop()
    if _running_loop() is loop:
        return await work
    handoff = _Handoff(work, loop)
    handoff.hand_over()
    try:
        return await asyncio.wrap_future(handoff.outcome)
    except asyncio.CancelledError:
        handoff.cancel()
        await asyncio.shield(asyncio.to_thread(handoff.settle))
        raise
    finally:
        del handoff  # as above


async def in_thread(work: Callable[[], Result]) -> Result:
    """Do `work` in a thread; when cancelled wait for it all the same, so that what it made can be taken back."""
    thread = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.gather(thread, return_exceptions=True)
        raise
    finally:
        del thread  # it holds its error, whose traceback holds this frame


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
        del task  # it holds its error, whose traceback holds this frame


async def all_or_none(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run `works` at the same time; the first failure, or cancelling the caller, cancels the others and waits for them.

    Raises:
        BaseException: the first failure.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        await cancel_all(tasks)
        tasks.clear()  # they hold their errors, whose tracebacks hold this frame


async def cancel_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel `tasks` and wait for them, whatever they end with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Handoff(Generic[Result]):
    """Work handed to another loop; `outcome` is done when it has ended, cancelled work once it has cleaned up."""

    def __init__(self, work: Coroutine[Any, Any, Result], loop: asyncio.AbstractEventLoop) -> None:
        self.outcome: Future[Result] = Future()
        self.outcome.set_running_or_notify_cancel()  # a caller that goes away does not end it, only the work does
        self._work = work
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._began = False
        self._cancelled = False

    def hand_over(self) -> None:
        """Let the other loop begin with the work."""
        self._loop.call_soon_threadsafe(self._begin)

    def cancel(self) -> None:
        """Cancel the work, also where it has not begun or was never handed over."""
        self._loop.call_soon_threadsafe(self._cancel)

    def settle(self) -> None:
        """Wait until cancelled work has cleaned up, at most CLEAN_UP seconds."""
        wait((self.outcome,), CLEAN_UP)

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())

    def _cancel(self) -> None:
        """Comes after `_begin`, should that come at all: a loop does what it is handed in order."""
        self._cancelled = True
        if self._task is None:
            self._drop()
        elif self._began:  # else `_run` sees it: a task cancelled before its first step never gets there
            self._task.cancel()

    async def _run(self) -> None:
        self._began = True
        if self._cancelled:
            self._drop()
            return
        try:
            result = await self._work
        except BaseException as error:  # noqa: BLE001 — it is for the caller; the loop outlives a SystemExit, too
            self.outcome.set_exception(error)
            del self  # it leads to the error, whose traceback holds this frame
        else:
            self.outcome.set_result(result)

    def _drop(self) -> None:
        self._work.close()
        self.outcome.set_exception(asyncio.CancelledError())
