"""ComfyUI's any type, also for versions that compare the types at the two ends of a link as plain text.

Besides it, how a loader can have another type where a prompt is only validated: its value is not there yet, but its
type is known.
"""

from __future__ import annotations

from typing import Any


class AnyType(str):
    """A type name that differs from no other: older ComfyUI refuses a link when the types at its ends differ (`!=`).

    Equality stays that of text, by which ComfyUI decides whether to convert a literal to INT, FLOAT or STRING.
    """

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


ANY = AnyType("*")


class PendingType(str):
    """The type of a value that is not there yet: differs from no type that the value may fit.

    ComfyUI has the last word on what differs; what it is sure to accept must not depend on its version.
    """

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        if not isinstance(other, str):  # the choices of a combo, which ComfyUI 0.3.64 has as its type
            return str(self) != "*"
        own, theirs = ({part.strip() for part in text.split(",")} for text in (str(self), str(other)))
        return own.isdisjoint(theirs) and "*" not in own | theirs

    def __hash__(self) -> int:
        return str.__hash__(self)


class TypedSlot(int):
    """The number of an output in a link, with the type that the output has there."""

    kind: str

    def __new__(cls, number: int, kind: str) -> TypedSlot:
        """Return the number of an output that has type `kind`."""
        made = super().__new__(cls, number)
        made.kind = kind
        return made


class LoaderTypes(tuple[str, ...]):
    """The RETURN_TYPES of a loader: the types that ComfyUI shows, and in a link with a typed slot that slot's."""

    __slots__ = ()

    def __getitem__(self, slot: Any) -> Any:
        return slot.kind if isinstance(slot, TypedSlot) else super().__getitem__(slot)
