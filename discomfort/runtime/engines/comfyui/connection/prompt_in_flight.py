"""One prompt on its way through a ComfyUI server: what its messages mean."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from discomfort.runtime.engines.comfyui.connection.answers import list_in, object_in, shown, text_of
from discomfort.runtime.engines.comfyui.connection.server_errors import node_failure
from discomfort.runtime.engines.protocol import (
    EngineError,
    Event,
    Listener,
    NodeFinished,
    NodePlace,
    NodeProgress,
    NodeStarted,
    PromptInterrupted,
)


class PromptRun:
    """The state of one prompt; `submitted` once the server took it, `finished` is done when the server is.
    What it ended with is raised by `raise_error`.

    `heard` is when the server last said something about it (seconds, monotonic).
    """

    def __init__(self, prompt_id: str, places: Mapping[str, NodePlace], listener: Listener | None) -> None:
        self.prompt_id = prompt_id
        self.places = places
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submitted = False
        self.heard: float = time.monotonic()
        self.ui: dict[str, Mapping[str, Any]] = {}
        self._listener = listener
        self._current: str | None = None
        self._executed: dict[str, None] = {}
        self._cached: dict[str, None] = {}
        self._error: EngineError | None = None

    @property
    def executed(self) -> tuple[str, ...]:
        """The nodes that ran, in the order in which they started."""
        return tuple(self._executed)

    @property
    def cached(self) -> tuple[str, ...]:
        """The nodes whose results the server had."""
        return tuple(self._cached)

    def hear(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take in one websocket message about this prompt."""
        self.heard = time.monotonic()
        if kind == "executing":
            self._start(data.get("node"))
        elif kind == "progress":
            self._report(NodeProgress(text_of(data.get("node")), _number(data.get("value")), _number(data.get("max"))))
        elif kind == "executed":
            self._take_ui(text_of(data.get("node")), data.get("output"))
        elif kind == "execution_cached":
            self._take_cached(data.get("nodes"))
        elif kind == "execution_success":
            self._start(None)
            self._finish(None)
        elif kind == "execution_error":
            self._finish(node_failure(data, self.places))
        elif kind == "execution_interrupted":
            self._finish(PromptInterrupted("the prompt was interrupted on the server"))

    def recall(self, entry: Mapping[str, Any]) -> None:
        """Take in what `/history` says about this prompt, after messages may have been missed."""
        for node, output in object_in(entry.get("outputs")).items():
            self._take_ui(node, output)
        status = object_in(entry.get("status"))
        for kind, data in _messages(status):
            if kind != "execution_start":
                self.hear(kind, data)
        if status.get("completed") or status.get("status_str") == "success":
            self.hear("execution_success", {})
        self._finish(EngineError(f"the server ended the prompt with status {shown(status.get('status_str'))!r}"))

    def raise_error(self) -> None:
        """Raise what the run ended with, if it failed; once.

        No future and no task holds it: what holds an error is held by the error's traceback, with all values on the
        way, and only the garbage collector frees such a circle.
        """
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error

    def lose(self, error: EngineError) -> None:
        """End the run because the server is lost."""
        self._finish(error)

    def _start(self, node: Any) -> None:
        """Note that `node` runs now (None: nothing does), so that the one before it is done."""
        if self._current is not None and self._current != node:
            self._report(NodeFinished(self._current, cached=False))
        self._current = None if node is None else text_of(node)
        if self._current is not None:
            self._executed[self._current] = None
            self._report(NodeStarted(self._current))

    def _take_ui(self, node: str, output: Any) -> None:
        if isinstance(output, Mapping):
            self.ui[node] = output

    def _take_cached(self, nodes: Any) -> None:
        for node in map(text_of, list_in(nodes)):
            self._cached[node] = None
            self._report(NodeFinished(node, cached=True))

    def _report(self, event: Event) -> None:
        if self._listener is not None and not self.finished.done():
            self._listener(event)

    def _finish(self, error: EngineError | None) -> None:
        if not self.finished.done():
            self._error = error
            self.finished.set_result(None)


def _messages(status: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for message in list_in(status.get("messages")):
        if isinstance(message, list) and len(message) == 2 and isinstance(message[1], Mapping):
            yield text_of(message[0]), message[1]


def _number(value: Any) -> float:
    """Return a number of a message; 0 for what is none, or too large for a float."""
    return float(value) if isinstance(value, (int, float)) and abs(value) <= sys.float_info.max else 0.0
