"""Values that are stored here and cannot be rebuilt in this Python: it lacks their class, or they lie elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from discomfort.context.errors import UnreadableValueError
from discomfort.context.values.decode import SERVER, TEXT
from discomfort.context.values.encoded import Encoded, inline_encoded, take_apart


@dataclass(frozen=True, slots=True)
class ServerValue:
    """What is stored in place of a value that stays on the ComfyUI server that made it, since only pickle can carry it.

    Attributes:
        digest: the value's content digest in the server's own context.
        type: the name of its class.
        key: under which key the server has our context; no other server, and no restarted one, has that.
    """

    digest: str
    type: str
    key: str


class OpaqueAttributeError(UnreadableValueError, AttributeError):
    """An attribute was asked of a value that this Python cannot rebuild; `hasattr` answers False to that."""


class OpaqueValue:
    """A result that this Python cannot rebuild, such as a VIDEO where ComfyUI is not installed.

    Give it to a run on the same ComfyUI as an input, or `context.save` it under another name: its bytes are passed on
    as they are. Anything else raises UnreadableValueError, which says what it is and how to get at it.

    Example:
        >>> with discomfort.Context() as context:
        ...     context.save("seed", 7)
        ...     isinstance(context.load("seed"), discomfort.OpaqueValue)
        False
    """

    __slots__ = ("__weakref__", "_encoded", "_error")

    def __init__(self, error: UnreadableValueError, encoded: Encoded) -> None:
        self._error = error
        self._encoded = encoded

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the class {self._error.type}: {self._error.reason}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(f"an OpaqueValue has no attribute {name!r}")
        error = self._error
        raise OpaqueAttributeError(error.type, error.reason, error.place)

    def _refuse(self, *_arguments: object, **_options: object) -> NoReturn:
        raise UnreadableValueError(self._error.type, self._error.reason, self._error.place)

    __len__: Any = _refuse
    __iter__: Any = _refuse
    __getitem__: Any = _refuse
    __setitem__: Any = _refuse
    __contains__: Any = _refuse
    __call__: Any = _refuse
    __enter__: Any = _refuse
    __exit__: Any = _refuse
    __int__: Any = _refuse
    __float__: Any = _refuse
    __index__: Any = _refuse
    __bytes__: Any = _refuse
    __array__: Any = _refuse
    __add__: Any = _refuse
    __radd__: Any = _refuse
    __sub__: Any = _refuse
    __rsub__: Any = _refuse
    __mul__: Any = _refuse
    __rmul__: Any = _refuse
    __truediv__: Any = _refuse
    __rtruediv__: Any = _refuse
    __lt__: Any = _refuse
    __gt__: Any = _refuse
    __reduce_ex__: Any = _refuse

    def __bool__(self) -> bool:
        return True

    def __copy__(self) -> OpaqueValue:
        return self

    def __deepcopy__(self, _memo: object) -> OpaqueValue:
        """Return a copy with bytes of its own, for use after the context is gone."""
        return OpaqueValue(self._error, take_apart(self._encoded.to_bytes()))


def opaque_reason(value: OpaqueValue) -> tuple[str, str]:
    """Return the name of an opaque value's class, and why this Python cannot rebuild it."""
    return value._error.type, value._error.reason


def server_value(value: OpaqueValue) -> ServerValue | None:
    """Return where an opaque value lies, None where its bytes are here."""
    if value._encoded.info()[0] != SERVER:
        return None
    tag = json.loads(value._encoded.structure)
    return ServerValue(tag["digest"], tag["type"], tag["key"])


def opaque_value(error: UnreadableValueError, place: str) -> OpaqueValue:
    """Return what replaces a value that could not be read; `place` says whose value it is, for its errors."""
    stored = error.stored
    assert stored is not None, "decoding notes what it could not decode"
    encoded = inline_encoded(stored) if stored[:1] == TEXT else take_apart(stored)
    return OpaqueValue(UnreadableValueError(error.type, error.reason, place), encoded)
