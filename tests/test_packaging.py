"""What installers read: pyproject.toml, requirements.txt, the changelog's versions, and what pre-commit runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import discomfort

tomllib: Any = pytest.importorskip("tomllib", reason="part of Python from 3.11")
ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

COMFYUI_INSTALLS = {"aiohttp", "numpy", "Pillow", "psutil", "pydantic", "safetensors", "torch"}
"""What ComfyUI's own requirements name, in 0.3.64 as in 0.33.0."""


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return match[0]


def test_requirements_leave_comfyui_s_packages_alone() -> None:
    """ComfyUI-Manager installs this file into ComfyUI's environment: additions, and never another torch."""
    assert {"torch", "numpy", "Pillow", "aiohttp", "psutil"}.isdisjoint(map(name_of, requirements()))


def test_requirements_have_no_upper_bounds() -> None:
    for requirement in requirements():
        assert re.fullmatch(r"[A-Za-z0-9._-]+>=[0-9.]+", requirement), requirement


def test_requirements_are_the_dependencies_that_comfyui_lacks() -> None:
    dependencies = PROJECT["project"]["dependencies"]
    assert [one for one in requirements() if one not in dependencies] == []
    missing = [one for one in dependencies if one not in requirements() and name_of(one) not in COMFYUI_INSTALLS]
    assert missing == []


def test_dependencies_have_no_upper_bounds() -> None:
    for requirement in PROJECT["project"]["dependencies"]:
        assert "<" not in requirement
        assert "==" not in requirement


def test_the_supported_pythons_are_classified() -> None:
    classifiers = PROJECT["project"]["classifiers"]
    versions = re.search(r"python: \[(.*)\]", (ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    assert versions
    named = {c.rpartition(" ")[2] for c in classifiers if c.startswith("Programming Language :: Python :: 3.")}
    assert named == {version.strip(' "') for version in versions[1].split(",")}
    assert PROJECT["project"]["requires-python"] == ">=" + min(named, key=lambda v: tuple(map(int, v.split("."))))


def test_the_changelog_begins_with_what_is_not_released_and_then_this_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(discomfort.__version__)} \(\d{{4}}-\d\d-\d\d\)", headings[1])


def test_what_pre_commit_runs_is_pinned_and_runs_on_windows() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    ruff = re.search(r"^ruff==(.*)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert ruff
    assert re.findall(r"ruff-pre-commit\n +rev: (\S+)", text) == [f"v{ruff[1]}"]
    assert len(re.findall("repo: https:", text)) == len(re.findall("rev: v[0-9.]+", text))
    assert not re.search(r"entry: .*(/|\\|bash|sh |\.sh)", text)


def test_the_registry_finds_the_version() -> None:
    """ComfyUI's registry reads it from the file's text, where it begins a line."""
    path = ROOT / PROJECT["tool"]["comfy"]["version"]["path"]
    assert re.findall(r'^__version__ = "(.*)"$', path.read_text("utf-8"), re.MULTILINE) == [discomfort.__version__]
