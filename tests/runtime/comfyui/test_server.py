"""A server of our own: started, reachable for us alone, and always stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.process import guard
from discomfort.runtime.engines.comfyui.process import server as server_module
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.protocol import EngineError
from tests.runtime.comfyui.helpers import StartEngine, addition, is_alive, result_of, wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


async def test_server_starts_runs_and_leaves_nothing(managed: StartEngine, context: WorkflowContext) -> None:
    engine = managed()
    assert await result_of(engine, addition(context, 1)) == 2
    assert engine.server is not None
    process, log = engine.server.process_id, engine.server.log_file
    assert process is not None
    assert log is not None
    assert log.exists()
    await engine.close()
    assert not is_alive(process)
    assert not log.exists()


@pytest.mark.parametrize("chosen", ["cache", ""], ids=["a folder", "none"])
async def test_a_server_remembers_files_where_its_client_does(
    chosen: str, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the server's Python lacks platformdirs, which finds the folder."""
    folder = str(tmp_path / chosen) if chosen else ""
    monkeypatch.setattr(server_module, "cache_folder", lambda: Path(folder) if folder else None)
    server = ManagedServer(ServerConfig(checkout, start_timeout=30.0))
    await server.start()
    try:
        assert psutil.Process(server.process_id).environ()["DISCOMFORT_CACHE_DIR"] == folder
    finally:
        await server.stop()


async def test_two_servers_run_side_by_side(managed: StartEngine, context: WorkflowContext) -> None:
    one, two = managed(), managed()
    await asyncio.gather(one.start(), two.start())
    assert one.url != two.url
    results = await asyncio.gather(result_of(one, addition(context, 1)), result_of(two, addition(context, 2)))
    assert list(results) == [2, 3]


async def test_port_taken_by_another_program_is_passed_over(checkout: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        server = ManagedServer(ServerConfig(checkout, first_port=taken, start_timeout=30.0))
        await server.start()
        try:
            assert server.port != taken
        finally:
            await server.stop()


async def test_port_lost_to_another_server_between_choice_and_start(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another ComfyUI answers on the port that was chosen: it is not taken for ours."""
    other = ManagedServer(ServerConfig(checkout, start_timeout=30.0))
    await other.start()
    server = ManagedServer(ServerConfig(checkout, start_timeout=30.0, attempt_pause=0.01))
    choices = iter([other.port])
    choose = server._choose_port
    monkeypatch.setattr(server, "_choose_port", lambda attempt: next(choices, None) or choose(attempt))
    try:
        await server.start()
        assert server.port != other.port
        assert other.is_running()
    finally:
        await server.stop()
        await other.stop()


async def test_server_that_cannot_start_shows_its_log(managed: StartEngine) -> None:
    with pytest.raises(EngineError, match="a_missing_requirement"):
        await managed("--fail-to-start").start()


async def test_server_that_is_not_ready_in_time_is_stopped(checkout: Path) -> None:
    server = ManagedServer(ServerConfig(checkout, arguments=("--start-seconds", "60"), start_timeout=0.5, grace=0.5))
    with pytest.raises(EngineError, match="did not answer within"):
        await server.start()
    assert server.process_id is None


def test_no_comfyui_at_path_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no main\.py"):
        ManagedServer(ServerConfig(tmp_path))


async def test_missing_interpreter_is_reported(checkout: Path) -> None:
    with pytest.raises(EngineError, match="cannot start /no-such-python") as caught:
        await ManagedServer(ServerConfig(checkout, python="/no-such-python")).start()
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("host", ["203.0.113.5", "no-such-host.invalid"])
async def test_host_that_is_not_this_machine_is_reported(checkout: Path, host: str) -> None:
    with pytest.raises(EngineError, match="attach to its URL"):
        await ManagedServer(ServerConfig(checkout, host=host)).start()


@POSIX
async def test_whole_process_group_goes_even_when_sigterm_is_ignored(managed: StartEngine, tmp_path: Path) -> None:
    child_file = tmp_path / "child"
    engine = managed("--ignore-sigterm", "--child-file", str(child_file), grace=0.3)
    await engine.start()
    assert engine.server is not None
    server, child = engine.server.process_id, int(child_file.read_text())
    assert server is not None
    assert is_alive(child)
    await engine.close()
    assert not is_alive(server)
    assert not is_alive(child)


CLIENT = """
import asyncio, sys
from pathlib import Path
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.comfyui.process.server import ManagedServer

async def main():
    server = ManagedServer(ServerConfig(Path(sys.argv[1]), arguments=("--child-file", sys.argv[2]), start_timeout=30.0))
    await server.start()
    print(server._guard.pid, server.process_id, server.log_file, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


TALKS = """
import sys, time
line = b"x" * 1023 + b"\\n"
for _ in range(40 << 10):
    sys.stdout.buffer.write(line)
print("the last line", flush=True)
time.sleep(600)
"""


async def test_R11_only_the_end_of_a_long_log_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log" / "server.log"
    log.parent.mkdir()
    command = [sys.executable, guard.__file__, "0.1", str(log), sys.executable, "-c", TALKS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        await wait_until(lambda: log.read_bytes()[-20:].endswith(b"the last line\n") and log.stat().st_size < 20 << 20)
        assert log.read_bytes().count(b"\n") > 500
        process.communicate(b".")


@POSIX
@pytest.mark.parametrize("killed", ["client", "guard"])
async def test_R7_server_dies_with_whoever_keeps_it(checkout: Path, tmp_path: Path, killed: str) -> None:
    """SIGKILL of the client: the guard stops the server. SIGKILL of the guard: the kernel does (Linux)."""
    if killed == "guard" and sys.platform != "linux":
        pytest.skip("the parent-death signal is Linux's")
    child_file = tmp_path / "child"
    command = [sys.executable, "-c", CLIENT, str(checkout), str(child_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd()) as client:
        assert client.stdout is not None
        *processes, log = client.stdout.readline().decode().split()
        keeper, server = map(int, processes)
        child = int(child_file.read_text())
        try:
            os.kill(client.pid if killed == "client" else keeper, signal.SIGKILL)
            await wait_until(lambda: not is_alive(server))
            if killed == "client":
                await wait_until(lambda: not is_alive(child))
                await wait_until(lambda: not is_alive(keeper))
                assert not Path(log).parent.exists()
        finally:
            client.kill()
            for process in (keeper, server, child):
                if is_alive(process):
                    psutil.Process(process).kill()
