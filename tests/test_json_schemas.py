"""The JSON schemas: the files are those of the models, and what the commands print is what the schemas say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest
from typer.testing import CliRunner

import discomfort
from discomfort.cli.main import app
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.json_schemas import adapter, schema_names
from discomfort.settings.models import SETTINGS

ROOT = Path(__file__).parents[1]
QUICKSTART = [str(ROOT / "examples" / "quickstart" / name) for name in ("load_vae.json", "main_workflow.json")]
GOLDENS = ROOT / "tests" / "golden"
PROGRAM = [str(GOLDENS / "dot" / "program" / name) for name in ("first.json", "second.json")]
SEVERAL = str(GOLDENS / "diagnostics" / "several_at_once" / "main.json")
FOLDERS = {name: ROOT / "docs" / "schemas" for name in schema_names()} | {
    name: ROOT / "discomfort" / "settings" / "schemas" for name in SETTINGS
}


def command(*arguments: str) -> tuple[str, str]:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done.stdout, done.stderr


def locked_pydantic() -> str:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith("pydantic=="))


@pytest.mark.skipif(locked_pydantic() != pydantic.VERSION, reason="releases of pydantic write schemas differently")
@pytest.mark.parametrize("name", schema_names())
def test_the_files_are_the_schemas(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(FOLDERS[name] / f"{name}.json", json.dumps(discomfort.schema(name), indent=2) + "\n")


def test_there_are_not_other_files() -> None:
    for folder in set(FOLDERS.values()):
        assert {path.stem for path in folder.glob("*.json")} == {n for n in FOLDERS if FOLDERS[n] == folder}


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no schema is called 'plans'; there are .*plan"):
        discomfort.schema("plans")


@pytest.mark.parametrize("files", [QUICKSTART, PROGRAM], ids=["quickstart", "program"])
def test_plans_ports_and_drawings(files: list[str]) -> None:
    assert adapter("plan").validate_json(command("plan", *files, "--json")[0]).version == 1
    assert adapter("ports").validate_json(command("ports", *files, "--json")[0])
    assert adapter("dot").validate_json(command("dot", *files, "--json")[0])
    assert isinstance(adapter("findings").validate_json(command("check", *files, "--json")[0]), list)


@pytest.mark.parametrize("place", sorted((GOLDENS / "diagnostics").iterdir()), ids=lambda path: path.name)
def test_findings_of_every_code(place: Path) -> None:
    files = [str(path) for path in sorted(place.glob("*.*")) if path.stem not in ("expected", "options", "catalog")]
    catalog = ["--catalog", str(place / "catalog.json")] if (place / "catalog.json").exists() else []
    files = files or [str(place / "absent.json")]
    adapter("findings").validate_json(command("check", *files, *catalog, "--json")[0])
    printed = command("plan", *files, *catalog, "--json")[0]
    adapter("plan" if printed.startswith("{") else "findings").validate_json(printed)


def test_findings_with_all_their_parts() -> None:
    (first, *_) = adapter("findings").validate_json(command("check", SEVERAL, "--json")[0])
    assert first.code.startswith("DF")


def test_errors_of_the_other_commands(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.json")
    for name in ("ports", "plan", "dot", "run", "stitch"):
        (finding,) = adapter("findings").validate_json(command(name, absent, "--json")[0])
        assert finding.code == "DF101", name


def test_prompts_and_their_findings(tmp_path: Path) -> None:
    printed, findings = command("prompt", QUICKSTART[1], "--json")
    assert adapter("prompt").validate_json(printed)
    adapter("findings").validate_json(findings)
    assert adapter("findings").validate_json(
        command("prompt", SEVERAL, str(tmp_path / "x"), "-o", str(tmp_path), "--json")[1]
    )
    for prompt in tmp_path.glob("*.json"):
        adapter("prompt").validate_json(prompt.read_text("utf-8"))


def test_results_of_runs(tmp_path: Path) -> None:
    inputs = [f"photo=@{ROOT / 'examples' / 'quickstart' / 'coffee.png'}", "width=64", "strength=0.5"]
    given = [part for text in inputs for part in ("-i", text)]
    printed = command("run", *QUICKSTART, *given, "-o", str(tmp_path), "--engine", "embedded", "--json")[0]
    kinds = {type(result).__name__ for result in adapter("run").validate_json(printed).values()}
    assert {"WrittenResult", "ReferenceResult"} & kinds


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "text", float("nan"), [1], {"a": 1}])
def test_results_of_every_kind(value: Any, tmp_path: Path) -> None:
    from discomfort.cli.commands.run import write_value

    adapter("run").validate_json(json.dumps({"x": write_value(value, tmp_path, "x")}))


def test_lists_of_node_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert adapter("catalog_list").validate_json(command("catalog", "list", "Load", "--json")[0])
    monkeypatch.setattr("discomfort.cli.commands.catalog.download", lambda _: default_catalog().snapshot())
    target = tmp_path / "catalog.json.gz"
    pulled = adapter("catalog_pull").validate_json(command("catalog", "pull", "x", "-o", str(target), "--json")[0])
    assert pulled.bytes == target.stat().st_size


@pytest.mark.parametrize("change", [{"extra": 1}, {"version": 2}, {"effects": [5]}, {"rules": {"IMAGE": "both"}}])
def test_the_schema_of_plans_refuses_other_data(change: dict[str, Any]) -> None:
    plan = discomfort.compile(QUICKSTART).to_json()
    adapter("plan").validate_json(json.dumps(plan))
    with pytest.raises(pydantic.ValidationError):
        adapter("plan").validate_json(json.dumps({**plan, **change}))
