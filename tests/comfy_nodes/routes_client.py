"""Our routes on an aiohttp server in this process, as ComfyUI has them, and clients of them."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from discomfort.server_access.hosts import AllowedHosts
from discomfort.server_access.proofs import PROOF_HEADER, Prover, body_digest
from discomfort_nodes.routes.guard import Guard

TOKEN = "the token of this server, which is long enough"


class Client:
    """Sends requests with proofs."""

    def __init__(self, client: TestClient[Any, Any], nonce: str) -> None:
        self.http = client
        self.prover = Prover(TOKEN, nonce, "127.0.0.1:8188")

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """Return status and answer of a request that proves to know the token."""
        headers = {PROOF_HEADER: self.prover.header(method, path, body_digest(body)), **headers}
        async with self.http.request(method, path, data=io.BytesIO(body), headers=headers) as response:
            return response.status, _parsed(await response.read())

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.send("POST", path, json.dumps(body).encode())

    async def ask(self, method: str, path: str, data: Any = None, **headers: str) -> tuple[int, Any]:
        """Return status and answer of a request as it is."""
        async with self.http.request(method, path, data=data, headers=headers) as response:
            return response.status, _parsed(await response.read())


def _parsed(answer: bytes) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(answer)
    return answer


@contextlib.contextmanager
def prompt_server() -> Iterator[Any]:
    """Replace the ComfyUI of this process; no prompt runs there."""
    queue = SimpleNamespace(currently_running={}, get_current_queue_volatile=lambda: ([], []))
    instance = SimpleNamespace(prompt_queue=queue, sockets={}, on_prompt_handlers=[], routes=web.RouteTableDef())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=SimpleNamespace(instance=instance)))
        yield instance


@contextlib.asynccontextmanager
async def routes_client(hosts: AllowedHosts | None = None) -> AsyncIterator[Client]:
    """Serve every route of ours."""
    with prompt_server() as server:
        token: Any = SimpleNamespace(server_name="1-" + "0" * 32, token=TOKEN)
        Guard(token, hosts or AllowedHosts()).add_routes(server.routes)
        app = web.Application()
        app.add_routes(server.routes)
        async with TestClient(TestServer(app)) as client, client.get("/discomfort/info") as response:
            yield Client(client, (await response.json())["nonce"])
