"""Nodes that work on text."""

from __future__ import annotations

import json
import operator
import re
import string
from collections.abc import Callable
from typing import Any

from discomfort.runtime.engines.embedded.pack.protocol import node
from discomfort.runtime.engines.embedded.pack.sizes import LARGEST_TEXT, require_text
from discomfort.runtime.engines.embedded.pack.values import regular_expressions


@node("StringConcatenate")
def string_concatenate(string_a: str, string_b: str, delimiter: str) -> tuple[str]:
    """Join two texts with a delimiter between them."""
    require_text(len(string_a) + len(delimiter) + len(string_b))
    return (delimiter.join((string_a, string_b)),)


@node("StringSubstring")
def string_substring(string: str, start: int, end: int) -> tuple[str]:
    """Cut a part out; positions count as in Python's slices."""
    return (string[start:end],)


@node("StringLength")
def string_length(string: str) -> tuple[int]:
    """Count code points."""
    return (len(string),)


@node("CaseConverter")
def case_converter(string: str, mode: str) -> tuple[str]:
    """Change upper and lower case."""
    conversions = {
        "UPPERCASE": str.upper,
        "lowercase": str.lower,
        "Capitalize": str.capitalize,
        "Title Case": str.title,
    }
    convert = conversions.get(mode)
    return (string if convert is None else convert(string),)


@node("StringTrim")
def string_trim(string: str, mode: str) -> tuple[str]:
    """Take white space away at the ends."""
    trim = {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}.get(mode)
    return (string if trim is None else trim(string),)


@node("StringReplace")
def string_replace(string: str, find: str, replace: str) -> tuple[str]:
    """Replace a text wherever it occurs."""
    return (_replaced(string, find, replace),)


def _replaced(text: str, find: str, replace: str) -> str:
    require_text(len(text) + text.count(find) * max(0, len(replace) - len(find)))
    return text.replace(find, replace)


@node("StringContains")
def string_contains(string: str, substring: str, case_sensitive: bool = True) -> tuple[bool]:
    """Return whether a text occurs in another."""
    if not case_sensitive:
        string, substring = string.lower(), substring.lower()
    return (substring in string,)


@node("StringCompare")
def string_compare(string_a: str, string_b: str, mode: str, case_sensitive: bool = True) -> tuple[bool]:
    """Return whether a text begins with, ends with or equals another."""
    if not case_sensitive:
        string_a, string_b = string_a.lower(), string_b.lower()
    compare: dict[str, Callable[[str, str], bool]] = {
        "Starts With": str.startswith,
        "Ends With": str.endswith,
        "Equal": operator.eq,
    }
    return (compare[mode](string_a, string_b),)


def _flags(case_insensitive: bool, multiline: bool, dotall: bool) -> int:
    chosen = ((re.IGNORECASE, case_insensitive), (re.MULTILINE, multiline), (re.DOTALL, dotall))
    return sum(int(flag) for flag, wanted in chosen if wanted)


@node("RegexMatch")
def regex_match(
    string: str, regex_pattern: str, case_insensitive: bool = True, multiline: bool = False, dotall: bool = False
) -> tuple[bool]:
    """Return whether a regular expression occurs in a text; one that cannot be read does not."""
    try:
        return (
            regular_expressions.match("search", regex_pattern, _flags(case_insensitive, multiline, dotall), string),
        )
    except re.error:
        return (False,)


@node("RegexExtract")
def regex_extract(
    string: str,
    regex_pattern: str,
    mode: str,
    case_insensitive: bool = True,
    multiline: bool = False,
    dotall: bool = False,
    group_index: int = 1,
) -> tuple[str | None]:
    """Give what a regular expression or one of its groups matches, one a line; nothing for one that is wrong."""
    flags = _flags(case_insensitive, multiline, dotall)
    try:
        return (regular_expressions.match("extract", regex_pattern, flags, string, mode, group_index),)
    except re.error:
        return ("",)


@node("RegexReplace")
def regex_replace(
    string: str,
    regex_pattern: str,
    replace: str,
    case_insensitive: bool = True,
    multiline: bool = False,
    dotall: bool = False,
    count: int = 0,
) -> tuple[str]:
    """Replace what a regular expression matches, `count` times or everywhere."""
    flags = _flags(case_insensitive, multiline, dotall)
    return (regular_expressions.match("replace", regex_pattern, flags, string, replace, count),)


@node("JsonExtractString")
def json_extract_string(json_string: str, key: str) -> tuple[str]:
    """Give the value of a key of a JSON object as Python writes it; nothing where there is none."""
    try:
        parsed = json.loads(json_string)
    except json.JSONDecodeError:
        return ("",)
    value = parsed.get(key) if isinstance(parsed, dict) else None
    return ("" if value is None else str(value),)


@node("StringFormat")
def string_format(values: dict[str, Any], f_string: str) -> tuple[str]:
    """Fill `{a}`, `{b:.2f}` … as Python's `str.format` does."""
    return (_Formatter().vformat(f_string, (), values),)


class _Formatter(string.Formatter):
    """`str.format` whose result is never longer than texts may be, and does not become so on its way."""

    def __init__(self) -> None:
        self._length = 0

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return one formatted value."""
        # widths and precisions are the only numbers in Python's own specifications
        if any(int(number[:20]) > LARGEST_TEXT for number in _DIGITS.findall(format_spec)):
            raise ValueError(f"a value would be {format_spec[:40]!r} wide; at most {LARGEST_TEXT} are allowed")
        found: str = super().format_field(value, format_spec)
        self._length += len(found)
        require_text(self._length)
        return found


_DIGITS = re.compile(r"\d+")
_DEEPEST = 1000
"""Levels of the deepest value that can be written: as deep as Python calls itself."""


def _depth(value: Any) -> int:
    """Return how many levels of lists and dicts a value has, _DEEPEST at most."""
    level, depth = [value], 0
    while depth < _DEEPEST:
        inner = {
            id(item): item
            for part in level
            if isinstance(part, (dict, list, tuple))
            for item in (part.values() if isinstance(part, dict) else part)
        }
        if not inner:
            break
        level, depth = list(inner.values()), depth + 1
    return depth


def _as_json(value: Any, indent: int) -> str:
    """Return a value as JSON, one part after another, so that it is refused before it is too long."""
    if not indent:
        return json.dumps(value, ensure_ascii=False)
    require_text(indent * _depth(value))
    parts, length = [], 0
    for part in json.JSONEncoder(indent=indent, ensure_ascii=False).iterencode(value):
        length += len(part)
        require_text(length)
        parts.append(part)
    return "".join(parts)


@node("ConvertDictionaryToString")
def convert_dictionary_to_string(dictionary: dict[str, Any], indent: int) -> tuple[str]:
    """Write a dictionary as JSON."""
    return (_as_json(dictionary, indent),)


@node("ConvertArrayToString")
def convert_array_to_string(array: list[Any], indent: int) -> tuple[str]:
    """Write a list as JSON."""
    return (_as_json(array, indent),)


# ComfyUI's nodes for text datasets put each text into a list of its own; so do these.


@node("TextToLowercase")
def text_to_lowercase(texts: str) -> tuple[list[str]]:
    """Give a list with the text in lower case."""
    return ([texts.lower()],)


@node("TextToUppercase")
def text_to_uppercase(texts: str) -> tuple[list[str]]:
    """Give a list with the text in upper case."""
    return ([texts.upper()],)


@node("TruncateText")
def truncate_text(texts: str, max_length: int) -> tuple[list[str]]:
    """Give a list with the first characters of the text."""
    return ([texts[:max_length]],)


@node("AddTextPrefix")
def add_text_prefix(texts: str, prefix: str) -> tuple[list[str]]:
    """Give a list with the text after a prefix."""
    require_text(len(prefix) + len(texts))
    return ([prefix + texts],)


@node("AddTextSuffix")
def add_text_suffix(texts: str, suffix: str) -> tuple[list[str]]:
    """Give a list with the text before a suffix."""
    require_text(len(texts) + len(suffix))
    return ([texts + suffix],)


@node("ReplaceText")
def replace_text(texts: str, find: str, replace: str) -> tuple[list[str]]:
    """Give a list with the text in which another is replaced."""
    return ([_replaced(texts, find, replace)],)


@node("StripWhitespace")
def strip_whitespace(texts: str) -> tuple[list[str]]:
    """Give a list with the text without white space at its ends."""
    return ([texts.strip()],)


@node("MergeTextLists")
def merge_text_lists(texts: list[str]) -> tuple[list[list[str]]]:
    """Give a list that holds the list of all texts."""
    return ([texts],)
