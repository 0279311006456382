"""The garbage collector while nodes run: out of the way of short ones, as usual under long ones.

A full collection visits all that ComfyUI and torch hold, about half a second, and a chain of ten thousand short nodes
leaves enough objects to set one off. A class whose nodes were short is run with the collector off; a class met for the
first time, or whose last node took long, is not, because such a node may leave large things in cycles.
"""

from __future__ import annotations

import gc
import time
from types import TracebackType

BRIEF = 0.001
"""Seconds that a node takes at most to be called short."""
PATIENCE = 1.0
"""Seconds of short nodes after which the objects made meanwhile are collected."""


class BriefPause:
    """Turns the collector off before each node of a class that was short last time; on again when left.

    Where the program has turned the collector off itself, nothing is changed.
    """

    def __init__(self) -> None:
        self._watched = gc.isenabled()
        self._paused = False
        self._brief: set[str] = set()
        self._last = ""
        self._began = self._collected = time.perf_counter()

    def __enter__(self) -> BriefPause:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._paused:
            gc.enable()

    def before(self, class_type: str) -> None:
        """Note that a node of this class runs next, and that the one before it has ended."""
        now = time.perf_counter()
        brief = self._brief
        if now - self._began > BRIEF:
            brief.discard(self._last)
        elif not self._paused:
            brief.add(self._last)
        if (class_type in brief) is not self._paused and self._watched:
            self._paused = not self._paused
            (gc.disable if self._paused else gc.enable)()
        if self._paused and now - self._collected > PATIENCE:
            gc.collect(1)
            self._collected = now = time.perf_counter()
        self._began = now
        self._last = class_type
