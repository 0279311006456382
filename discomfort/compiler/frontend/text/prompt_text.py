"""Texts that the frontend rewrites while it makes a prompt: random choices, comments, file name patterns."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import datetime

_COMMENT_START = re.compile(r"/[*/]")
_LINE_END = re.compile(r"[\n\r\u2028\u2029]")
_TOKENS = re.compile(r"\\[\s\S]?|[{}|]")
_PATTERN = re.compile(r"%([^%]+)%")
_FORBIDDEN = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
MOST_CHOICES = 100_000
"""A text with more `{` than this is not rewritten: no user writes one, and choices nest."""

_DATE_PARTS = re.compile(r"yyyy|yyy|yy|MM|M|dd|d|hh|h|mm|m|ss|s")


def choose(count: int, seed: str) -> int:
    """Return which of `count` choices is taken: the same for the same seed, on every platform."""
    return random.Random(seed).randrange(count)


def dynamic_prompt(text: str, seed: str) -> str:
    r"""Return the text without comments and with one choice taken from each `{a|b}`.

    Choices nest, and one that is never closed ends with the text. `\{`, `\}` and `\|` are plain characters; a
    backslash at the very end is followed by the word "undefined", as in the editor.

    Args:
        text: the value of a widget with dynamic prompts.
        seed: what decides the choices, together with their position in the text.
    """
    if "/" in text:
        text = _without_comments(text)
    if "{" not in text and "\\" not in text:
        return text
    outer: list[list[str]] = []
    choices = [""]
    plain = 0
    for token in _TOKENS.finditer(text):
        choices[-1] += text[plain : token.start()]
        plain = token.end()
        word = token.group()
        if word[0] == "\\":
            escaped = word[1:] or "undefined"
            choices[-1] += escaped if escaped in ("{", "}", "|") else "\\" + escaped
        elif word == "{":
            outer.append(choices)
            choices = [""]
        elif not outer:
            choices[-1] += word
        elif word == "|":
            choices.append("")
        else:
            chosen = choices[choose(len(choices), f"{seed}/{token.start()}")]
            choices = outer.pop()
            choices[-1] += chosen
    choices[-1] += text[plain:]
    while outer:
        chosen = choices[choose(len(choices), f"{seed}/{len(outer)}")]
        choices = outer.pop()
        choices[-1] += chosen
    return choices[0]


def _without_comments(text: str) -> str:
    """Return the text without `//` and `/* */` comments, in linear time; one that is never closed is none."""
    kept: list[str] = []
    done = position = 0
    while (start := _COMMENT_START.search(text, position)) is not None:
        if start.group() == "//":
            end = _LINE_END.search(text, start.end())
            position = len(text) if end is None else end.start()
        else:
            closed = text.find("*/", start.end())
            if closed < 0:
                return "".join([*kept, _without_line_comments(text[done:])])
            position = closed + 2
        kept.append(text[done : start.start()])
        done = position
    return "".join([*kept, text[done:]])


def _without_line_comments(text: str) -> str:
    return re.sub(r"//[^\n\r\u2028\u2029]*", "", text)


def file_name(text: str, widget_value: Callable[[str, str], object], clock: Callable[[], datetime]) -> str:
    """Return a file name with `%date:format%` and `%node.widget%` replaced; other patterns stay.

    One dot makes a pattern name a widget; of a date with more of them only what comes before the first is kept.

    Args:
        text: the value of a `filename_prefix` widget.
        widget_value: gives the value of a widget by node name and widget name, as text; raises KeyError for none.
        clock: gives the time for `%date:…%`.
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        node, *rest = name.split(".")
        if len(rest) != 1:
            return format_date(node[5:], clock()) if node.startswith("date:") else match.group(0)
        (widget,) = rest
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
        if word == "yyy":
            return word
        return f"{parts[word[0]]:0{len(word)}d}"

    return _DATE_PARTS.sub(replace, pattern)
