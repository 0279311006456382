"""A checkout whose `main.py` is the protocol double, servers on it, and prompts to run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.comfyui.server_connection import Patience
from tests.runtime.comfyui.helpers import PATIENCE, StartEngine, make_checkout, set_faults


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "ComfyUI")


@pytest_asyncio.fixture
async def managed(checkout: Path) -> AsyncIterator[StartEngine]:
    """Makes engines with a double of their own; all are closed at the end."""
    engines: list[ComfyUIEngine] = []

    def make(
        *arguments: str, patience: Patience = PATIENCE, grace: float = 1.0, share_memory: bool | None = None
    ) -> ComfyUIEngine:
        config = ServerConfig(checkout, arguments=arguments, grace=grace, start_timeout=30.0, attempt_pause=0.05)
        engines.append(ComfyUIEngine.managed(config, patience=patience, share_memory=share_memory))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedServer]:
    """A double with our nodes that runs on its own, for engines that attach."""
    yield from _running(tmp_path_factory, ())


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedServer]:
    """A double without our nodes."""
    yield from _running(tmp_path_factory, ("--no-nodes",))


def _running(tmp_path_factory: pytest.TempPathFactory, arguments: tuple[str, ...]) -> Iterator[ManagedServer]:
    folder = make_checkout(tmp_path_factory.mktemp("comfyui") / "ComfyUI")
    server = ManagedServer(ServerConfig(folder, arguments=arguments, grace=1.0, start_timeout=30.0))
    asyncio.run(server.start())
    try:
        yield server
    finally:
        asyncio.run(server.stop())


@pytest_asyncio.fixture
async def attached(server: ManagedServer) -> AsyncIterator[ComfyUIEngine]:
    engine = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    yield engine
    calm = {"http_500": 0, "http_503": 0, "http_413": 0, "garbage": 0, "slow_seconds": 0.0, "silent": 0, "no_jobs": 0}
    set_faults(server.url, **calm, chatter=0, strange_queue=0)
    await engine.close()


@pytest_asyncio.fixture
async def remote(server: ManagedServer) -> AsyncIterator[ComfyUIEngine]:
    """An engine on the same server that shares no memory with it, as with one on another machine."""
    engine = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE, share_memory=False)
    yield engine
    await engine.close()


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.25) as made:
        yield made
