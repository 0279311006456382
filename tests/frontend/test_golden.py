"""Each behaviour of the editor, one workflow each: `expected.json` is what the official frontend made of it.

`expected.txt` is there where the frontend refuses: it holds our findings, rendered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from discomfort.compiler.frontend import load_workflow
from discomfort.compiler.frontend.text import prompt_text
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.diagnostics import has_errors

CASES = sorted((Path(__file__).parents[1] / "golden" / "frontend").iterdir())


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_L1_behaviour_is_the_editors(
    case: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[Path, str], None]
) -> None:
    monkeypatch.setattr(prompt_text, "choose", lambda count, seed: 0)
    workflow = load_workflow(case / "workflow.json", default_catalog())
    if (case / "expected.json").exists():
        expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
        prompt = json.loads(json.dumps(emit_prompt(workflow.graph)))
        assert json.dumps(prompt, sort_keys=True) == json.dumps(expected, sort_keys=True)
    else:
        assert has_errors(workflow.diagnostics)
        rendered = "\n".join(found.render() for found in workflow.diagnostics) + "\n"
        golden(case / "expected.txt", rendered.replace(workflow.source, "workflow.json"))
