"""Every finding's code is registered, explained, made by the compiler, and shown by a test."""

from __future__ import annotations

import re
from pathlib import Path

from discomfort.ir.codes import CODES

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "diagnostics"


def codes_in(*paths: Path) -> set[str]:
    return {code for path in paths for code in re.findall(r"\bDF\d{3}\b", path.read_text(encoding="utf-8"))}


def test_L8_every_registered_code_is_made_somewhere_and_every_made_code_is_registered() -> None:
    files = [path for path in (ROOT / "discomfort").rglob("*.py") if path.name != "codes.py"]
    assert codes_in(*files) == CODES.keys()


def test_L8_the_reference_page_explains_exactly_the_registered_codes() -> None:
    page = ROOT / "docs" / "diagnostics.md"
    assert codes_in(page) == CODES.keys()
    assert all(f"| {code} | {meaning} |" in page.read_text(encoding="utf-8") for code, meaning in CODES.items())


def test_L8_every_code_is_shown_by_a_golden_or_named_by_a_test() -> None:
    goldens = {path.name[:5] for path in GOLDEN.glob("DF*")}
    named = codes_in(*(path for path in (ROOT / "tests").rglob("test_*.py") if path.name != "test_codes.py"))
    assert CODES.keys() - goldens - named == set()
