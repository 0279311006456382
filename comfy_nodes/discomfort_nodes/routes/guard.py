"""Discomfort's HTTP routes on a ComfyUI server, and what every request to them must pass.

A new route is one decorated function in a module that `comfy_nodes/discomfort_nodes/__init__.py` imports:

    @guarded_route("POST", "/discomfort/lengths")
    async def lengths(asked: Asked) -> Answer:
        return {"lengths": [len(name) for name in asked.read(LengthsBody).names]}

`guarded_route` lets in only clients that prove to know the server's token (see `proofs.py`), `open_route` every client.
Both refuse a `Host` or `Origin` that is not this server's (see `hosts.py`). A handler reads the body, a JSON object, as
a pydantic model of `bodies.py`, answers with a dict, and raises `Refused` for whatever is wrong with the request.
On the client's side, `Transport.post_json(path, …)` proves what has to be proved.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from discomfort.server_access.hosts import AllowedHosts
from discomfort.server_access.proofs import PROOF_HEADER, ProofError, Verifier, body_digest
from discomfort.settings.checking import path_of

if TYPE_CHECKING:
    from aiohttp.web import Request, StreamResponse
    from pydantic import BaseModel

    from discomfort.server_access.tokens import ServerToken

    Model = TypeVar("Model", bound=BaseModel)

Answer: TypeAlias = "Mapping[str, Any] | list[Any] | StreamResponse"
Handler: TypeAlias = "Callable[[Asked], Awaitable[Answer]]"

MAX_BODY_BYTES = 2**20
"""How large the JSON of a request may be, unless its route says otherwise."""

MOST_FINDINGS = 10
"""How many things that are wrong with a body are named."""

_LARGE = 2**20  # bytes; digests of smaller bodies are made at once

_log = logging.getLogger("discomfort")


class Refused(Exception):
    """What is wrong with a request: an HTTP status and the text of the answer's `error`."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.answer: dict[str, Any] = {"error": message, **more}


class Asked:
    """One request to a route of ours, with its JSON object.

    `data` is that object as it came, and `raw` the text that it was read from.
    """

    def __init__(self, request: Request, guard: Guard, stated: str) -> None:
        self.request = request
        self.guard = guard
        self.raw: bytes | bytearray = b""
        self.data: Mapping[str, Any] = {}
        self._stated = stated

    async def body(self, max_bytes: int) -> bytearray:
        """Return the body.

        Raises:
            Refused: it is larger, or is not what the proof was made for.
        """
        body = bytearray()
        async for chunk in self.request.content.iter_any():
            body += chunk
            if len(body) > max_bytes:
                raise Refused(413, f"the body is larger than {max_bytes} bytes")
        digest = body_digest(body) if len(body) < _LARGE else await asyncio.to_thread(body_digest, body)
        if self._stated != digest:
            raise Refused(400, "the body is not the one that the proof was made for")
        return body

    def read(self, model: type[Model]) -> Model:
        """Return the body as a model of `bodies.py`.

        Raises:
            Refused: it is not one; names all that is wrong, with its path in the body.
        """
        from pydantic import ValidationError

        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        wrong = [f"{path_of(*detail['loc'])}: {detail['msg']}" for detail in details[:MOST_FINDINGS]]
        more = f"; and {len(details) - len(wrong)} more" if len(details) > len(wrong) else ""
        raise Refused(400, f"the body cannot be used: {'; '.join(wrong)}{more}")

    def part(self, name: str, pattern: str) -> str:
        """Return a part of the path.

        Raises:
            Refused: it does not match `pattern` as a whole.
        """
        return _text(name, self.request.match_info[name], pattern)


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: str
    handler: Handler
    is_guarded: bool
    max_bytes: int | None


_routes: list[_Route] = []


def guarded_route(
    method: str, path: str, *, max_bytes: int = MAX_BODY_BYTES, streamed: bool = False
) -> Callable[[Handler], Handler]:
    """Return a decorator that makes a handler a route for clients that know the token.

    Args:
        method: GET, POST or PUT.
        path: begins with `/discomfort/`.
        max_bytes: how large the body may be.
        streamed: the body is not JSON; the handler reads it with `asked.body`.
    """
    return _decorator(method, path, is_guarded=True, max_bytes=None if streamed else max_bytes)


def open_route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Return a decorator that makes a handler a route for every client, as the editor's; it gets no body."""
    return _decorator(method, path, is_guarded=False, max_bytes=0)


def _decorator(method: str, path: str, *, is_guarded: bool, max_bytes: int | None) -> Callable[[Handler], Handler]:
    def decorate(handler: Handler) -> Handler:
        _routes.append(_Route(method, path, handler, is_guarded, max_bytes))
        return handler

    return decorate


class Guard:
    """Lets requests in to the routes of one server. Belongs to the thread of its event loop."""

    def __init__(self, token: ServerToken, hosts: AllowedHosts) -> None:
        self.server_name: str = token.server_name
        self._hosts = hosts
        self._verifier = Verifier(token.token, hosts)
        self._warned: set[str] = set()

    def add_routes(self, table: Any) -> None:
        """Add every route that was declared to an aiohttp `RouteTableDef`."""
        for route in _routes:
            table.route(route.method, route.path)(self._checked(route))

    def new_nonce(self) -> str:
        """Return what a client needs in order to prove that it knows the token."""
        return self._verifier.new_nonce()

    def _checked(self, route: _Route) -> Callable[[Request], Awaitable[StreamResponse]]:
        from aiohttp import web

        async def check(request: Request) -> StreamResponse:
            try:
                self._check_host(request)
                answer = await route.handler(await self._asked(route, request))
            except Refused as refused:
                return web.json_response(refused.answer, status=refused.status)
            return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

        return check

    def _check_host(self, request: Request) -> None:
        headers = request.headers
        problem = self._hosts.problem(headers.getall("Host", []), headers.getall("Origin", []))
        if problem is None:
            return
        if problem not in self._warned and len(self._warned) < 100:
            self._warned.add(problem)
            _log.warning("[discomfort] refused a request: %s", problem)
        raise Refused(403, problem, discomfort=True)

    async def _asked(self, route: _Route, request: Request) -> Asked:
        """Return the request, once its sender has proved to know the token, with its JSON object."""
        if not route.is_guarded:
            return Asked(request, self, "")
        try:
            stated = self._verifier.verify(request.headers.get(PROOF_HEADER, ""), request.method, request.raw_path)
        except ProofError as error:
            raise Refused(401, str(error), nonce=self.new_nonce()) from error
        if "Content-Encoding" in request.headers:
            raise Refused(415, "a body must not be compressed")
        asked = Asked(request, self, stated)
        if route.max_bytes is not None:
            asked.raw = await asked.body(route.max_bytes)
            asked.data = _object(asked.raw) if request.method == "POST" else {}
        return asked


def _object(body: bytes | bytearray) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise Refused(400, "the body must be a JSON object")
    return data


def _text(name: str, value: Any, pattern: str) -> str:
    if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
        raise Refused(400, f"{name}: expected text of the form {pattern}")
    return value
