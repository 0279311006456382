"""Parts of JSON that a user may have changed, each of the kind that it must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from discomfort.ir.untrusted_json.numbers import LAST_SLOT

Chosen = TypeVar("Chosen", bound=str)


def text(value: Any) -> str:
    """Return a text.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, str):
        raise ValueError(f"found {value!r:.60}, expected text")
    return value


def texts(values: Any) -> tuple[str, ...]:
    """Return a list of texts; raises as `text`."""
    return tuple(text(value) for value in items(values))


def text_or_none(value: Any) -> str | None:
    """Return a text or None; raises as `text`."""
    return None if value is None else text(value)


def truth(value: Any) -> bool:
    """Return a truth value.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"found {value!r:.60}, expected true or false")
    return value


def number_or_none(value: Any) -> float | None:
    """Return a number or None.

    Raises:
        ValueError: it is something else.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ValueError(f"found {value!r:.60}, expected a number")
    return value


def slot(value: Any) -> int:
    """Return the number of an output.

    Raises:
        ValueError: it is not a whole number, or not the number of an output.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LAST_SLOT:
        raise ValueError(f"found {value!r:.60}, expected the number of an output")
    return value


def one_of(value: Any, choices: Sequence[Chosen]) -> Chosen:
    """Return one of several texts.

    Raises:
        ValueError: it is none of them.
    """
    for choice in choices:
        if value == choice:
            return choice
    raise ValueError(f"found {value!r:.60}, expected one of {', '.join(choices)}")


def items(values: Any) -> Iterable[Any]:
    """Return the items of a list.

    Raises:
        ValueError: it is not a list.
    """
    if not isinstance(values, (list, tuple)):
        raise ValueError(f"found {values!r:.60}, expected a list")
    return values


def entries(values: Any) -> Iterable[tuple[str, Any]]:
    """Return the entries of an object.

    Raises:
        ValueError: it is not an object, or a name in it is not a text.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"found {values!r:.60}, expected an object")
    return [(text(name), value) for name, value in values.items()]
