"""The HTTP routes by which a Discomfort client attaches its context to this ComfyUI server.

All but `/discomfort/info` want the server's token as `Authorization: Bearer …`. Values travel in the context's wire
format, which holds JSON and tensors and is never unpickled.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from comfy_nodes.registry import REGISTRY, prompt_server
from comfy_nodes.tokens import ServerToken
from comfy_nodes.validation import Validation

if TYPE_CHECKING:
    from aiohttp.web import Request, Response, StreamResponse

    Handler: TypeAlias = Callable[[Request], Awaitable[StreamResponse]]

PROTOCOL = 1
"""Counted up when routes or node inputs change so that an older client could not use them."""

SWEEP_SECONDS = 30.0
_log = logging.getLogger("discomfort")


def add_routes() -> None:
    """Add the routes to the ComfyUI server of this process; does nothing where there is none."""
    server = prompt_server()
    if server is None:
        return
    token = ServerToken()
    if token.file is not None:
        _log.info("[discomfort] programs of other users or machines need the token in %s", token.file)
    routes = Routes(server, token)
    table = server.routes
    table.get("/discomfort/info")(routes.info)
    table.post("/discomfort/attach")(routes.guarded(routes.attach))
    table.post("/discomfort/detach")(routes.guarded(routes.detach))
    table.post("/discomfort/validate")(routes.guarded(Validation(server).validate))
    table.post("/discomfort/missing")(routes.guarded(routes.missing))
    table.put("/discomfort/values/{key}/{digest}")(routes.guarded(routes.put_value))
    table.get("/discomfort/values/{key}/{digest}")(routes.guarded(routes.get_value))


class Routes:
    """The handlers, with what they share."""

    def __init__(self, server: Any, token: ServerToken) -> None:
        self._server = server
        self._token = token
        self._sweeping = False
        self._worker_was_seen = False

    def guarded(self, handler: Handler) -> Handler:
        """Return `handler` behind the token."""
        from aiohttp import web

        expected = f"Bearer {self._token.token}".encode()

        async def check(request: Request) -> StreamResponse:
            given = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, expected):
                return web.json_response({"error": "the token is missing or wrong"}, status=401)
            return await handler(request)

        return check

    async def info(self, _request: Request) -> Response:
        """Say who we are, and whether the thread that runs prompts is alive (null: cannot tell)."""
        from aiohttp import web

        from discomfort._version import __version__

        return web.json_response(
            {
                "discomfort": __version__,
                "protocol": PROTOCOL,
                "server": self._token.server_name,
                "worker_alive": self._worker_alive(),
            }
        )

    def _worker_alive(self) -> bool | None:
        alive = any("prompt_worker" in thread.name for thread in threading.enumerate())
        self._worker_was_seen = self._worker_was_seen or alive
        return alive if self._worker_was_seen else None

    async def attach(self, request: Request) -> Response:
        """Attach a context: `{"key": …, "client": id, "handle": …}`; handle null: a new one in this process."""
        from aiohttp import web

        asked = await request.json()
        try:
            await asyncio.to_thread(REGISTRY.attach, str(asked["key"]), str(asked["client"]), asked["handle"])
        except (OSError, LookupError, ValueError, RuntimeError, ImportError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=409)
        self._sweep_later()
        return web.json_response({"attached": True})

    async def detach(self, request: Request) -> Response:
        """Let go of a context: `{"key": …}`."""
        from aiohttp import web

        asked = await request.json()
        await asyncio.to_thread(REGISTRY.detach, str(asked["key"]))
        return web.json_response({"attached": False})

    async def missing(self, request: Request) -> Response:
        """Answer which of `{"key": …, "digests": […]}` the context does not hold."""
        from aiohttp import web

        asked = await request.json()
        try:
            missing = [digest for digest in asked["digests"] if not REGISTRY.holds(str(asked["key"]), str(digest))]
        except LookupError as error:
            return web.json_response({"error": str(error)}, status=404)
        return web.json_response({"missing": missing})

    async def put_value(self, request: Request) -> Response:
        """Store a value that the client sends in wire format; refuse one that is not what its digest says."""
        from aiohttp import web

        wire = bytearray()
        async for chunk in request.content.iter_any():  # streamed: the server's upload limit is for its own routes
            wire += chunk
        try:
            digest = await asyncio.to_thread(_store, request.match_info["key"], bytes(wire))
        except LookupError as error:
            return web.json_response({"error": str(error)}, status=404)
        except ValueError as error:
            return web.json_response({"error": f"not a value in wire format: {error}"}, status=400)
        except OSError as error:
            return web.json_response({"error": f"cannot store the value: {error}"}, status=507)
        if digest != request.match_info["digest"]:
            return web.json_response({"error": f"its content has digest {digest}"}, status=422)
        return web.json_response({"digest": digest})

    async def get_value(self, request: Request) -> Response:
        """Answer with a value of the context in wire format; one that cannot travel is kept, and its class told."""
        from aiohttp import web

        try:
            wire = await asyncio.to_thread(_fetch, request.match_info["key"], request.match_info["digest"])
        except LookupError as error:
            return web.json_response({"error": str(error)}, status=404)
        except TypeError as error:
            kept = await asyncio.to_thread(REGISTRY.keep, request.match_info["key"], request.match_info["digest"])
            return web.json_response({"error": f"cannot travel over a network: {error}", "kept": kept}, status=422)
        except ValueError as error:
            return web.json_response({"error": f"cannot be read: {error}"}, status=422)
        return web.Response(body=wire, content_type="application/octet-stream")

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Let go of what clients left that are gone, as long as anybody is attached."""
        REGISTRY.detach_absent(set(self._server.sockets))
        self._sweeping = False
        if len(REGISTRY):
            self._sweep_later()


def _store(key: str, wire: bytes) -> str:
    from discomfort.context.wire import decode_wire

    return REGISTRY.store(key, decode_wire(wire))


def _fetch(key: str, digest: str) -> bytes:
    from discomfort.context.wire import encode_wire

    return encode_wire(REGISTRY.context(key).get_value(digest))
