"""`pass_by_rules.json`: where it is looked for, what may be in it, and that every way to run obeys it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import discomfort
from discomfort.session import Discomfort
from discomfort.settings.pass_by import PRESETS, load_rules

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"
LOAD = str(QUICKSTART / "load_vae.json")
BY_VALUE = {"VAE": "val"}


def test_a_rules_file_in_the_current_folder_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pass_by_rules.json").write_text('{"VAE": "val"} // stored as it is', encoding="utf-8-sig")
    assert discomfort.compile([LOAD]).outputs["vae"].pass_by == "ref"
    monkeypatch.chdir(tmp_path)
    assert discomfort.compile([LOAD]).outputs["vae"].pass_by == "val"
    assert discomfort.Tools.pass_by_rules == {**PRESETS, "VAE": "val"}


async def test_a_session_takes_rules(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(BY_VALUE), encoding="utf-8")
    async with await Discomfort.create(engine="embedded") as session:
        assert (await session.compile([LOAD], rules=path)).outputs["vae"].pass_by == "val"
        with session.Context() as context:
            await session.run([LOAD], context=context, rules=BY_VALUE)
            info = context.get_storage_info("vae")
            assert info is not None
            assert info["pass_by"] == "val"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"rules\.json:1:1: not JSON"),
        (b"\xff\x00", r"rules\.json: not UTF-8"),
        (b"[]", r"rules\.json: expected a JSON object, found list"),
        (
            b'{"VAE": "maybe", "IMAGE": 3}',
            r"""rules\.json:\n  \$\.VAE: expected "val" or "ref", found 'maybe'\n  \$\.IMAGE: .*found 3""",
        ),
    ],
)
def test_a_wrong_file_is_named_with_all_that_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(content)
    with pytest.raises(discomfort.ConfigError, match=message):
        discomfort.compile([LOAD], rules=path)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_rules(tmp_path / "absent.json")


@pytest.mark.parametrize("rules", [5, {5: "val"}, {"VAE": []}])
def test_what_is_not_a_rules_is_refused(rules: Mapping[str, Any]) -> None:
    with pytest.raises(discomfort.ConfigError, match="rules: "):
        load_rules(rules)
