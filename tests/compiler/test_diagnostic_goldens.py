"""Each finding of reading, composing and checking: `tests/golden/diagnostics/<code>_<case>/` → `expected.txt`.

The workflows are the files of the case in the order of their names. `options.json` may hold arguments of `compile`,
other `files`, `load` to only read the first, or `stitch` to join documents; `catalog.json` replaces classes of the
bundled catalog.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from discomfort.compiler import CompileError, CompileOptions
from discomfort.compiler.frontend import FrontendOptions, load_workflow
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.diagnostics import Diagnostic, render
from discomfort.plan import compile
from discomfort.tools import WorkflowTools

FOLDER = Path(__file__).parents[1] / "golden" / "diagnostics"
CASES = [pytest.param(case, id=case.name) for case in sorted(FOLDER.iterdir())]
NOT_WORKFLOWS = ("options.json", "catalog.json", "expected.txt")


def findings_of(case: Path) -> Sequence[Diagnostic]:
    """Return everything that compiling (or joining) the workflows of a case says, errors first."""
    chosen = case / "options.json"
    options: dict[str, Any] = json.loads(chosen.read_text(encoding="utf-8")) if chosen.exists() else {}
    names = options.pop("files", None)
    if names is None:
        names = sorted(path.name for path in case.iterdir() if path.name not in NOT_WORKFLOWS)
    catalog = default_catalog()
    if (case / "catalog.json").exists():
        catalog = catalog.merged(Catalog(json.loads((case / "catalog.json").read_text(encoding="utf-8"))))
    files = [case / name for name in names]
    if options.pop("load", False):
        return load_workflow(files[0], catalog).diagnostics
    try:
        if options.pop("stitch", False):
            WorkflowTools().stitch_workflows(files)
            return ()
        return compile(files, catalog=catalog, **options).diagnostics
    except CompileError as error:
        return error.diagnostics


@pytest.mark.parametrize("case", CASES)
def test_L8_the_findings_are_the_golden_ones(case: Path, golden: Callable[[Path, str], None]) -> None:
    findings = findings_of(case)
    if case.name.startswith("DF"):
        assert case.name[:5] in {finding.code for finding in findings}
    if case.name != "DF141_moment_of_compilation":
        golden(case / "expected.txt", render(findings).replace(f"{case}/", "").replace(f"{case}\\", "") + "\n")


def test_L8_a_clock_makes_plans_that_never_change() -> None:
    file = FOLDER / "DF141_moment_of_compilation" / "main.json"
    options = CompileOptions(frontend=FrontendOptions(clock=datetime(2030, 1, 2)))
    plan = compile([file], options=options)
    assert not plan.diagnostics
    assert plan.graph.nodes[plan.effects[0]].inputs["filename_prefix"].value == "2030"  # type: ignore[union-attr]


def test_L8_what_one_file_says_too_often_is_counted() -> None:
    crowd = {str(number): {"class_type": f"Unknown{number}", "inputs": {}} for number in range(1200)}
    with pytest.raises(CompileError) as caught:
        compile([{**crowd, "x": {"class_type": "EmptyImage"}, "y": {"inputs": {}}}])
    assert [finding.message for finding in caught.value.diagnostics if finding.code == "DF100"] == [
        "200 more findings in this file are not shown"
    ]
