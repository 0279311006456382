"""Between the worker thread, where nodes run, and the event loop, which stays free."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from discomfort.runtime.engine_thread import cancel_all
from discomfort.runtime.engines.embedded.for_node_authors.blocker import Interrupted
from discomfort.runtime.engines.protocol import Event, Listener

Finished = Callable[["asyncio.Task[Any] | None"], None]


class Bridge:
    """One run's way to the event loop: coroutines are run there, and events are delivered to the listener there.

    `start`, `wait` and `emit` are called in the worker thread, everything else on the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: Listener | None) -> None:
        self.listener = listener
        self.cancelled: bool = False
        self.at_cancel: list[Callable[[], object]] = []
        """What the worker thread waits for, and how to end it."""
        self.finished: queue.SimpleQueue[tuple[str, asyncio.Task[Any] | None]] = queue.SimpleQueue()
        self._loop = loop
        self._tasks: set[asyncio.Task[Any]] = set()
        self._events: deque[Event] = deque()
        self._delivering = False
        self._lock = threading.Lock()

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any], parts: Sequence[Coroutine[Any, Any, Any]]) -> None:
        """Run a coroutine on the loop; `(name, its task)` arrives in `finished`, the task None when interrupted.

        `parts` are those that it awaits; an interruption that comes before it has begun with them closes them.
        """
        self._loop.call_soon_threadsafe(self._create, coroutine, lambda task: self.finished.put((name, task)), parts)

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and wait for what it gives.

        Raises:
            Interrupted: the run was cancelled.
        """
        answer: queue.SimpleQueue[asyncio.Task[Any] | None] = queue.SimpleQueue()
        self._loop.call_soon_threadsafe(self._create, coroutine, answer.put, ())
        task = answer.get()
        if task is None or (self.cancelled and task.cancelled()):
            raise Interrupted
        try:
            return result_of(task)
        finally:
            del task  # it holds its error, whose traceback holds this frame

    def emit(self, event: Event) -> None:
        """Deliver events to the listener, in order, soon; many events of a short time are delivered together."""
        with self._lock:
            self._events.append(event)
            if self._delivering:
                return
            self._delivering = True
        self._loop.call_soon_threadsafe(self.deliver)

    def deliver(self) -> None:
        """Deliver the events so far to the listener."""
        with self._lock:
            events, self._events = self._events, deque()
            self._delivering = False
        if self.listener is not None and not self.cancelled:
            for event in events:
                self.listener(event)

    def cancel(self) -> None:
        """Stop the run: its coroutines now, its worker thread between two nodes."""
        self.cancelled = True
        for end in list(self.at_cancel):
            end()
        self.finished.put(("", None))
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Wait until no coroutine of the run is left, and deliver the last events."""
        await cancel_all(list(self._tasks))
        self._drain()
        self.deliver()

    def _drain(self) -> None:
        """Drop tasks that were not taken: their contexts lead to the run, and so back here. An interruption stays."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.finished.get_nowait()
        if self.cancelled:
            self.finished.put(("", None))

    def _create(
        self, coroutine: Coroutine[Any, Any, Any], finished: Finished, parts: Sequence[Coroutine[Any, Any, Any]]
    ) -> None:
        if self.cancelled:
            _close((coroutine, *parts))
            finished(None)
            return
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: _close(parts))
        task.add_done_callback(finished)


def result_of(task: asyncio.Task[Any]) -> Any:
    """Return what a finished task returned.

    Raises:
        BaseException: what the task raised. Before Python 3.11 each task and each `gather` on the way raises a new
            `CancelledError` without text, whose context is the one that it received.
    """
    try:
        return task.result()
    except asyncio.CancelledError as error:
        if _received(error) is error:
            raise
        raise _received(error) from None
    finally:
        del task  # it holds its error, whose traceback holds this frame


def _received(error: asyncio.CancelledError) -> asyncio.CancelledError:
    while not error.args and isinstance(error.__context__, asyncio.CancelledError):
        error = error.__context__
    return error


def _close(coroutines: Iterable[Coroutine[Any, Any, Any]]) -> None:
    for coroutine in coroutines:
        coroutine.close()
