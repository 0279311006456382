"""The examples in the docstrings of what `discomfort` exports are run; what is not an error has one."""

from __future__ import annotations

import doctest
import inspect
import shutil
from pathlib import Path

import pytest

import discomfort

ROOT = Path(__file__).parents[1]
OPTIONS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
NAMES = [name for name in discomfort.__all__ if inspect.isclass(found := getattr(discomfort, name)) or callable(found)]


def examples(name: str) -> list[doctest.DocTest]:
    """Return the examples of an exported name: in its own docstring, and in those of its methods."""
    value = getattr(discomfort, name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(value, name, globs={"discomfort": discomfort}) if test.examples]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_do_what_they_show(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run in a copy of the quickstart's folder, where its workflows and its photograph are."""
    monkeypatch.delenv("DISCOMFORT_ENGINE", raising=False)
    folder = shutil.copytree(
        ROOT / "examples" / "quickstart", tmp_path / "quickstart", ignore=shutil.ignore_patterns("output")
    )
    monkeypatch.chdir(folder)
    for test in examples(name):
        printed: list[str] = []
        failed, _ = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=printed.append, clear_globs=False)
        assert not failed, "".join(printed)


def test_everything_but_errors_has_an_example() -> None:
    errors = {
        name for name in NAMES if inspect.isclass(kind := getattr(discomfort, name)) and issubclass(kind, Exception)
    }
    assert [name for name in NAMES if name not in errors and not examples(name)] == []
