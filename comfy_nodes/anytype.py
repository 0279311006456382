"""ComfyUI's any type, also for versions that compare the types at the two ends of a link as plain text."""

from __future__ import annotations


class AnyType(str):
    """A type name that differs from no other: older ComfyUI refuses a link when the types at its ends differ (`!=`).

    Equality stays that of text, by which ComfyUI decides whether to convert a literal to INT, FLOAT or STRING.
    """

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


ANY = AnyType("*")
