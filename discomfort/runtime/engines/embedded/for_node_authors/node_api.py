"""What a node function may ask of the run it is part of: report progress, stop when interrupted, learn its own id.

Outside a run progress goes nowhere and nothing is ever interrupted, so node functions can be called by hand.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol


class RunningPrompt(Protocol):
    """What a node may ask of the run that it is part of."""

    def check_interrupted(self) -> None:
        """Raise Interrupted when the run was cancelled."""

    def ended_by_cancel(self, end: Callable[[], object]) -> AbstractContextManager[None]:
        """Have `end` called when the run is cancelled during a `with` block."""
        ...

    def report(self, node: str, value: float, maximum: float) -> None:
        """Report how far a node is."""

    def load(self, digest: str) -> Any:
        """Return the value with this content digest from the context of the run."""

    def deliver(self, name: str, value: Any) -> None:
        """Take what a saver hands over."""


class Current:
    """The run, the node and the call (its index when a node is mapped over lists) that are executing now.

    Timers, tasks and threads that a node leaves behind keep its context, and so this, for as long as they last. So the
    run, with all of its values, is not kept alive from here.
    """

    __slots__ = ("_run", "call", "node")

    def __init__(self, run: RunningPrompt, node: str = "", call: int = 0) -> None:
        self._run = weakref.ref(run)
        self.node: str = node
        self.call: int = call

    @property
    def run(self) -> RunningPrompt | None:
        """The run; None once it has ended."""
        return self._run()

    def in_call(self, call: int) -> Current:
        """Return the same run and node in one of the node's calls."""
        other = Current.__new__(Current)
        other._run, other.node, other.call = self._run, self.node, call
        return other


current: ContextVar[Current | None] = ContextVar("discomfort_current_node", default=None)


def report_progress(value: float, maximum: float) -> None:
    """Report that the running node has done `value` of `maximum` steps.

    Raises:
        Interrupted: the run was cancelled.
    """
    running = current.get()
    if running is not None and (run := running.run) is not None:
        run.check_interrupted()
        run.report(running.node, value, maximum)


def raise_if_interrupted() -> None:
    """Leave the running node when its run was cancelled; long loops without progress to report call this.

    Raises:
        Interrupted: the run was cancelled.
    """
    running = current.get()
    if running is not None and (run := running.run) is not None:
        run.check_interrupted()


@contextmanager
def ended_by_cancel(end: Callable[[], object]) -> Iterator[None]:
    """Have `end` called, on the event loop, when the run is cancelled during a `with` block.

    Raises:
        Interrupted: the run was cancelled before.
    """
    running = current.get()
    run = None if running is None else running.run
    if run is None:
        yield
        return
    with run.ended_by_cancel(end):
        yield


def running_node() -> str | None:
    """Return the id of the node that is executing, None outside a run."""
    running = current.get()
    return None if running is None or running.run is None else running.node


def context_value(digest: str) -> Any:
    """Return the value with this content digest from the context of the run.

    Raises:
        RuntimeError: called outside a run.
    """
    running = current.get()
    run = None if running is None else running.run
    if run is None:
        raise RuntimeError("context values can only be read by a node that is running")
    return run.load(digest)
