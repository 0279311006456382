"""Texts that the frontend rewrites while it makes a prompt: random choices, comments, file name patterns."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import datetime

_COMMENTS = re.compile(r"/\*[\s\S]*?\*/|//.*")
_PATTERN = re.compile(r"%([^%]+)%")
_FORBIDDEN = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_DATE_PARTS = re.compile(r"yyyy|yy|MM|M|dd|d|hh|h|mm|m|ss|s")


def dynamic_prompt(text: str, seed: str) -> str:
    """Return the text without comments and with one choice taken from each `{a|b}`, drawn from `seed`.

    Choices nest; `\\{` and `\\}` are plain braces; a brace that never closes stays.
    """
    text = _COMMENTS.sub("", text) if "/" in text else text
    if "{" not in text and "\\" not in text:
        return text
    source = random.Random(seed)
    open_parts: list[list[str]] = []
    current = [""]
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\" and text[position + 1 : position + 2] in ("{", "}") and text[position + 1 : position + 2]:
            position += 1
            current[-1] += text[position]
        elif char == "{":
            open_parts.append(current)
            current = [""]
        elif char == "}" and open_parts:
            chosen = current[source.randrange(len(current))]
            current = open_parts.pop()
            current[-1] += chosen
        elif char == "|" and open_parts:
            current.append("")
        else:
            current[-1] += char
        position += 1
    while open_parts:
        rest = "{" + "|".join(current)
        current = open_parts.pop()
        current[-1] += rest
    return "|".join(current)


def file_name(text: str, widget_value: Callable[[str, str], object], clock: Callable[[], datetime]) -> str:
    """Return a file name with `%date:format%` and `%node.widget%` replaced; other patterns stay.

    Args:
        text: the value of a `filename_prefix` widget.
        widget_value: gives the value of a widget by node name and widget name, as text; raises KeyError for none.
        clock: gives the time for `%date:…%`.
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name.startswith("date:"):
            return format_date(name[5:], clock())
        node, dot, widget = name.partition(".")
        if not dot or "." in widget:
            return match.group(0)
        try:
            value = widget_value(node, widget)
        except KeyError:
            return match.group(0)
        return _FORBIDDEN.sub("_", str(value))

    return _PATTERN.sub(replace, text)


def format_date(pattern: str, moment: datetime) -> str:
    """Return a date in the editor's notation: yyyy yy MM M dd d hh h mm m ss s, hours from 0 to 23."""
    parts = {
        "d": moment.day,
        "M": moment.month,
        "h": moment.hour,
        "m": moment.minute,
        "s": moment.second,
    }

    def replace(match: re.Match[str]) -> str:
        word = match.group(0)
        if word == "yyyy":
            return f"{moment.year:04d}"
        if word == "yy":
            return f"{moment.year:04d}"[2:]
        return f"{parts[word[0]]:0{len(word)}d}"

    return _DATE_PARTS.sub(replace, pattern)
