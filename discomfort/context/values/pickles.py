"""Values that only pickle can hold. Read from our own context, never from a network (C7, C8)."""

from __future__ import annotations

import functools
import io
import pickle
from collections.abc import Callable
from typing import Any

from discomfort.context.errors import ContextError, EncodingError, UnreadableValueError

_UNKNOWN = "unknown"

KeepApart = Callable[[Any], "int | None"]


def pickle_value(value: Any, keep_apart: KeepApart) -> bytes:
    """Pickle a value, leaving out the parts for which `keep_apart` gives a number.

    Raises:
        EncodingError: it cannot be pickled; the message names the type and the reason.
    """
    stream = io.BytesIO()
    try:
        _pickler_class()(stream, keep_apart).dump(value)
    except Exception as error:  # __reduce__ of a foreign class may raise anything
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise EncodingError(
            f"a {kind} cannot be stored by value ({type(error).__name__}: {error}); "
            f'store what rebuilds it instead (pass_by="ref"){_advice()}'
        ) from error
    return stream.getvalue()


def unpickle_value(data: memoryview, part: Callable[[int], Any]) -> Any:
    """Read a pickle of our own context, with the parts that were kept next to it.

    Raises:
        UnreadableValueError: this Python lacks the value's class, or has another one of that name.
    """
    try:
        return _Unpickler(io.BytesIO(data), part).load()
    except (ContextError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        raise UnreadableValueError(_UNKNOWN, f"it has no module {error.name!r}") from error
    except Exception as error:  # what a foreign class does when it is rebuilt may raise anything
        raise UnreadableValueError(_UNKNOWN, f"{type(error).__name__}: {error}") from error


class _Unpickler(pickle.Unpickler):
    """Reads what `pickle_value` wrote in our own directory, which `check_directory` vouches for."""

    def __init__(self, stream: io.BytesIO, part: Callable[[int], Any]) -> None:
        super().__init__(stream)
        self._part = part

    def persistent_load(self, pid: Any) -> Any:
        return self._part(pid)


@functools.cache
def _pickler_class() -> Callable[[io.BytesIO, KeepApart], pickle.Pickler]:
    """Make the class once: a class leads to itself, and one made for each value would hold that value's tensors."""
    try:
        from cloudpickle import Pickler as Base
    except ImportError:
        from pickle import Pickler as Base

    class Pickler(Base):  # type: ignore[misc, valid-type, unused-ignore]
        def __init__(self, stream: io.BytesIO, keep_apart: KeepApart) -> None:
            super().__init__(stream, protocol=5)
            self._keep_apart = keep_apart

        def persistent_id(self, item: Any) -> int | None:
            return self._keep_apart(item)

    return Pickler


def _advice() -> str:
    try:
        import cloudpickle  # noqa: F401
    except ImportError:
        return ", or install cloudpickle, which can store more"
    return ""
