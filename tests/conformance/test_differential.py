"""L1 on generated cases: random edits of official templates, the frontend in a real browser against us.

`pytest --browser tests/conformance/test_differential.py --mutations 2000` tries so many; where CI is set, a few run
with all other tests. Without playwright, the frontend package or a Chromium they are skipped, and the reason says so.
A difference is shrunk, and with `--update-golden` the smallest workflow that shows it and the prompt of the frontend
are written to `tests/golden/frontend`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from discomfort.compiler.frontend.text import prompt_text
from discomfort.ir.catalog.catalog import default_catalog
from tests.conformance import templates
from tests.conformance.harness.mutations import mutate
from tests.conformance.harness.object_info import bundled_object_info
from tests.conformance.harness.page import Frontend, FrontendMissing, frontend
from tests.conformance.harness.shrink import shrink
from tests.conformance.harness.verdict import disagreement

pytestmark = pytest.mark.browser
PACKS = ("kj_", "rgthree_")
"""Goldens of node packs that have JavaScript of their own, which the browser here does not have."""

GOLDENS = Path(__file__).parents[1] / "golden" / "frontend"


@pytest.fixture(scope="module")
def editor() -> Iterator[Frontend]:
    try:
        with frontend(bundled_object_info()) as page:
            yield page
    except FrontendMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def _first_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the first of `{a|b}`, as the page does when it is asked with a roll of 0."""
    monkeypatch.setattr(prompt_text, "choose", lambda count, seed: 0)


@pytest.fixture(scope="module")
def folder() -> Path:
    found = templates.folder()
    if found is None:
        pytest.skip("comfyui-workflow-templates-json is not installed")
    return found


def differs(document: dict[str, Any], editor: Frontend, *, sure: bool = False) -> str | None:
    """The difference, if any; `sure` asks once more, on a page that has opened nothing before."""
    difference = disagreement(document, editor.prompt(document), default_catalog())
    if difference is None or not sure:
        return difference
    editor.open()
    return disagreement(document, editor.prompt(document), default_catalog())


def test_L1_templates_give_the_prompt_they_gave(editor: Frontend, folder: Path, sample: int) -> None:
    """The digests in the repository are what this frontend gives with the bundled catalog."""
    recorded = list(templates.recorded())
    for name, digest in Random(sample).sample(recorded, min(sample // 4, len(recorded))):
        answer = editor.prompt(json.loads((folder / name).read_text(encoding="utf-8")))
        assert answer.value is not None, f"{name}: {answer.error}"
        assert templates.digest(answer.value) == digest, name


def test_L1_goldens_are_what_the_frontend_gives(editor: Frontend, sample: int) -> None:
    cases = [case for case in sorted(GOLDENS.iterdir()) if not case.name.startswith(PACKS)]
    for case in Random(sample).sample(cases, min(sample // 2, len(cases))):
        answer = editor.prompt(json.loads((case / "workflow.json").read_text(encoding="utf-8")))
        expected = case / "expected.json"
        if expected.exists():
            assert answer.value == json.loads(expected.read_text(encoding="utf-8")), case.name
        else:
            assert not answer.value, case.name


def test_L1_mutated_templates(
    editor: Frontend, folder: Path, sample: int, first_seed: int, request: pytest.FixtureRequest
) -> None:
    names = [name for name, _ in templates.recorded()]
    found = []
    for seed in range(first_seed, first_seed + sample):
        name = names[Random(seed).randrange(len(names))]
        document, edits = mutate(json.loads((folder / name).read_text(encoding="utf-8")), seed)
        if differs(document, editor, sure=True) is None:
            continue
        smallest = shrink(document, lambda smaller: differs(smaller, editor) is not None)
        found.append(f"seed {seed}, {name}, {'+'.join(edits)}: {differs(smallest, editor, sure=True)}")
        if request.config.getoption("--update-golden"):
            write_golden(f"mutated_{seed}", smallest, editor)
    assert not found, f"{len(found)} of {sample} differ:\n" + "\n".join(found)


def write_golden(name: str, document: dict[str, Any], editor: Frontend) -> None:
    case = GOLDENS / name
    case.mkdir(parents=True, exist_ok=True)
    (case / "workflow.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    prompt = editor.prompt(document).value
    if prompt:
        (case / "expected.json").write_text(json.dumps(prompt, indent=1) + "\n", encoding="utf-8")
