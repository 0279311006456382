"""The HTTP routes by which a Discomfort client attaches its context to this ComfyUI server.

All but `/discomfort/info` are for clients that know the token; see `guard.py`. Values travel in the context's wire
format, which holds JSON and tensors and is never unpickled.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any

from discomfort.server_access.hosts import AllowedHosts
from discomfort.server_access.protocol import DIGEST, PROTOCOL
from discomfort.server_access.tokens import ServerToken
from discomfort_nodes.registry import REGISTRY, prompt_server
from discomfort_nodes.routes.guard import Answer, Asked, Guard, Refused, guarded_route, open_route
from discomfort_nodes.tickets import TICKETS, Ticket, watch_arrivals

KEY = r"[0-9a-f]{32}"
"""The form of a context's key."""

MAX_VALUE_BYTES = 16 * 2**30
"""How large a value in wire format may be."""

SWEEP_SECONDS = 30.0
_log = logging.getLogger("discomfort")


def add_routes() -> None:
    """Add every route of ours to the ComfyUI server of this process; does nothing where there is none."""
    server = prompt_server()
    if server is None:
        return
    token = ServerToken()
    if token.file is not None:
        _log.info("[discomfort] programs of other users or machines need the token in %s", token.file)
    watch_arrivals()
    Guard(token, AllowedHosts.of_this_server()).add_routes(server.routes)


@open_route("GET", "/discomfort/info")
async def info(asked: Asked) -> Answer:
    """Say who we are, what a proof needs, and whether the thread that runs prompts is alive (null: unknown)."""
    from aiohttp import web

    from discomfort._version import __version__

    answer = {
        "discomfort": __version__,
        "protocol": PROTOCOL,
        "server": asked.guard.server_name,
        "nonce": asked.guard.new_nonce(),
        "worker_alive": _worker.is_alive(),
    }
    return web.json_response(answer, headers={"Cache-Control": "no-store"})


@guarded_route("POST", "/discomfort/attach")
async def attach(asked: Asked) -> Answer:
    """Attach a context: `{"key": …, "client": id, "handle": …}`; handle null: a new one in this process."""
    from discomfort_nodes.routes.bodies import AttachBody

    body = asked.read(AttachBody)
    try:
        await asyncio.to_thread(REGISTRY.attach, body.key, body.client, body.handle)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, ImportError) as error:
        raise Refused(409, f"{type(error).__name__}: {error}") from error
    _sweep.later()
    return {"attached": True}


@guarded_route("POST", "/discomfort/detach")
async def detach(asked: Asked) -> Answer:
    """Release a context: `{"key": …}`."""
    from discomfort_nodes.routes.bodies import DetachBody

    key = asked.read(DetachBody).key
    TICKETS.revoke(key)
    await asyncio.to_thread(REGISTRY.detach, key)
    return {"attached": False}


@guarded_route("POST", "/discomfort/tickets", max_bytes=2**26)
async def register(asked: Asked) -> Answer:
    """Register a prompt that is about to be queued, and answer which values it needs that its context lacks.

    `{"key": …, "prompt_id": …, "prompt": digest, "digests": [what it reads], "names": [under which it stores],
    "letterbox": where the context keeps what it stores, "ended": the letterboxes of runs that have ended}`. What a run
    reads and stores is kept until the client says that it has ended.
    """
    from discomfort_nodes.routes.bodies import TicketBody

    body = asked.read(TicketBody)
    ticket = Ticket(body.key, body.prompt, frozenset(body.digests), frozenset(body.names), body.letterbox)
    try:
        REGISTRY.context(body.key)  # raises where it is not attached, also for a prompt that reads nothing
        TICKETS.register(body.prompt_id, ticket)
        missing = REGISTRY.begin(body.key, body.letterbox, body.digests, body.ended)
    except LookupError as error:
        raise Refused(404, str(error)) from error
    except ValueError as error:
        raise Refused(409, str(error)) from error
    return {"missing": missing}


@guarded_route("PUT", "/discomfort/values/{key}/{digest}", streamed=True)
async def put_value(asked: Asked) -> Answer:
    """Store a value that the client sends in wire format; refuse one that is not what its digest says."""
    key, expected = asked.part("key", KEY), asked.part("digest", DIGEST)
    wire = await asked.body(MAX_VALUE_BYTES)
    try:
        digest = await asyncio.to_thread(_store, key, wire)
        TICKETS.keep(key)
    except LookupError as error:
        raise Refused(404, str(error)) from error
    except ValueError as error:
        raise Refused(400, f"not a value in wire format: {error}") from error
    except OSError as error:
        raise Refused(507, f"cannot store the value: {error}") from error
    if digest != expected:
        raise Refused(422, f"its content has digest {digest}")
    return {"digest": digest}


@guarded_route("GET", "/discomfort/values/{key}/{digest}")
async def get_value(asked: Asked) -> Answer:
    """Answer with a value of the context in wire format; one that cannot travel is kept, and its class named."""
    from aiohttp import web

    key, digest = asked.part("key", KEY), asked.part("digest", DIGEST)
    try:
        wire = await asyncio.to_thread(_fetch, key, digest)
    except LookupError as error:
        raise Refused(404, str(error)) from error
    except TypeError as error:
        kept = await asyncio.to_thread(REGISTRY.keep, key, digest)
        return web.json_response({"error": f"cannot travel over a network: {error}", "kept": kept}, status=422)
    except ValueError as error:
        raise Refused(422, f"cannot be read: {error}") from error
    return web.Response(body=wire, content_type="application/octet-stream")


class _Worker:
    """Whether the thread that runs prompts is alive."""

    def __init__(self) -> None:
        self._was_seen = False

    def is_alive(self) -> bool | None:
        """Return whether it is; None where there never was a thread of its name."""
        alive = any("prompt_worker" in thread.name for thread in threading.enumerate())
        self._was_seen = self._was_seen or alive
        return alive if self._was_seen else None


class _Sweep:
    """Releases what clients left that are gone, as long as a context is attached."""

    def __init__(self) -> None:
        self._is_due = False

    def later(self) -> None:
        """Sweep in a while."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._now)

    def _now(self) -> None:
        sockets: Mapping[str, Any] = getattr(prompt_server(), "sockets", {})
        REGISTRY.detach_absent(set(sockets))
        TICKETS.clean()
        self._is_due = False
        if len(REGISTRY):
            self.later()


_worker, _sweep = _Worker(), _Sweep()


def _store(key: str, wire: bytearray) -> str:
    from discomfort.context.values.wire import decode_wire

    return REGISTRY.store(key, decode_wire(wire))


def _fetch(key: str, digest: str) -> bytes:
    from discomfort.context.values.wire import encode_wire

    return encode_wire(REGISTRY.context(key).values.get(digest))
