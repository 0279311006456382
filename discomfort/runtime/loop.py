"""One event loop in a thread of its own, where every engine lives.

Engines keep sockets and processes that belong to one event loop, while callers come from plain scripts, from other
running loops (Jupyter, a web server) and from several threads. All of them hand their work to this loop, so that there
is one code path and an engine never changes loops.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

CLEAN_UP = 10.0
"""Seconds that interrupted work may take to clean up before Ctrl-C returns all the same."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


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
    finished = threading.Event()
    future = asyncio.run_coroutine_threadsafe(_announcing(work, finished), loop)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        finished.wait(CLEAN_UP)
        raise


async def run_awaiting(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` on the engine loop from whatever loop the caller is on; cancelling the caller cancels the work."""
    loop = engine_loop()
    if _running_loop() is loop:
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


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


async def _announcing(work: Coroutine[Any, Any, Result], finished: threading.Event) -> Result:
    try:
        return await work
    finally:
        finished.set()
