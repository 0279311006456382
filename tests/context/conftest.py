from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.context.local_store import LocalStore

REPOSITORY = Path(__file__).resolve().parents[2]
Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def contexts(tmp_path: Path) -> Path:
    """A directory for contexts of this test alone."""
    return tmp_path / "contexts"


@pytest.fixture
def config(tmp_path: Path, contexts: Path) -> Path:
    """A configuration that keeps this test's contexts there."""
    path = tmp_path / "workflow_context.json"
    path.write_text(json.dumps({"MAX_RAM_GB": 1, "CONTEXTS_DIR_NAME": str(contexts)}), encoding="utf-8")
    return path


@pytest.fixture
def context(config: Path) -> Iterator[WorkflowContext]:
    with WorkflowContext(config) as opened:
        yield opened


def local_store(context: WorkflowContext) -> LocalStore:
    """The parts of the store of a context that lies on this machine."""
    assert isinstance(context.store, LocalStore)
    return context.store


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Start a Python process that runs the given source with arguments in ``sys.argv``; killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", source, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
