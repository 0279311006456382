"""`ComfyConnector`: the ComfyUI server of this process under the names of the earlier Discomfort."""

from __future__ import annotations

import atexit
import os
import threading
import urllib.parse
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discomfort.runtime.engine_thread import run_awaiting, run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.worker import Worker
from discomfort.runtime.engines.protocol import EngineError
from discomfort.runtime.engines.select import VARIABLE, select_engine

_lock = threading.Lock()
_connector: ComfyConnector | None = None


class ComfyConnector:
    """Runs workflows and prompts on a ComfyUI server as they are; `create` returns the one of this process.

    New programs use `Discomfort`, whose `Worker` does the same.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     connector = await discomfort.ComfyConnector.create("comfy_serverless.json")
        ...     history = await connector.run_workflow("main_workflow.json")
        ...     await connector.kill_api()
        >>> asyncio.run(main())  # doctest: +SKIP
    """

    def __init__(self, engine: ComfyUIEngine, config: Path | None = None) -> None:
        """Use `create` instead."""
        self._engine = engine
        self._worker = Worker(engine)
        self._config = config
        self._stopped = True
        self.client_id: str = uuid.uuid4().hex
        """A client id for a websocket of your own. The connection that runs workflows here has another one."""

    @classmethod
    async def create(cls, config_path: str | os.PathLike[str] | None = None) -> ComfyConnector:
        """Return the connector of this process, and start its server where it does not run.

        Args:
            config_path: a `comfy_serverless.json`. By default the ComfyUI that DISCOMFORT_ENGINE names, else the
                `comfy_serverless.json` in the current folder, else the checkout that COMFYUI_PATH names.

        Raises:
            EngineError: no ComfyUI is named, it does not start, or this process runs a connector with another
                configuration, which `kill_api` stops.
        """
        connector = _connector_for(None if config_path is None else Path(config_path).resolve())
        await connector._start()
        return connector

    @property
    def server_address(self) -> str:
        """The server's address, such as `http://127.0.0.1:8188`.

        Raises:
            EngineError: the server does not run.
        """
        url = None if self._stopped else self._engine.url
        if url is None:
            raise EngineError("the server does not run; `await ComfyConnector.create()` starts it")
        return url.rstrip("/")

    @property
    def ws_address(self) -> str:
        """The address of a websocket that receives the messages for `client_id`.

        Raises:
            EngineError: the server does not run.
        """
        parts = urllib.parse.urlsplit(self.server_address)
        scheme = "wss" if parts.scheme == "https" else "ws"
        return f"{scheme}://{parts.netloc}{parts.path}/ws?clientId={self.client_id}"

    async def run_workflow(
        self, payload: Mapping[str, Any] | str | os.PathLike[str], use_workflow_json: bool = True
    ) -> dict[str, Any]:
        """Run a workflow or a prompt and return its history entry by prompt id; starts a server that was stopped.

        Args:
            payload: a workflow as the editor saves it, or a prompt; as data, or the path of a JSON file.
            use_workflow_json: whether it is a workflow (True) or a prompt.

        Raises:
            CompileError: the workflow cannot be converted.
            FileNotFoundError: the file does not exist.
            EngineError: the prompt was refused (`PromptRejected`), a node failed (`NodeFailed`), or the engine did.
        """
        await self._start()
        return await self._worker.run_workflow(payload, use_workflow_json)

    async def get_prompt_from_workflow(self, workflow: Mapping[str, Any]) -> dict[str, Any]:
        """Return the prompt that ComfyUI's editor would make of a workflow; starts a server that was stopped.

        Raises:
            CompileError: the workflow cannot be converted.
        """
        await self._start()
        return await self._worker.get_prompt_from_workflow(workflow)

    def upload_data(
        self,
        source_path: str | os.PathLike[str],
        folder_type: str = "input",
        subfolder: str | None = None,
        overwrite: bool = False,
        is_ephemeral: bool = False,
    ) -> str:
        """Copy a file into one of the managed ComfyUI's folders and return its full path.

        Args:
            source_path: the file.
            folder_type: "input", "output", "temp" or "models".
            subfolder: a folder inside; required for models: "checkpoints", "loras"…
            overwrite: replace a file of that name; otherwise the copy gets a number.
            is_ephemeral: remove the copy when the server is stopped.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: no such folder type, models without subfolder, or a subfolder that leads outside.
            EngineError: the server is not a managed one.
        """
        return self._worker.upload_data(source_path, folder_type, subfolder, overwrite, is_ephemeral)

    async def kill_api(self) -> None:
        """Stop the server and remove ephemeral uploads; the next run, or `create`, starts it again."""
        self._stopped = True
        await self._worker.kill_api()

    async def _start(self) -> None:
        await run_awaiting(self._engine.start())
        self._stopped = False


def _connector_for(config: Path | None) -> ComfyConnector:
    """Return the connector of this process; a new one where there is none, or only one that was stopped.

    Raises:
        EngineError: it runs with another configuration, or no ComfyUI is named.
    """
    global _connector
    with _lock:
        current = _connector
        if current is not None and config in (None, current._config):
            return current
        if current is not None and not current._stopped:
            raise EngineError(
                f"this process runs a ComfyConnector that was made with {current._config or 'no configuration file'}; "
                f"stop it with kill_api() before you make one with {config}"
            )
        _connector = ComfyConnector(_engine_for(config), config)
        return _connector


def _engine_for(config: Path | None) -> ComfyUIEngine:
    if config is None:  # an engine that is chosen by a word is shared with the sessions of this process
        engine = select_engine() if os.environ.get(VARIABLE) else None
        engine = engine if isinstance(engine, ComfyUIEngine) else select_engine("comfyui")
        assert isinstance(engine, ComfyUIEngine)
        return engine
    engine = ComfyUIEngine.from_config(config)
    atexit.register(_close, engine, os.getpid())
    return engine


def _close(engine: ComfyUIEngine, process: int) -> None:
    """Stop the server when the program ends, unless this process is a fork of the one that started it."""
    if os.getpid() == process:
        run_blocking(engine.close())


def _begin_again() -> None:
    """Forget the connector in a process that was forked: its server is the parent's."""
    global _connector, _lock
    _connector, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
