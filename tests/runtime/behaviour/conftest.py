"""The four engines of the behaviour suite, each with the same node classes.

By default the servers are the protocol double and the checkout in this process is a stand-in; with `--comfyui PATH`
all of them are that checkout.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.inprocess import InProcessEngine, checkout
from discomfort.runtime.engines.protocol import Engine, PromptResult
from tests.runtime.behaviour.standin import make_standin

HERE = Path(__file__).parent
NODES = HERE / "behaviour_nodes.py"


@dataclass
class Rig:
    """An engine, what it ran, the journal of its nodes, and the server that has them, if one does."""

    name: str
    engine: Engine
    journal: Path
    server: ManagedServer | None = None
    results: list[PromptResult] = field(default_factory=list)
    real: bool = False
    """Whether this is a run on a real checkout."""

    def __post_init__(self) -> None:
        run = self.engine.run

        async def watched(*arguments: Any, **options: Any) -> PromptResult:
            result = await run(*arguments, **options)
            self.results.append(result)
            return result

        self.engine.run = watched  # type: ignore[method-assign]

    def compile(self, *workflows: dict[str, Any], **options: Any) -> discomfort.Plan:
        return discomfort.compile(workflows, catalog=run_blocking(self.engine.catalog()), **options)

    def noted(self) -> list[str]:
        """Return what the nodes noted since this was last asked."""
        lines = self.journal.read_text("utf-8").splitlines() if self.journal.exists() else []
        self.journal.unlink(missing_ok=True)
        return lines

    def executed(self) -> list[str]:
        """Return the nodes that ran since this was last asked."""
        nodes = [node for result in self.results for node in result.executed]
        self.results.clear()
        return nodes


@pytest.fixture(scope="package", params=["embedded", "inprocess", "managed", "attached"])
def shared_rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    given = request.config.getoption("--comfyui")
    python = str(request.config.getoption("--comfyui-python") or sys.executable)
    base = tmp_path_factory.mktemp(request.param)
    yield from _RIGS[request.param](base, Path(given).resolve() if given else None, python)


@pytest.fixture
def rig(shared_rig: Rig, request: pytest.FixtureRequest) -> Rig:
    shared_rig.real = bool(request.config.getoption("--comfyui"))
    shared_rig.noted()
    shared_rig.executed()
    return shared_rig


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.1) as made:
        yield made


def install_nodes(base: Path, checkout: Path | None = None) -> Path:
    """Put the suite's nodes below `base` as a custom node, and return their journal.

    A real checkout also has the nodes that only work there, those of its own execution tests, and the checkpoint that
    DISCOMFORT_TEST_CHECKPOINT names.
    """
    for folder in ("custom_nodes", "input", "output", "temp", "models/checkpoints", "user"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    path = shutil.copy(NODES, base / "custom_nodes")
    if checkout is not None:
        shutil.copy(HERE / "odd_nodes.py", base / "custom_nodes")
    if checkout is not None and (theirs := checkout / "tests/execution/testing_nodes/testing-pack").is_dir():
        (base / "custom_nodes" / "testing-pack").symlink_to(theirs, target_is_directory=True)
    if checkpoint := os.environ.get("DISCOMFORT_TEST_CHECKPOINT"):
        (base / "models" / "checkpoints" / "random.safetensors").symlink_to(Path(checkpoint).resolve())
    return Path(path).with_suffix(".journal")


def real_arguments(base: Path) -> list[str]:
    """Return how a real ComfyUI is started for the suite; its default cache depends on the memory that is free."""
    database = f"sqlite:///{base / 'comfyui.db'}"
    arguments = ["--cpu", "--disable-api-nodes", "--cache-classic", "--base-directory", str(base)]
    return [*arguments, "--database-url", database]


def embedded(base: Path, _checkout: Path | None, _python: str) -> Iterator[Rig]:
    engine = EmbeddedEngine()
    path = shutil.copy(NODES, base)
    engine.register(path)
    yield Rig("embedded", engine, Path(path).with_suffix(".journal"))
    run_blocking(engine.close())


def inprocess(base: Path, path: Path | None, _python: str) -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(checkout, "_loaded", None)
        patch.delitem(sys.modules, "nodes", raising=False)
        before = set(sys.modules)
        if path is None:
            path, arguments = make_standin(base / "ComfyUI"), []
            journal = install_nodes(path)
        else:
            if importlib.util.find_spec("torchsde") is None:
                pytest.skip("this Python lacks ComfyUI's requirements")
            arguments = real_arguments(base)
            journal = install_nodes(base, path)
        engine = InProcessEngine(path, arguments)
        run_blocking(engine.start())
        yield Rig("inprocess", engine, journal)
        run_blocking(engine.close())
        for name in set(sys.modules) - before:  # ComfyUI's names are common ones: other tests must not meet them
            if name.partition(".")[0] in checkout._TOP_LEVEL or name.startswith("comfy"):
                del sys.modules[name]


def server_config(base: Path, path: Path | None, python: str) -> ServerConfig:
    if path is not None:
        return ServerConfig(path, python, tuple(real_arguments(base)))
    folder = base / "ComfyUI"
    folder.mkdir()
    double = HERE / "server.py"
    (folder / "main.py").write_text(f"import runpy\nrunpy.run_path({str(double)!r}, run_name='__main__')\n")
    return ServerConfig(folder, arguments=("--base-directory", str(base)), grace=1.0, start_timeout=60.0)


def managed(base: Path, path: Path | None, python: str) -> Iterator[Rig]:
    journal = install_nodes(base, path)
    engine = ComfyUIEngine.managed(server_config(base, path, python))
    run_blocking(engine.start())
    yield Rig("managed", engine, journal, engine.server)
    run_blocking(engine.close())


def attached(base: Path, path: Path | None, python: str) -> Iterator[Rig]:
    journal = install_nodes(base, path)
    server = ManagedServer(server_config(base, path, python))
    asyncio.run(server.start())
    try:
        engine = ComfyUIEngine.attached(server.url, server.token)
        run_blocking(engine.start())
        yield Rig("attached", engine, journal, server)
        run_blocking(engine.close())
    finally:
        asyncio.run(server.stop())


_RIGS = {"embedded": embedded, "inprocess": inprocess, "managed": managed, "attached": attached}
