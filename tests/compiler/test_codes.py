"""Every finding's code is registered, explained, made by the compiler, and shown by a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from discomfort.ir.codes import CODES
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import made_milder, make_finding

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
    text = page.read_text(encoding="utf-8")
    assert [
        code for code, entry in CODES.items() if f"| {code} | {entry.severities} | {entry.meaning} |" not in text
    ] == []


def test_L8_findings_are_made_in_one_place_which_reads_the_severity_from_the_table_of_codes() -> None:
    makers = {"ir/diagnostics.py", "ir/findings.py", "compiler/plan/json_form.py"}  # the last reads stored ones back
    room = ROOT / "discomfort"
    made = {
        path.relative_to(room).as_posix()
        for path in room.rglob("*.py")
        if re.search(r"\b(Diagnostic|MissingFile)\(|severity=", path.read_text(encoding="utf-8"))
    }
    assert made == makers


@pytest.mark.parametrize("code", CODES)
def test_L8_a_finding_has_the_severity_of_its_code(code: str) -> None:
    entry = CODES[code]
    assert make_finding(code, "", Place()).severity is entry.severity
    if entry.milder is None:
        with pytest.raises(ValueError, match=code):
            make_finding(code, "", Place(), milder=True)
    else:
        assert make_finding(code, "", Place(), milder=True).severity is entry.milder
        assert made_milder(make_finding(code, "", Place())).severity is entry.milder


def test_L8_every_code_is_shown_by_a_golden_or_named_by_a_test() -> None:
    goldens = {path.name[:5] for path in GOLDEN.glob("DF*")}
    named = codes_in(*(path for path in (ROOT / "tests").rglob("test_*.py") if path.name != "test_codes.py"))
    assert CODES.keys() - goldens - named == set()
