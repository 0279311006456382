"""Ctrl-C in a real process at several moments (law R7): it ends promptly, keeps what it had, and leaves nothing behind.

The server is the double, and with `--comfyui PATH` a real one, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from tests.runtime.comfyui.helpers import is_alive, queue_of, wait_until
from tests.runtime.comfyui.real import real_config, write_nodes

CLIENT = Path(__file__).with_name("ctrl_c_client.py")
ROOT = Path(__file__).parents[3]
SECONDS = 30
"""A client must have ended by then, and a server with it; the prompt would take ten times as long."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signal is POSIX's")


def interrupted(how: str, moment: str, engine: Sequence[str]) -> tuple[dict[str, int], list[int]]:
    """Run the client, send SIGINT at a moment; return what it kept, and the servers that it started."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(CLIENT), how, moment, *engine]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as client:
        try:
            assert client.stdout is not None
            said = []
            for line in client.stdout:
                said.append(line.strip())
                if said[-1] == moment:
                    break
            client.send_signal(signal.SIGINT)
            rest, _ = client.communicate(timeout=SECONDS)
        finally:
            client.kill()
    assert client.returncode == 130, said
    *more, kept = rest.splitlines()
    servers = [int(word) for word in (*said, *more) if word.isdigit() and word != "0"]
    return json.loads(kept), servers


async def check_attached(server: ManagedServer, how: str, moment: str) -> None:
    before = server.process_id
    kept, _ = interrupted(how, moment, [server.url, server.token])
    assert kept == ({} if moment == "connecting" else {"kept": 40})
    await wait_until(lambda: queue_of(server.url) == ([], []), SECONDS)
    assert server.process_id == before
    assert before is not None
    assert is_alive(before)


async def check_managed(how: str, moment: str, engine: Sequence[str]) -> None:
    kept, servers = interrupted(how, moment, engine)
    assert kept == ({"kept": 40} if moment == "running" else {})
    deadline = time.monotonic() + SECONDS
    while children_of(engine) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert children_of(engine) == []
    assert not any(map(is_alive, servers))


def children_of(engine: Sequence[str]) -> list[int]:
    """Return the processes whose command line names the engine's folder: its server, and the guard of that."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        if engine[-1] in (process.info["cmdline"] or ()) and is_alive(process.pid):
            found.append(process.pid)
    return found


MOMENTS = ("connecting", "queueing", "running", "reading")
HOW = ("blocking", "awaiting")


@pytest.mark.parametrize(("how", "moment"), [*(("awaiting", moment) for moment in MOMENTS), ("blocking", "running")])
async def test_R7_ctrl_c_frees_the_double_that_the_client_attached_to(
    server: ManagedServer, how: str, moment: str
) -> None:
    await check_attached(server, how, moment)


async def test_R7_ctrl_c_stops_the_double_that_the_client_started(checkout: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    await check_managed("awaiting", "running", [str(checkout), sys.executable, "--base-directory", str(base)])


@pytest.fixture(scope="module")
def real_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedServer]:
    base = tmp_path_factory.mktemp("ctrl_c")
    write_nodes(base)
    path = Path(str(request.config.getoption("--comfyui"))).resolve()
    python = str(request.config.getoption("--comfyui-python") or sys.executable)
    server = ManagedServer(real_config(path, python, base))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.mark.comfyui
@pytest.mark.timeout(300)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", HOW)
async def test_R7_ctrl_c_frees_a_real_server(real_server: ManagedServer, how: str, moment: str) -> None:
    await check_attached(real_server, how, moment)


@pytest.mark.comfyui
@pytest.mark.timeout(300)
@pytest.mark.parametrize("moment", ["starting", "connecting", "running"])
async def test_R7_ctrl_c_stops_a_real_server_of_our_own(
    comfyui_path: Path, comfyui_python: str, tmp_path: Path, moment: str
) -> None:
    write_nodes(tmp_path)
    config = real_config(comfyui_path, comfyui_python, tmp_path)
    await check_managed("blocking", moment, [str(config.path), config.python, *config.arguments])
