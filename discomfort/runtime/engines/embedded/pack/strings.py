"""Nodes that work on text."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from typing import Any

from discomfort.runtime.engines.embedded.pack.protocol import node


@node("StringConcatenate")
def string_concatenate(string_a: str, string_b: str, delimiter: str) -> tuple[str]:
    """Join two texts with a delimiter between them."""
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
    return (string.replace(find, replace),)


@node("StringContains")
def string_contains(string: str, substring: str, case_sensitive: bool = True) -> tuple[bool]:
    """Tell whether a text occurs in another."""
    if not case_sensitive:
        string, substring = string.lower(), substring.lower()
    return (substring in string,)


@node("StringCompare")
def string_compare(string_a: str, string_b: str, mode: str, case_sensitive: bool = True) -> tuple[bool]:
    """Tell whether a text begins with, ends with or equals another."""
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
    """Tell whether a regular expression occurs in a text; one that cannot be read does not."""
    try:
        return (re.search(regex_pattern, string, _flags(case_insensitive, multiline, dotall)) is not None,)
    except re.error:
        return (False,)


def _extract(pattern: re.Pattern[str], string: str, mode: str, group: int) -> str | None:
    if mode == "All Matches":
        found = pattern.findall(string)
        return "\n".join(match[0] if isinstance(match, tuple) else match for match in found)
    if mode == "All Groups":
        matches = [match for match in pattern.finditer(string) if pattern.groups >= max(group, 1)]
        return "\n".join(match.group(group) for match in matches)
    match = pattern.search(string)
    if match is None:
        return ""
    if mode == "First Match":
        return match.group(0)
    return match.group(group) if pattern.groups >= group else ""


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
    try:
        pattern = re.compile(regex_pattern, _flags(case_insensitive, multiline, dotall))
    except re.error:
        return ("",)
    return (_extract(pattern, string, mode, group_index),)


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
    return (re.sub(regex_pattern, replace, string, count=count, flags=flags),)


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
    return (f_string.format(**values),)


def _as_json(value: Any, indent: int) -> str:
    return json.dumps(value, indent=indent or None, ensure_ascii=False)


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
    return ([prefix + texts],)


@node("AddTextSuffix")
def add_text_suffix(texts: str, suffix: str) -> tuple[list[str]]:
    """Give a list with the text before a suffix."""
    return ([texts + suffix],)


@node("ReplaceText")
def replace_text(texts: str, find: str, replace: str) -> tuple[list[str]]:
    """Give a list with the text in which another is replaced."""
    return ([texts.replace(find, replace)],)


@node("StripWhitespace")
def strip_whitespace(texts: str) -> tuple[list[str]]:
    """Give a list with the text without white space at its ends."""
    return ([texts.strip()],)


@node("MergeTextLists")
def merge_text_lists(texts: list[str]) -> tuple[list[list[str]]]:
    """Give a list that holds the list of all texts."""
    return ([texts],)
