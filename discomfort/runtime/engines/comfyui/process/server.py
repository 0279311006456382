"""A ComfyUI server of our own: started on a free port with our nodes injected, watched, and always stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from discomfort.runtime.engine_thread import in_thread
from discomfort.runtime.engines.comfyui.connection.answers import list_in, object_in, parsed_json, read_body, text_of
from discomfort.runtime.engines.comfyui.process.injection import our_custom_nodes, write_extra_paths
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.protocol import EngineError
from discomfort.server_access.hosts import HOSTS_VARIABLE
from discomfort.server_access.tokens import TOKEN_VARIABLE
from discomfort.settings.folders import cache_folder

_GUARD = Path(__file__).with_name("guard.py")
_FAREWELL = b"."
_LOG_TAIL_BYTES = 4000
_POLL_SECONDS = 0.02
_PORT_TAKEN = ("address already in use", "only one usage of each socket address", "errno 98", "errno 48", "10048")


class ManagedServer:
    """One ComfyUI process; `start` again after it died starts another.

    It gets the nodes in the folder `custom_nodes` next to those of its checkout: ours, unless another folder is given.
    """

    def __init__(self, config: ServerConfig, custom_nodes: Path | None = None) -> None:
        self._custom_nodes = custom_nodes or our_custom_nodes()
        self.config: ServerConfig = config.checked()
        self.token: str = secrets.token_urlsafe(32)
        self.port: int | None = None
        self._folder: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._process_id: int | None = None

    @property
    def url(self) -> str:
        """The server's address, such as `http://127.0.0.1:8188`."""
        return f"http://{self.config.host}:{self.port}"

    @property
    def process_id(self) -> int | None:
        """The server's process id while it runs."""
        return self._process_id if self.is_running() else None

    @property
    def log_file(self) -> Path | None:
        """Where the server's output goes; removed when the server is stopped."""
        return self._folder / "server.log" if self._folder else None

    def is_running(self) -> bool:
        """Return whether the process lives (it may still be starting, or hang)."""
        return self._guard is not None and self._guard.poll() is None

    def log_tail(self) -> str:
        """Return the last lines that the server wrote."""
        log = self.log_file
        if log is None or not log.exists():
            return ""
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")

    async def start(self) -> None:
        """Start the server and wait until it answers `/system_stats`.

        A free port cannot be reserved for another program, so the choice is checked: when another program took the
        port first, or another server answers on it, the next port is tried.

        Raises:
            EngineError: it did not come up; shows the last lines of its log.
        """
        for attempt in range(self.config.start_attempts):
            await self.stop()
            self.port = self._choose_port(attempt)
            try:
                await in_thread(self.spawn)
                if await self._wait_until_ready():
                    return
            except BaseException:
                await self.stop()
                raise
            await asyncio.sleep(self.config.attempt_pause)
        await self.stop()
        raise EngineError(f"no free port found for ComfyUI in {self.config.start_attempts} attempts")

    def spawn(self) -> None:
        """Start the server's process on `port`, and do not wait until it answers; `start` does.

        Raises:
            EngineError: its interpreter cannot be run.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="discomfort-server-"))
        main = str(self.config.path / "main.py")
        command = [self.config.python, *self.config.python_options, main, *self._arguments(self._folder)]
        log = self._folder / "server.log"
        environment = {
            **os.environ,
            TOKEN_VARIABLE: self.token,
            HOSTS_VARIABLE: f"{os.environ.get(HOSTS_VARIABLE, '')} {self.config.host}",  # the name by which we reach it
            "DISCOMFORT_CACHE_DIR": str(cache_folder() or ""),  # the server's Python may not find it by itself
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
        }
        guard_command = [sys.executable or self.config.python, "-I", "-S", str(_GUARD), str(self.config.grace)]
        try:
            with log.open("ab") as stream:
                self._guard = subprocess.Popen(
                    [*guard_command, str(log), *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    cwd=self.config.working_directory or self.config.path,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise EngineError(f"cannot start ComfyUI with {command[0]}: {error}") from error
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        self._process_id = int(line) if line.strip() else None

    async def stop(self) -> None:
        """Stop the server and whatever it started: SIGTERM, a grace period, SIGKILL. Safe to call twice."""
        guard, self._guard = self._guard, None
        folder, self._folder = self._folder, None
        # whoever waits for this may be cancelled meanwhile, and it goes on
        await asyncio.shield(_stop(guard, self._process_id, self.config.grace, folder))

    def _choose_port(self, attempt: int) -> int:
        first = self.config.first_port
        if first is not None:
            candidates = range(first + attempt, min(first + attempt + 100, 65536))
            port = next((port for port in candidates if _is_free(self.config.host, port)), None)
            if port is not None:
                return port
        try:
            return _any_free_port(self.config.host)
        except OSError as error:
            raise EngineError(
                f"a server cannot listen on {self.config.host!r} here ({error}); to use one that runs elsewhere, "
                "attach to its URL"
            ) from error

    def _arguments(self, folder: Path) -> list[str]:
        injection = str(write_extra_paths(folder, self._custom_nodes))
        ours = ["--port", str(self.port), "--disable-auto-launch", "--extra-model-paths-config", injection]
        return [*self.config.arguments, *ours]

    async def _wait_until_ready(self) -> bool:
        """Return True when our server answers, False when its port belongs to another program."""
        import aiohttp

        deadline = time.monotonic() + self.config.start_timeout
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while time.monotonic() < deadline:
                stats = await _system_stats(session, self.url)
                if stats is not None:
                    return self._is_ours(stats)
                if not self.is_running():
                    return self._explain_exit()
                await asyncio.sleep(0.1)
        waited = f"{self.config.start_timeout:g} s"
        raise EngineError(
            f"ComfyUI at {self.config.path} did not answer within {waited}. Its log ends:\n{self.log_tail()}"
        )

    def _is_ours(self, stats: dict[str, Any]) -> bool:
        """Return whether the server that answers was started by us: its arguments name our own folder."""
        arguments = list_in(object_in(stats.get("system")).get("argv"))
        return self.is_running() and any(str(self._folder) in text_of(argument) for argument in arguments)

    def _explain_exit(self) -> bool:
        log = self.log_tail()
        if any(phrase in log.lower() for phrase in _PORT_TAKEN):
            return False
        status = self._guard.returncode if self._guard else None
        raise EngineError(
            f"ComfyUI at {self.config.path} ended with status {status} before it was ready. Its log ends:\n{log}"
        )


async def _system_stats(session: Any, url: str) -> dict[str, Any] | None:
    """Return what `/system_stats` answers, or None while nothing usable answers."""
    import aiohttp

    try:
        async with session.get(f"{url}/system_stats") as response:
            data = parsed_json(await read_body(response, url, "/system_stats"))
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError, EngineError):
        return None
    return data if isinstance(data, dict) else None


async def _stop(guard: subprocess.Popen[bytes] | None, server: int | None, grace: float, folder: Path | None) -> None:
    """Stop the server and remove its folder; without a thread, since a program that ends has no more to give."""
    if guard is not None:
        await _stop_guard(guard, server, grace)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


async def _stop_guard(guard: subprocess.Popen[bytes], server: int | None, grace: float) -> None:
    """Have the guard stop the server; kill both should the guard not manage in time."""
    assert guard.stdin is not None
    assert guard.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before
        guard.stdin.write(_FAREWELL)
        guard.stdin.close()
    deadline = time.monotonic() + grace + 5.0
    while guard.poll() is None and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
    if guard.poll() is None:
        guard.kill()
        if server is not None and sys.platform != "win32":
            _kill_group(server)
        guard.wait()
    guard.stdout.close()


def _kill_group(server: int) -> None:
    try:
        os.killpg(server, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nothing of it is left


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":  # as servers do: old connections that linger on a port do not make it taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _any_free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
