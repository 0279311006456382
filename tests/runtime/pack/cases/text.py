"""Golden cases of the nodes that work on text."""

from __future__ import annotations

from typing import Any

from tests.runtime.pack.fixtures import fixture

TEXTS = ["hello World", "  Grüße,\n\tWELT  ", "", "it's straße o'NEIL ÉCOLE ǆ 3rd"]
FLAGS = [(True, False, False), (False, True, True), (False, False, False)]
JSON = '{"name": "wölf", "size": 3, "ratio": 1.50, "flag": true, "none": null, "deep": {"a": [1, "ü"]}, "list": [1, 2]}'


def flags(triple: tuple[bool, bool, bool]) -> dict[str, bool]:
    return dict(zip(("case_insensitive", "multiline", "dotall"), triple, strict=True))


def extract(string: str, pattern: str, mode: str, group: int, triple: tuple[bool, bool, bool]) -> dict[str, Any]:
    return {"string": string, "regex_pattern": pattern, "mode": mode, **flags(triple), "group_index": group}


def formatted(template: str, **values: Any) -> dict[str, Any]:
    return {"f_string": template, **{f"values.{name}": value for name, value in values.items()}}


LINES = "cat=1\nDog=22\nbird=\ncat=3"

CASES = {
    "StringConcatenate": [
        {"string_a": "one", "string_b": "two", "delimiter": ", "},
        {"string_a": "", "string_b": "two", "delimiter": "-"},
        {"string_a": "ü", "string_b": "", "delimiter": ""},
    ],
    "StringSubstring": [
        {"string": "hello World", "start": start, "end": end}
        for start, end in ((0, 5), (3, -2), (-4, 99), (5, 2), (-99, 3), (0, 0))
    ],
    "StringLength": [{"string": text} for text in (*TEXTS, "👩‍🚀")],
    "CaseConverter": [
        {"string": text, "mode": mode}
        for text in TEXTS
        for mode in ("UPPERCASE", "lowercase", "Capitalize", "Title Case")
    ],
    "StringTrim": [{"string": "\u00a0 \t x y \n ", "mode": mode} for mode in ("Both", "Left", "Right")],
    "StringReplace": [
        {"string": "banana", "find": "an", "replace": "AN"},
        {"string": "banana", "find": "", "replace": "-"},
        {"string": "a.b.c", "find": ".", "replace": ""},
    ],
    "StringContains": [
        {"string": "Hello World", "substring": substring, "case_sensitive": sensitive}
        for substring in ("world", "World", "", "xyz")
        for sensitive in (True, False)
    ]
    + [{"string": "STRASSE", "substring": "straße", "case_sensitive": False}],
    "StringCompare": [
        {"string_a": "Hello World", "string_b": other, "mode": mode, "case_sensitive": sensitive}
        for other in ("hello", "World", "hello world", "")
        for mode in ("Starts With", "Ends With", "Equal")
        for sensitive in (True, False)
    ],
    "RegexMatch": [
        {"string": LINES, "regex_pattern": pattern, **flags(triple)}
        for pattern in (r"^dog", r"cat=1.Dog", r"(?P<n>\d+)$", "zebra", "")
        for triple in FLAGS
    ]
    + [{"string": "abc", "regex_pattern": "(", **flags(FLAGS[0])}],
    "RegexExtract": [
        extract(LINES, pattern, mode, group, FLAGS[index % 3])
        for index, (pattern, mode, group) in enumerate(
            (pattern, mode, group)
            for pattern in (r"(\w+)=(\d*)", r"\d+", r"^(cat)=(?:1|3)", "zebra", r"(x)?cat")
            for mode in ("First Match", "All Matches", "First Group", "All Groups")
            for group in (0, 1, 2)
        )
    ]
    + [extract("abc", "(", mode, 1, FLAGS[0]) for mode in ("First Match", "All Groups")],
    "RegexReplace": [
        {"string": LINES, "regex_pattern": r"(\w+)=(\d*)", "replace": r"\2:\1", **flags(FLAGS[0]), "count": 0},
        {"string": LINES, "regex_pattern": r"^CAT", "replace": "lion", **flags((True, True, False)), "count": 1},
        {"string": LINES, "regex_pattern": r"dog", "replace": "x", **flags((False, False, False)), "count": 0},
        {"string": LINES, "regex_pattern": r"1.D", "replace": "-", **flags((False, False, True)), "count": 5},
        {"string": "a-b-c", "regex_pattern": "-", "replace": r"\g<0>\g<0>"},
        {"string": "abc", "regex_pattern": "", "replace": "."},
        {"string": "abc", "regex_pattern": "(", "replace": "."},
    ],
    "JsonExtractString": [
        *(
            {"json_string": JSON, "key": key}
            for key in ("name", "size", "ratio", "flag", "none", "deep", "list", "missing")
        ),
        {"json_string": JSON, "key": "deep.a"},
        {"json_string": "[1, 2]", "key": "0"},
        {"json_string": "not json", "key": "a"},
        {"json_string": "", "key": "a"},
        {"json_string": '{"": 4}', "key": ""},
    ],
    "StringFormat": [
        formatted("{a}", a="x"),
        formatted("{a} and {b}: {c}", a="x", b=3, c=2.5),
        formatted("{b:>5}|{a!r}|{c:.2f}", a="x", b=3, c=2.5),
        formatted("no fields", a=1),
        formatted("nothing at all"),
        formatted("{{a}} {a}", a=True),
        formatted("{a[name]} {a}", a=fixture("dict")),
        formatted("{z}", a=1),
        formatted("{a", a=1),
        formatted("{a.real}", a=1),
        formatted("{} {0}", a=1),
        formatted("{a + 1}", a=1),
        formatted("{a}", a=fixture("list")),
        formatted("{a} {a:05d}", a=fixture("int")),
    ],
    "ConvertDictionaryToString": [
        {"dictionary": fixture(name), "indent": indent} for name in ("dict", "empty_dict") for indent in (0, 2, 8)
    ],
    "ConvertArrayToString": [
        {"array": fixture(name), "indent": indent}
        for name in ("list", "empty_list", "box_list")
        for indent in (0, 2, 8)
    ],
    "TextToLowercase": [{"texts": text} for text in TEXTS],
    "TextToUppercase": [{"texts": text} for text in TEXTS],
    "TruncateText": [{"texts": "hello World", "max_length": length} for length in (1, 5, 11, 77)],
    "AddTextPrefix": [{"texts": "x", "prefix": "a "}, {"texts": fixture("text", "empty_text"), "prefix": ""}],
    "AddTextSuffix": [{"texts": "x", "suffix": " a"}, {"texts": fixture("text", "empty_text"), "suffix": "ü"}],
    "ReplaceText": [
        {"texts": "banana", "find": "an", "replace": "AN"},
        {"texts": "banana", "find": "", "replace": "-"},
    ],
    "StripWhitespace": [{"texts": text} for text in TEXTS],
    "MergeTextLists": [{"texts": fixture("text", "empty_text", "text")}, {"texts": "x"}],
}
