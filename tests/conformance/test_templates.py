"""L1 on the official templates: every prompt is the one that the official frontend makes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from discomfort.compiler.frontend import load_workflow
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog
from tests.conformance import templates

TRUTH = Path(__file__).resolve().parents[3] / "shared" / "comfyui" / "prompts.jsonl.gz"


def _their_prompt(name: str) -> dict[str, Any] | None:
    """Return the recorded prompt where the recording is at hand."""
    if TRUTH.exists():
        with gzip.open(TRUTH, "rt", encoding="utf-8") as lines:
            for line in lines:
                recorded = json.loads(line)
                if recorded["template"] == name:
                    return dict(recorded["prompt"])
    return None


@pytest.fixture(scope="module")
def folder() -> Path:
    found = templates.folder()
    if found is None:
        pytest.skip("comfyui-workflow-templates-json is not installed")
    return found


@pytest.mark.parametrize(("version", "count"), [("0.1.50", 506), ("0.1.123", 644)])
def test_L1_there_is_one_digest_a_template(version: str, count: int) -> None:
    assert len(dict(templates.recorded(version))) == count


@pytest.mark.parametrize(("name", "recorded"), [pytest.param(*row, id=row[0]) for row in templates.recorded()])
def test_L1_template_gives_the_editors_prompt(name: str, recorded: str, folder: Path) -> None:
    path = folder / name
    assert path.exists(), f"{templates.PACKAGE} has no {name} in this version; {templates.REFERENCE} is the reference"
    prompt = json.loads(json.dumps(emit_prompt(load_workflow(path, default_catalog()).graph)))
    if templates.digest(prompt) != recorded:
        theirs = _their_prompt(name)
        pytest.fail(templates.first_difference(prompt, theirs) if theirs else f"{name}: the prompt differs")
