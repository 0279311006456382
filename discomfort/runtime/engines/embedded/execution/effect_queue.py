"""Output nodes of a prompt, started in its order.

A prompt of a plan lists its effects in the order of the workflows, and files are numbered as they are written. ComfyUI
itself has no order among output nodes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class StartSequence:
    """Nodes that start one after the other, whenever they get ready; every other node starts as it likes."""

    def __init__(self, node_ids: Iterable[str]) -> None:
        self._queue = deque(node_ids)
        self._unstarted = set(self._queue)
        self._held: set[str] = set()

    def admits(self, node_id: str) -> bool:
        """Return whether a node that is ready may start, and count it as started; else hold it."""
        if node_id not in self._unstarted:
            return True
        if self._queue[0] != node_id:
            self._held.add(node_id)
            return False
        self._queue.popleft()
        self._unstarted.discard(node_id)
        return True

    def follower(self) -> str | None:
        """Return the node held that may start now, None where the next one is not ready."""
        return self._queue[0] if self._queue and self._queue[0] in self._held else None

    def give_way(self) -> str | None:
        """Return the first node held, out of turn: what is before it waits for it, by an expansion's link."""
        node_id = next((node_id for node_id in self._queue if node_id in self._held), None)
        if node_id is not None:
            self._queue.remove(node_id)
            self._unstarted.discard(node_id)
            self._held.discard(node_id)
        return node_id
