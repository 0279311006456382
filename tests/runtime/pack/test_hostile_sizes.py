"""No node of the pack makes gigabytes, or takes forever, from a small input: it is refused, with the size."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.pack import NODE_CLASS_MAPPINGS, files, sizes
from discomfort.runtime.engines.embedded.pack.latents.sigmas import manual_sigmas
from discomfort.runtime.engines.embedded.pack.values import strings
from discomfort.runtime.engines.embedded.pack.values.mathematics import math_expression
from discomfort.runtime.engines.protocol import NodeFailed, PromptRequest

ROOT = Path(__file__).parents[3]


def call(name: str, **inputs: Any) -> Any:
    node_class: Any = NODE_CLASS_MAPPINGS[name]
    return getattr(node_class, node_class.FUNCTION)(**inputs)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
def test_every_class_lives_with_every_number() -> None:
    """In a process that may take 12 GB, as a class that is forgotten would end this one."""
    program = "import resource; resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)); "
    program += "from tests.runtime.pack.hostile_numbers import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", sizes.NEEDS)
def test_what_a_class_needs_is_asked_with_its_own_inputs(name: str) -> None:
    declared = NODE_CLASS_MAPPINGS[name].INPUT_TYPES()  # type: ignore[attr-defined]
    inputs = {key: None for group in ("required", "optional") for key in declared.get(group, {})}
    inspect.signature(sizes.NEEDS[name]).bind(**inputs)


def test_a_node_that_needs_too_much_names_itself_and_the_size(tmp_path: Path) -> None:
    inputs = {"width": 16384, "height": 16384, "batch_size": 4096, "color": 0}
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": inputs},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }

    async def run() -> None:
        with WorkflowContext() as context:
            await EmbeddedEngine().run(PromptRequest(prompt, {}, context, {}))

    with pytest.raises(NodeFailed, match=r"EmptyImage would make \[4096, 16384, 16384, 3\], which takes 12288\.0 GiB"):
        run_blocking(run())


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("StringFormat", {"values": {"a": 1}, "f_string": "{a:>9999999999}"}, "'>9999999999' wide"),
        ("StringFormat", {"values": {"a": 1, "b": 10**10}, "f_string": "{a:>{b}}"}, "'>10000000000' wide"),
        ("StringFormat", {"values": {"a": 1.5}, "f_string": "{a:.999999999f}"}, "'.999999999f' wide"),
        ("StringFormat", {"values": {"a": "b" * 10**6}, "f_string": "{a}" * 1000}, "at most 67108864"),
        ("StringReplace", {"string": "a" * 10**6, "find": "", "replace": "b" * 10**6}, "1000002000000 characters"),
        ("ReplaceText", {"texts": "a" * 10**6, "find": "a", "replace": "b" * 10**6}, "1000000000000 characters"),
        (
            "StringConcatenate",
            {"string_a": "a" * 50_000_000, "string_b": "b" * 50_000_000, "delimiter": ""},
            "10000000",
        ),
        ("AddTextPrefix", {"texts": "a" * 50_000_000, "prefix": "b" * 50_000_000}, "100000000 characters"),
        ("AddTextSuffix", {"texts": "a" * 50_000_000, "suffix": "b" * 50_000_000}, "100000000 characters"),
        ("ConvertDictionaryToString", {"dictionary": {"a": [1, {}]}, "indent": 10**9}, "characters"),
        ("ConvertArrayToString", {"array": list(range(10**5)), "indent": 60_000}, "characters"),
    ],
)
def test_long_texts_are_refused(name: str, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(name, **inputs)


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9",
        "(2**400000)*(2**400000)*(2**400000)",
        "values*999999999",
        "999999999*values",
        "b'a'*10**10",
        "'%999999999d' % 1",
        "b'%999999999d' % 1",
        "round(5, -999999999)",
        "round(number=5, ndigits=-999999999)",
        "1<<10**10",
        "(1" + "<<10000" * 1000 + ")",
        "'a'*100000+'a'*100000",
        "1" + "+1" * 100_000,
        "-" * 200_000 + "1",
        "(" * 9_000 + "1" + ")" * 900,
        "abs(" * 2000 + "1" + ")" * 2000,
        "int('9'*99999)",
    ],
)
def test_expressions_that_would_take_gigabytes_are_refused(expression: str) -> None:
    with pytest.raises((ValueError, SyntaxError, RecursionError, MemoryError)):
        math_expression(expression, {"a": 1.0})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("round(2.567, 1)", 2.6), ("round(2.5)", 2), ("round(15, -1)", 20), ("7 % 3", 1), ("sum(values * 3)", 9)],
)
def test_ordinary_expressions_are_as_before(expression: str, expected: float) -> None:
    assert math_expression(expression, {"a": 3})[0] == pytest.approx(expected)


def test_texts_that_hold_nothing_are_read_in_linear_time() -> None:
    assert manual_sigmas("." * 1_000_000)[0].numel() == 0
    with pytest.raises(ValueError, match="4096"):
        files.annotated_path(" " * 1_000_000)


_FIELDS = st.sampled_from(["{a}", "{b:.2f}", "{c!r:>8}", "{d[0]}", "{e.real}", "{{", "}}", "x", "{a:{b}}", "{a:>{e}}"])
_WRONG = st.sampled_from(["{f}", "{", "}", "{0}", "{}"])


@given(st.lists(_FIELDS | _WRONG, max_size=5).map("".join))
def test_formatting_is_that_of_python(text: str) -> None:
    values = {"a": "word", "b": 3.25, "c": [1, "é"], "d": ["first"], "e": 7, "g": None}
    try:
        expected = text.format(**values)
    except Exception as error:  # noqa: BLE001 — compared
        with pytest.raises(type(error)):
            strings.string_format(values, text)
    else:
        assert strings.string_format(values, text) == (expected,)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(_VALUES, st.integers(0, 8))
def test_json_is_that_of_python(value: Any, indent: int) -> None:
    assert strings._as_json(value, indent) == json.dumps(value, indent=indent or None, ensure_ascii=False)


@pytest.mark.parametrize("value", [{"a": 1}, [], {"a": [1, (2, [3])]}, "x"])
def test_wide_indentation_is_refused_only_where_the_text_would_be_long(value: Any) -> None:
    expected = json.dumps(value, indent=10**6, ensure_ascii=False)
    assert strings._as_json(value, 10**6) == expected
