"""What can go wrong in a context, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from discomfort.errors import DiscomfortError


class ContextError(DiscomfortError):
    """Base of the errors a context raises on its own account."""


class ContextClosedError(ContextError, RuntimeError):
    """The context was shut down, here or by its owner, or its folder was deleted.

    Example:
        >>> context = discomfort.Context()
        >>> context.shutdown()
        >>> context.save("seed", 7)
        Traceback (most recent call last):
            ...
        discomfort.ContextClosedError: ...
    """


class UnknownKeyError(ContextError, KeyError):
    """No value has this unique_id, digest or run_id; the message names near misses.

    Example:
        >>> with discomfort.Context() as context:
        ...     context.save("seed", 7)
        ...     context.load("sed")
        Traceback (most recent call last):
            ...
        discomfort.UnknownKeyError: no value named 'sed'; did you mean 'seed'?
    """

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr of its message


class CorruptValueError(ContextError, ValueError):
    """The stored bytes of a value are not the bytes that were saved."""


class UnsafeDirectoryError(ContextError, PermissionError):
    """A context directory that others could have prepared or could change."""


class UnresolvableRefError(ContextError, RuntimeError):
    """A value passed by reference was loaded where nothing can run its recipe."""


class EncodingError(ContextError, TypeError):
    """A value that cannot be stored, or not in the format requested.

    Example:
        >>> with discomfort.Context() as context:
        ...     context.save("recipe", 7, pass_by="ref")
        Traceback (most recent call last):
            ...
        discomfort.EncodingError: ...
    """


class UnreadableValueError(EncodingError):
    """A stored value that this Python cannot rebuild. It is whole, and can be passed on to where it can be used.

    Attributes:
        type: the name of its class.
        reason: why it cannot be rebuilt here.
        place: whose value it is, such as `'video'`; empty where that is not known.
        stored: the bytes that could not be read, where decoding noted them.
    """

    def __init__(self, type: str, reason: str, place: str = "") -> None:
        super().__init__(type, reason, place)
        self.type = type
        self.reason = reason
        self.place = place
        self.stored: Any = None

    def __str__(self) -> str:
        return (
            f"{self.place or 'a value'}, stored as {self.type}, cannot be rebuilt in this Python: {self.reason}. "
            "A run on the ComfyUI that made it takes it as an input as it is. To use it here, run in-process "
            "(engine='inprocess:PATH'), or end the workflow in a node that gives images, text or a file of it"
        )


class WireError(ContextError, ValueError):
    """Bytes from a network that are not an encoded value."""


def folder_deleted(folder: Path) -> ContextClosedError:
    """The error of a context whose folder was deleted."""
    return ContextClosedError(
        f"the folder of this context was deleted: {folder}; its values are lost, so open another context"
    )
