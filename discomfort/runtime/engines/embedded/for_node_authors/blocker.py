"""How a node keeps what follows it from running, and how one is left whose run was cancelled."""

from __future__ import annotations

from typing import Any


class Interrupted(BaseException):
    """Raised inside a node, or between two, when the run was cancelled. No `except Exception` swallows it."""


class ExecutionBlocked(Exception):
    """What a run fails with in which a blocker with a message kept a node from running."""


class ExecutionBlocker:
    """Returned by a node in place of an output: nodes that would read that output do not run.

    With a `message` the user sees why; without one the branch ends silently.

    Example:
        >>> class OnlyIfPositive:
        ...     RETURN_TYPES = ("INT",)
        ...     FUNCTION = "check"
        ...
        ...     def check(self, number):
        ...         return (number if number > 0 else discomfort.ExecutionBlocker("the number is not positive"),)
        >>> OnlyIfPositive().check(-1)
        (ExecutionBlocker('the number is not positive'),)
    """

    __slots__ = ("message",)

    def __init__(self, message: str | None = None) -> None:
        self.message: str | None = message

    def __repr__(self) -> str:
        return f"ExecutionBlocker({self.message!r})"


def own_blocker(value: Any) -> Any:
    """Return ComfyUI's ExecutionBlocker as ours, and any other value as it is.

    ComfyUI's is recognised by the name of its class or of a base, wherever it was imported from, and by its message:
    nodes written for ComfyUI work here without it.
    """
    kind = type(value)
    if kind is not ExecutionBlocker:
        for base in kind.__mro__:
            if base.__name__ == "ExecutionBlocker" and hasattr(value, "message"):
                return ExecutionBlocker(value.message)
    return value
