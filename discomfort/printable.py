r"""Text as a terminal can show it: titles, names and messages of nodes and servers that other people wrote; numbers.

A title may hold the codes that clear a screen or rename a window, marks that turn the direction of writing so that
text reads otherwise than it is, or halves of a surrogate pair, which no file can hold. All of them are shown as their
escapes (`\x1b`), never sent.
"""

from __future__ import annotations

import re

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_DIRECTIONS = "\u202a-\u202e\u2066-\u2069"
_HALVES = "\ud800-\udfff"
_NOT_TEXT = re.compile(f"[{_CONTROLS}{_DIRECTIONS}{_HALVES}]")
_NOT_ON_A_LINE = re.compile(f"[{_CONTROLS}{_DIRECTIONS}{_HALVES}\t\n\u2028\u2029]")


def printable(text: str) -> str:
    """Return text with everything escaped that is none; it keeps its lines and tabs."""
    return _NOT_TEXT.sub(_escape, text)


def printable_line(text: str) -> str:
    """Return text as one line: as `printable`, with ends of lines and tabs escaped, too."""
    return _NOT_ON_A_LINE.sub(_escape, text)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where there is not one: `1 node`, `2 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def exact_number(number: float) -> str:
    """Return a bound with all of its digits: a whole number below 1e21 without point or exponent."""
    return str(int(number)) if abs(number) < 1e21 and float(number).is_integer() else str(number)


def shortened(text: str, most: int) -> str:
    """Return text of at most `most` characters; what is longer ends in three dots."""
    return text if len(text) <= most else text[: most - 3] + "..."


def _escape(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode("ascii")
