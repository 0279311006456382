"""JSON with comments: what it takes, and that nothing takes long to refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.settings.jsonc import loads_jsonc

_BEFORE = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def as_before(text: str) -> Any:
    """The reader whose time grew with the square of what never closes."""

    def blank(match: re.Match[str]) -> str:
        found = match.group()
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return json.loads(_BEFORE.sub(blank, text))


@pytest.mark.parametrize("unit", ['"\\', "/*", '"/*', '\\"', "//", '"a', "/", "/**", '/*"'])
def test_what_never_closes_is_refused_in_linear_time(unit: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        loads_jsonc("{" + unit * 300_000)


@given(st.text(alphabet='{}[]":,1 a/*\\\n', max_size=30))
def test_everything_is_read_as_before(text: str) -> None:
    assert result_of(loads_jsonc, text) == result_of(as_before, text)


def result_of(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except json.JSONDecodeError as error:
        return error.lineno, error.colno


@pytest.mark.parametrize("text", ['{"a": 1} /* open', '{"a": 1} /*', '{"a": /*/ 1}', '{"a": "open'])
def test_what_never_closes_is_an_error(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        loads_jsonc(text)
