"""Numbers of a workflow that count something: slots and ids. JSON has only one kind of number, and no limit to it."""

from __future__ import annotations

LAST_SLOT = 2**31
"""Slots are counted below this."""
NO_SLOT = -1
"""What a number that counts no slot becomes; a link with it is reported as one without an end."""


def whole_slot(number: float) -> int:
    """Return the slot that a JSON number counts: 1 for 1.0, and `NO_SLOT` for -1, 10**400, 0.5, infinities and NaN."""
    whole = isinstance(number, int) or number.is_integer()
    return int(number) if whole and 0 <= number < LAST_SLOT else NO_SLOT


def whole_id(text: str) -> int | None:
    """Return the number that a node's id is, None where it is none; so long an id that no editor counts on is none."""
    return int(text) if len(text) < 19 and text.isdecimal() else None
