"""What can go wrong in a context, by name."""

from __future__ import annotations

from pathlib import Path

from discomfort.errors import DiscomfortError


class ContextError(DiscomfortError):
    """Base of the errors a context raises on its own account."""


class ContextClosedError(ContextError, RuntimeError):
    """The context was shut down, here or by its owner, or its folder was deleted."""


class UnknownKeyError(ContextError, KeyError):
    """No value has this unique_id, digest or run_id; the message names near misses."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr of its message


class CorruptValueError(ContextError, ValueError):
    """The stored bytes of a value are not the bytes that were saved."""


class UnsafeDirectoryError(ContextError, PermissionError):
    """A context directory that others could have prepared or could change."""


class UnresolvableRefError(ContextError, RuntimeError):
    """A value passed by reference was loaded where nothing can run its recipe."""


class EncodingError(ContextError, TypeError):
    """A value that cannot be stored, or not in the format asked for."""


class WireError(ContextError, ValueError):
    """Bytes from a network that are not an encoded value."""


def folder_deleted(folder: Path) -> ContextClosedError:
    """What is said of a context whose folder somebody deleted."""
    return ContextClosedError(
        f"the folder of this context was deleted: {folder}; its values are lost, so open another context"
    )
