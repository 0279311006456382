"""How a node keeps what follows it from running."""

from __future__ import annotations


class ExecutionBlocked(Exception):
    """What a run fails with in which a blocker with a message kept a node from running."""


class ExecutionBlocker:
    """Returned by a node in place of an output: nodes that would read that output do not run.

    With a `message` the user is told why; without one the branch ends silently.
    """

    __slots__ = ("message",)

    def __init__(self, message: str | None = None) -> None:
        self.message = message

    def __repr__(self) -> str:
        return f"ExecutionBlocker({self.message!r})"
