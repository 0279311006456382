"""The engine that runs prompts on a ComfyUI server, one of our own or one that runs already."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import urllib.parse
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig, find_config
from discomfort.runtime.engines.comfyui.server_connection import Connection, Patience
from discomfort.runtime.engines.protocol import (
    EngineError,
    EngineLost,
    Listener,
    PromptRequest,
    PromptResult,
    Splitting,
    TransferLimits,
)

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.ir.catalog.catalog import Catalog
    from discomfort.ir.catalog.effects import EffectTable
    from discomfort.ir.graph import Node, NodeId
    from discomfort.ir.keys import Source

Answer = TypeVar("Answer")

_NOTICE_SECONDS = (0.2, 1.0)
"""Pauses in which a connection to a server that died finds out that it is lost."""


class ComfyUIEngine:
    """Runs prompts on a ComfyUI server: `managed` starts one, `attached` uses one that runs.

    A managed server that died, or whose worker died, is started again by the next call; the caller decides whether to
    run the lost prompt once more. Once closed, only `start` opens it again: what was under way must not. An engine
    lives on the event loop that first used it, and in the process that made it.

    Example:
        >>> engine = discomfort.ComfyUIEngine.attached("http://127.0.0.1:8188")
        >>> engine.url
        'http://127.0.0.1:8188'
    """

    name = "comfyui"
    hands_over_live_objects = False
    pipelined = True

    def __init__(
        self,
        server: ManagedServer | None = None,
        url: str | None = None,
        token: str | None = None,
        patience: Patience | None = None,
        share_memory: bool | None = None,
    ) -> None:
        """Use `managed`, `attached` or `from_config` instead."""
        self._server = server
        self._url = url
        self._token = token
        self._patience = patience or Patience()
        self._share_memory = share_memory
        self._connection: Connection | None = None
        self._starting = asyncio.Lock()
        self._closed = False
        self._home: asyncio.AbstractEventLoop | None = None
        self._process_id = os.getpid()
        self._closers: list[Callable[[], None]] = []

    @classmethod
    def managed(
        cls,
        path: str | os.PathLike[str] | ServerConfig,
        python: str | None = None,
        arguments: Sequence[str] = (),
        patience: Patience | None = None,
        share_memory: bool | None = None,
    ) -> ComfyUIEngine:
        """Return an engine with a server of its own, started when first needed.

        Args:
            path: the ComfyUI checkout, or a whole `ServerConfig`.
            python: the interpreter that has ComfyUI's requirements; default: the one that runs us.
            arguments: further `main.py` arguments, such as `--cpu`.
            patience: how long to wait for what.
            share_memory: whether values may travel through memory that both map; False sends them over HTTP. None: yes
                where the server is on this machine.

        Raises:
            EngineError: there is no ComfyUI at `path`.
        """
        if not isinstance(path, ServerConfig):
            path = ServerConfig(Path(path), python or sys.executable, tuple(arguments))
        return cls(ManagedServer(path), patience=patience, share_memory=share_memory)

    @classmethod
    def attached(
        cls,
        url: str,
        token: str | None = None,
        patience: Patience | None = None,
        share_memory: bool | None = None,
    ) -> ComfyUIEngine:
        """Return an engine for a server that runs already, local or remote.

        Args:
            url: such as `http://127.0.0.1:8188`.
            token: DISCOMFORT_TOKEN of the server's environment; default: what a server of the same user on the same
                machine left for us, or our own DISCOMFORT_TOKEN for this machine and DISCOMFORT_TOKEN_HOSTS.
            patience: how long to wait for what.
            share_memory: whether values may travel through memory that both map; False sends them over HTTP. None: yes
                where the server is on this machine.

        Raises:
            EngineError: the address is not one.
        """
        address = url if "://" in url else f"http://{url}"
        try:
            named = bool(urllib.parse.urlsplit(address).hostname) and urllib.parse.urlsplit(address).port != 0
        except ValueError as error:
            raise EngineError(f"{url!r} is not an address: {error}") from error
        if not named:
            raise EngineError(f"{url!r} is not an address; write it as http://127.0.0.1:8188")
        return cls(url=address, token=token, patience=patience, share_memory=share_memory)

    @classmethod
    def from_config(cls, config_path: str | os.PathLike[str] | None = None) -> ComfyUIEngine:
        """Return an engine for the ComfyUI that `comfy_serverless.json` or the surroundings name; see `find_config`.

        Raises:
            EngineError: none is named, or the configuration is wrong.
        """
        config = find_config(config_path)
        if config is None:
            raise EngineError(
                "no ComfyUI is named: give comfy_serverless.json as config_path, or set COMFYUI_PATH to a checkout"
            )
        return cls.managed(config)

    @property
    def url(self) -> str | None:
        """The server's address; None while a managed server has not been started."""
        if self._server is None:
            return self._url
        return self._server.url if self._server.port else None

    @property
    def splitting(self) -> Splitting:
        """When several prompts are better than one: always, where values cross at little cost; known after `start`."""
        near = self._connection is not None and self._connection.shares_memory
        return Splitting.FOR_SPEED if near else Splitting.FOR_DEPTH

    @property
    def server(self) -> ManagedServer | None:
        """The managed server, or None."""
        return self._server

    async def start(self) -> None:
        """Start or find the server and connect to it, also after `close`; does nothing when connected.

        Raises:
            EngineError: the server does not start, wants a token, or speaks another protocol.
            EngineLost: it cannot be reached.
        """
        self._closed = False
        await self.connected()

    async def connected(self) -> Connection:
        """Return the connection; makes a new one where there is none or the last one is lost.

        Raises:
            EngineError: the engine was closed, or made before this process was forked; or as `start`.
            EngineLost: see `start`.
        """
        if os.getpid() != self._process_id:
            raise EngineError("this engine belongs to the process that this one was forked from; make another here")
        self._home = self._home or asyncio.get_running_loop()
        async with self._starting:
            if self._closed:
                raise _closed()
            connection = self._connection
            if connection is not None:
                with contextlib.suppress(EngineError):
                    await connection.settle()
                if connection.lost is None and self._is_running():
                    return connection
            await self._disconnect(EngineLost("ComfyUI was lost"))
            if self._server is not None:
                await self._server.start()
            return await self._connect()

    async def catalog(self) -> Catalog:
        """Return the node classes of the server; requested once a connection."""
        return await self._ask(lambda connection: connection.catalog())

    def forget_catalog(self) -> None:
        """Have `catalog` ask the server again, as after its files have changed."""
        if self._connection is not None:
            self._connection.forget_catalog()

    async def sources(self, nodes: Collection[Node], effects: EffectTable) -> Mapping[NodeId, Source]:
        """Return what nodes depend on besides their inputs, as our nodes on the server say; unknown without those."""
        return await self._ask(lambda connection: connection.sources(nodes, effects))

    def doubt(self, sources: Collection[tuple[Node, Source]]) -> None:
        """Take note that nodes may have read something else than the server reported."""
        if self._connection is not None:
            self._connection.doubt(sources)

    async def transfer_limits(self, context: WorkflowContext) -> TransferLimits | None:
        """Return what can be sent to the server and back; None: everything, as through shared memory."""
        return await self._ask(lambda connection: connection.transfer_limits(context))

    async def validate(self, requests: Sequence[PromptRequest]) -> None:
        """Check the prompts of a program before the first of them runs; see `Engine.validate`."""
        await self._ask(lambda connection: connection.validate(requests))

    async def run(self, request: PromptRequest, listener: Listener | None = None) -> PromptResult:
        """Run one prompt to its end; see `Engine.run`."""
        return await (await self.connected()).run(request, listener)

    async def close(self) -> None:
        """Disconnect, and stop the server if it is ours; from whatever event loop. Safe to call twice."""
        if os.getpid() != self._process_id:
            return  # the server is that of the process which this one was forked from
        if self._home is not None and self._home is not asyncio.get_running_loop() and self._home.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._close(), self._home))
        else:
            await self._close()

    def on_close(self, call: Callable[[], None]) -> None:
        """Have `call` called whenever the engine is closed, before its server stops."""
        self._closers.append(call)

    def _call_closers(self) -> None:
        for call in self._closers:
            call()

    async def _close(self) -> None:
        self._closed = True
        async with self._starting:
            await self._disconnect(_closed())
            self._call_closers()
            if self._server is not None:
                await self._server.stop()

    async def _ask(self, question: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """Ask what changes nothing; again on a new connection where a server that died is only noticed by that.

        Raises:
            EngineLost: it died again, or cannot be reached.
        """
        for pause in _NOTICE_SECONDS:
            connection = await self.connected()
            try:
                return await question(connection)
            except EngineLost:
                await asyncio.sleep(pause)
        return await question(await self.connected())

    def _is_running(self) -> bool:
        """Return whether the server's process lives; of a server that is not ours that is assumed."""
        return self._server is None or self._server.is_running()

    async def _connect(self) -> Connection:
        url = self.url
        assert url is not None
        token = self._server.token if self._server is not None else self._token
        connection = Connection(url, token, self._patience, self._is_running, self._share_memory)
        try:
            await connection.open()
        except BaseException:
            await connection.close(EngineLost("the connection to ComfyUI failed"))
            raise
        self._connection = connection
        return connection

    async def _disconnect(self, reason: EngineError) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close(reason)


def _closed() -> EngineError:
    """Return what ends the prompts of an engine that is closed; no loss, which would be answered by a restart."""
    return EngineError("the engine was closed")
