"""Every finding's code is registered, explained, and used."""

from __future__ import annotations

import re
from pathlib import Path

from discomfort.compiler.codes import CODES

ROOT = Path(__file__).parents[2]


def codes_in(*paths: Path) -> set[str]:
    return {code for path in paths for code in re.findall(r"\bDF\d{3}\b", path.read_text(encoding="utf-8"))}


def test_L8_every_code_in_the_source_is_registered() -> None:
    files = [path for path in (ROOT / "discomfort").rglob("*.py") if path.name != "codes.py"]
    assert codes_in(*files) <= CODES.keys()


def test_L8_the_reference_page_explains_exactly_the_registered_codes() -> None:
    page = ROOT / "docs" / "diagnostics.md"
    assert codes_in(page) == CODES.keys()
    assert all(f"| {code} | {meaning} |" in page.read_text(encoding="utf-8") for code, meaning in CODES.items())
