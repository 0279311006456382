"""`discomfort-graph check`, `ports`, `plan` and `dot`: text for people, JSON for programs, and the exit status."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from discomfort.cli.main import app
from discomfort.plan import Plan

ROOT = Path(__file__).parents[2]
QUICKSTART = [str(ROOT / "examples" / "quickstart" / name) for name in ("load_vae.json", "main_workflow.json")]
DOT = ROOT / "tests" / "golden" / "dot"
PROGRAM = [str(DOT / "program" / name) for name in ("first.json", "second.json")]
BAD = str(ROOT / "tests" / "golden" / "diagnostics" / "several_at_once" / "main.json")


def call(*arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def test_check_says_that_nothing_is_wrong() -> None:
    assert call("check", *QUICKSTART).stdout == "2 workflows compile to 8 nodes; nothing to report\n"
    assert json.loads(call("check", *QUICKSTART, "--json").stdout) == []


def test_check_reports_everything_with_its_place_and_exits_with_1() -> None:
    done = call("check", BAD, status=1)
    assert done.stderr.count("error[") == 5
    assert f"  --> {BAD}, node 1 (Empty Image), input 'width', $['1']" in done.stderr
    findings = json.loads(call("check", BAD, "--json", status=1).stdout)
    assert [finding["code"] for finding in findings] == ["DF309", "DF308", "DF311", "DF306", "DF307"]
    place = {"file": BAD, "node": "1", "title": "Empty Image", "input": "width", "path": "$['1']"}
    assert findings[0]["where"] == place


def test_ports_lists_each_workflow_by_itself() -> None:
    done = call("ports", *PROGRAM)
    assert done.stdout.splitlines()[1:] == [
        "  OUTPUT   made: IMAGE, val  [debug, first]",
        "  OUTPUT   vae: VAE, ref",
        "  OUTPUT   seed: INT, val",
        "  PASSTHRU watch: IMAGE, val",
        PROGRAM[1],
        "  INPUT    made: IMAGE, val",
        "  INPUT    strength: FLOAT, val",
        "  OUTPUT   made: IMAGE, val",
    ]
    rows = json.loads(call("ports", *PROGRAM, "--json").stdout)
    assert rows[0] == {
        "file": PROGRAM[0],
        "mode": "OUTPUT",
        "unique_id": "made",
        "type": "IMAGE",
        "pass_by": "val",
        "tags": ["debug", "first"],
        "nodes": ["4"],
    }


def test_plan_as_text_and_as_json(tmp_path: Path) -> None:
    sentence = call("plan", *PROGRAM).stdout
    assert "second reads made from first (OUTPUT)" in sentence
    assert "strength: FLOAT, by value" in sentence
    plan = Plan.from_json(json.loads(call("plan", *PROGRAM, "--json").stdout))
    assert list(plan.inputs) == ["strength"]
    call("plan", *PROGRAM, "--only", "vae", "--json", "-o", str(tmp_path / "plan.json"))
    assert list(Plan.from_json(json.loads((tmp_path / "plan.json").read_text())).outputs) == ["vae"]


@pytest.mark.parametrize("command", ["check", "ports", "plan", "dot"])
def test_a_wrong_call_exits_with_2_and_a_bad_file_with_1(command: str, tmp_path: Path) -> None:
    call(command, status=2)
    call(command, *QUICKSTART, "--nonsense", status=2)
    call(command, *QUICKSTART, "--catalog", str(tmp_path / "absent.json"), status=2)
    done = call(command, str(tmp_path / "absent.json"), status=1)
    assert "error[DF101]" in done.stderr
    assert json.loads(call(command, str(tmp_path / "absent.json"), "--json", status=1).stdout)[0]["code"] == "DF101"


def test_dot_text_is_the_golden_one(golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "graphviz", None)
    golden(DOT / "program.dot", call("dot", *PROGRAM).stdout)
    golden(DOT / "program_all.dot", call("dot", *PROGRAM, "--all").stdout)
    golden(DOT / "quickstart.dot", call("dot", *QUICKSTART).stdout)


def test_dot_writes_text_files_and_json(tmp_path: Path) -> None:
    call("dot", *PROGRAM, "-o", str(tmp_path / "plan.dot"))
    text = (tmp_path / "plan.dot").read_text(encoding="utf-8")
    assert json.loads(call("dot", *PROGRAM, "--json").stdout) == {"dot": text}


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_dot_draws_pictures(suffix: str, start: bytes, tmp_path: Path) -> None:
    call("dot", *PROGRAM, "--all", "-o", str(tmp_path / f"plan{suffix}"))
    assert (tmp_path / f"plan{suffix}").read_bytes().startswith(start)


def test_dot_says_what_is_missing_for_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    message = call("dot", *PROGRAM, "-o", str(tmp_path / "x.svg"), status=2).stderr
    assert "need the program Graphviz" in message
    assert "https://graphviz.org/download/" in message
    assert "pip install" not in message
    assert not list(tmp_path.iterdir())
    call("dot", *PROGRAM, "-o", str(tmp_path / "x.dot"))


def test_dot_refuses_pictures_of_an_unknown_kind(tmp_path: Path) -> None:
    done = call("dot", *PROGRAM, "-o", str(tmp_path / "x.bmp"), status=2)
    assert ".svg, .png, .pdf" in done.stderr
