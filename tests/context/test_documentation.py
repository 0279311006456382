"""The examples of the page about the context run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from discomfort.settings.jsonc import loads_jsonc

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "context.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_example_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(blocks("python")) == 2
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[number], f"docs/context.md, example {number + 1}", "exec"), {})


def test_configuration_is_read(tmp_path: Path) -> None:
    (text,) = blocks("json")
    assert set(loads_jsonc(text)) == {"MAX_RAM_PERCENT", "MAX_RAM_GB", "MAX_MEMO_GB", "CONTEXTS_DIR_NAME"}
