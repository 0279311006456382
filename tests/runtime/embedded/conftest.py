from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders
from tests.runtime.embedded.lab import Lab


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    (tmp_path / "input").mkdir()
    return Folders(tmp_path / "input", tmp_path / "output", tmp_path / "temp", tmp_path / "models")


@pytest.fixture
def lab(folders: Folders, shared_context: WorkflowContext) -> Lab:
    return Lab(EmbeddedEngine(folders), shared_context)


@pytest.fixture(scope="session")
def shared_context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.05) as made:
        yield made
