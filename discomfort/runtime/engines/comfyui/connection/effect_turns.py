"""One request as several turns of a server, which runs what a prompt asks for in an order of its own.

Each turn is the whole prompt with other targets: what an earlier turn computed is found in the server's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

from discomfort.runtime.engines.comfyui.connection.prompt_in_flight import PromptRun
from discomfort.runtime.engines.protocol import Event, Listener, NodeFinished, PromptRequest

Targets: TypeAlias = Sequence[str] | None
"""The output nodes that a turn runs; None: all."""


def turns(request: PromptRequest) -> list[Targets]:
    """Return what is requested one after the other: groups of effects, the last of them with what is delivered."""
    if len(request.sequence) < 2:
        return [None]
    *first, last = request.sequence
    return [*first, [*last, *request.outputs.values()]]


def all_targets(request: PromptRequest) -> Targets:
    """Return what all turns together ask for."""
    return [*chain(*request.sequence), *request.outputs.values()] if len(request.sequence) > 1 else None


def dedupe_finished_events(listener: Listener | None) -> Listener | None:
    """Return a listener that hears of each node's end once, though a node is part of several turns."""
    if listener is None:
        return None
    finished: set[str] = set()

    def hear(event: Event) -> None:
        if isinstance(event, NodeFinished):
            if event.node in finished:
                return
            finished.add(event.node)
        listener(event)

    return hear


def nodes_of(runs: Sequence[PromptRun]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the nodes that ran in one of the turns, and those that were cached in all."""
    executed = {node: None for run in runs for node in run.executed}
    cached = {node: None for run in runs for node in run.cached if node not in executed}
    return tuple(executed), tuple(cached)
