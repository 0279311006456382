"""What a person sees while a run goes on: a bar of nodes, sampler steps and iterations, and a callback for programs.

Bars are drawn on a terminal or in a notebook; where neither is there, nothing is written. `DISCOMFORT_PROGRESS=0`
turns them off.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from discomfort.printable import printable_line
from discomfort.runtime.engines.protocol import Event, Listener, NodeFinished, NodePlace, NodeProgress, NodeStarted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

logger: logging.Logger = logging.getLogger("discomfort")


@dataclass(frozen=True, slots=True)
class ProgressUpdate:
    """How far a run is: `done` of `total` nodes in run `iteration` of `iterations` (counted from 1).

    `place` is the node at work, and `fraction` (0 to 1) how much of it is done where the node says so.

    Example:
        >>> updates = []
        >>> plan = discomfort.compile([{
        ...     "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        ...     "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "picture", "input": ["1", 0]}}}])
        >>> with discomfort.Context() as context:
        ...     results = plan.run(context, on_progress=updates.append)
        >>> updates[-1].done == updates[-1].total
        True
    """

    iteration: int
    iterations: int
    done: int
    total: int
    place: NodePlace | None
    fraction: float | None


OnProgress: TypeAlias = Callable[[ProgressUpdate], None]


class RunProgress:
    """Follows one run (or several iterations of one) and shows a person and a callback how far it is."""

    def __init__(self, iterations: int = 1, callback: OnProgress | None = None, show: bool | None = None) -> None:
        self._iterations = iterations
        self._callback = callback
        self._show = progress_visible() if show is None else show
        self._iteration = 0
        self._done = 0
        self._total = 0
        self._places: dict[str, NodePlace] = {}
        self._bars: Progress | None = None
        self._nodes: TaskID | None = None
        self._steps: TaskID | None = None

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin_iteration(self) -> None:
        """Count a new run; its prompts follow."""
        self._iteration += 1
        self._done = self._total = 0

    def add_prompt(self, nodes: int) -> None:
        """Add a prompt of `nodes` nodes to what there is to do."""
        self._total += nodes
        if self._show:
            self._draw()

    def name_places(self, places: Mapping[str, NodePlace]) -> None:
        """Set where the nodes of a prompt were written; events name them by their ids in it."""
        self._places.update(places)

    @property
    def listener(self) -> Listener | None:
        """The listener of an engine's events; None where events are not used, so that engines do not send them."""
        return self._listen if self._show or self._callback is not None else None

    def _listen(self, event: Event) -> None:
        place = self._places.get(event.node)
        fraction = None
        if isinstance(event, NodeFinished):
            self._done = min(self._done + 1, self._total)
        elif isinstance(event, NodeProgress) and event.maximum > 0:
            fraction = min(event.value / event.maximum, 1.0)
        if self._callback is not None:
            self._call(ProgressUpdate(self._iteration, self._iterations, self._done, self._total, place, fraction))
        if self._bars is not None:
            self._update_bars(event, place)

    def _call(self, update: ProgressUpdate) -> None:
        """Call the program's callback; one that raises is not called again, since the run itself is well."""
        assert self._callback is not None
        try:
            self._callback(update)
        except Exception:
            logger.exception("the on_progress callback raised, and is not called again in this run")
            self._callback = None

    def _draw(self) -> None:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._nodes = self._bars.add_task("nodes")
            self._steps = self._bars.add_task("steps", visible=False)
            self._bars.start()
        assert self._nodes is not None
        which = f"run {self._iteration}/{self._iterations}" if self._iterations > 1 else "nodes"
        self._bars.update(self._nodes, description=which, total=self._total, completed=self._done)

    def _update_bars(self, event: Event, place: NodePlace | None) -> None:
        assert self._bars is not None
        assert self._nodes is not None
        assert self._steps is not None
        title = printable_line(place.title if place else event.node)
        if isinstance(event, NodeProgress):
            self._bars.update(self._steps, description=title, total=event.maximum, completed=event.value, visible=True)
        elif isinstance(event, NodeStarted):
            self._bars.update(self._steps, visible=False)
        else:
            self._bars.update(self._nodes, completed=self._done)


def progress_visible() -> bool:
    """Return whether progress bars would reach a person: standard error is a terminal, or this is a notebook."""
    if os.environ.get("DISCOMFORT_PROGRESS", "") == "0":
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules
