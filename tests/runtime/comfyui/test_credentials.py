"""What a server learns about the tokens of its clients: nothing that is of use elsewhere."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.connection.credentials import find_credentials
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.protocol import EngineError
from discomfort.server_access import tokens
from tests.runtime.comfyui.helpers import PATIENCE, addition, result_of

TOKEN = "the token of some other server, which must stay secret"


class Recorder:
    """Answers like a ComfyUI with our nodes, and notes all that it is sent."""

    def __init__(self, info: dict[str, Any]) -> None:
        self.info = info
        self.seen: list[str] = []
        self.port = 0
        self.forward: str | None = None
        """The server to which requests are passed on."""
        self.host = ""
        """The `Host` with which they are."""
        self.answers: list[tuple[int, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(f"{request.method} {request.raw_path} {dict(request.headers)} {body!r}")
        if request.path == "/ws":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for _ in socket:
                pass
            return socket
        if self.forward is not None:
            return await self._pass_on(request, body)
        if request.path == "/discomfort/info":
            return web.json_response(self.info)
        return web.json_response({"error": "no", "nonce": self.info.get("nonce")}, status=401)

    async def _pass_on(self, request: web.Request, body: bytes) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.startswith("Discomfort")}
        url = f"{self.forward}{request.raw_path}"
        async with (
            ClientSession() as session,
            session.request(request.method, url, data=body, headers={**headers, "Host": self.host}) as answer,
        ):
            text = await answer.text()
            self.answers.append((answer.status, text))
            return web.Response(status=answer.status, text=text, content_type="application/json")

    def sent(self) -> str:
        return "\n".join(self.seen)


NAMED = "1-" + "a" * 32
NONCE = f"{1:x}.{'a' * 32}.{'b' * 64}"


@pytest_asyncio.fixture
async def recorder() -> AsyncIterator[Recorder]:
    made = Recorder({"protocol": 2, "discomfort": "x", "server": NAMED, "nonce": NONCE, "worker_alive": True})
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names of other machines lead here, and there are no tokens of this user."""
    look_up: Callable[..., Any] = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: look_up("127.0.0.1" if str(host).endswith(".example") else host, *rest, **more),
    )
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("DISCOMFORT_TOKEN", "DISCOMFORT_TOKEN_HOSTS"):
        monkeypatch.delenv(name, raising=False)


async def attach(url: str, context: WorkflowContext, token: str | None = None) -> str:
    """Attach a context to a server; return what went wrong."""
    engine = ComfyUIEngine.attached(url, token, patience=PATIENCE)
    try:
        with pytest.raises(EngineError) as caught:
            await engine.transfer_limits(context)
        return str(caught.value)
    finally:
        await engine.close()


def leave_token(port: int | str, name: str = NAMED) -> None:
    folder = tokens.token_directory()
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / name).write_text(f"{TOKEN}\n{port}")


async def test_the_token_is_never_sent(
    recorder: Recorder, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCOMFORT_TOKEN", TOKEN)
    await attach(f"http://127.0.0.1:{recorder.port}", context)
    await attach(f"http://127.0.0.1:{recorder.port}", context, TOKEN)
    assert "/discomfort/attach" in recorder.sent()
    assert TOKEN not in recorder.sent()


async def test_a_token_of_the_environment_is_not_used_for_a_server_elsewhere(
    recorder: Recorder, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCOMFORT_TOKEN", TOKEN)
    leave_token(recorder.port)
    message = await attach(f"http://gpu.example:{recorder.port}", context)
    assert "/discomfort/attach" in recorder.sent()
    assert "Authorization" not in recorder.sent()
    assert "Discomfort-Proof" not in recorder.sent()
    assert "name gpu.example in DISCOMFORT_TOKEN_HOSTS" in message
    monkeypatch.setenv("DISCOMFORT_TOKEN_HOSTS", "other.example, gpu.example")
    message = await attach(f"http://gpu.example:{recorder.port}", context)
    assert "Discomfort-Proof" in recorder.sent()
    assert "DISCOMFORT_TOKEN in our environment is not the one of the server" in message


def test_which_token_is_for_which_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def token(url: str, given: str | None = None, name: str = NAMED) -> str | None:
        return find_credentials(url, given, name).token

    assert token("http://anything.example", "given") == "given"
    leave_token(8188)
    assert token("http://127.0.0.1:8188") == TOKEN
    assert token("http://[::1]:8188") == TOKEN
    for url in ("http://127.0.0.1:9999", "http://gpu.example:8188", "http://localhost", "https://10.0.0.1:8188"):
        assert token(url) is None
    for name in ("../" + NAMED, "", "1-" + "b" * 32, NAMED + "\n"):
        assert token("http://127.0.0.1:8188", name=name) is None
    monkeypatch.setenv("DISCOMFORT_TOKEN", "of the environment")
    assert token("http://127.0.0.1:8188") == TOKEN
    assert token("http://localhost:9999") == "of the environment"
    assert token("http://gpu.example:8188") is None
    assert token("http://127.0.0.1.example:8188") is None
    assert token("http://localhost@gpu.example:8188") is None
    monkeypatch.setenv("DISCOMFORT_TOKEN_HOSTS", "GPU.example, b.example:8188 [fe80::1]:8188 10.0.0.5")
    for url in ("http://gpu.example:1", "https://GPU.EXAMPLE", "http://b.example:8188", "http://[fe80::1]:8188"):
        assert token(url) == "of the environment"
    for url in ("http://b.example", "http://b.example:8189", "http://evil.gpu.example", "http://[fe80::1]:1"):
        assert token(url) is None


async def test_a_hostile_server_cannot_pass_a_proof_on(
    recorder: Recorder, server: ManagedServer, context: WorkflowContext
) -> None:
    """Though it hands out the other's nonce, and the user gave it the same token."""
    for host in ("evil.example", "127.0.0.1"):
        recorder.forward, recorder.host = server.url, host
        recorder.answers.clear()
        await attach(f"http://evil.example:{recorder.port}", context, server.token)
        statuses = {status for status, _ in recorder.answers}
        assert statuses <= {200, 401, 403}
        assert all(json.loads(text).get("attached") is None for _, text in recorder.answers)
        assert [text for _, text in recorder.answers if "is not a name of this ComfyUI server" in text]


async def test_a_recorded_request_cannot_be_sent_again(
    recorder: Recorder, server: ManagedServer, context: WorkflowContext
) -> None:
    """Even by whoever sits between a client and its server on this machine."""
    url = f"http://127.0.0.1:{recorder.port}"
    recorder.forward, recorder.host = server.url, f"127.0.0.1:{recorder.port}"
    engine = ComfyUIEngine.attached(url, server.token, patience=PATIENCE)
    await engine.start()
    await (await engine.connected()).transfer_limits(context)
    (attached,) = [line for line in recorder.seen if line.startswith("POST /discomfort/attach")]
    proof = attached.partition("'Discomfort-Proof': '")[2].partition("'")[0]
    body = attached.rpartition(" b'")[2][:-1].encode()
    assert recorder.answers[-1][0] == 200
    for path in ("/discomfort/attach", "/discomfort/detach"):
        request = urllib.request.Request(server.url + path, body, {"Discomfort-Proof": proof})
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(urllib.request.urlopen, request)
        assert caught.value.code == 401
        caught.value.close()
    await engine.close()


async def test_a_client_goes_on_when_its_session_is_forgotten(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    assert await result_of(attached, addition(context, 401)) == 402
    transport = (await attached.connected()).transport
    transport.authenticate(transport._credentials, NONCE)  # of no server
    assert await result_of(attached, addition(context, 402)) == 403


@pytest.mark.parametrize(("protocol", "older"), [(1, "the server's is older"), (3, "ours is older")])
async def test_another_protocol_is_reported_with_what_to_update(
    recorder: Recorder, context: WorkflowContext, protocol: int, older: str
) -> None:
    recorder.info = {**recorder.info, "protocol": protocol}
    message = await attach(f"http://127.0.0.1:{recorder.port}", context, TOKEN)
    assert f"(protocol {protocol}), this is protocol 2: install the same version on both sides; {older}" in message
    assert TOKEN not in recorder.sent()


async def test_an_older_client_reads_what_to_do(server: ManagedServer) -> None:
    request = urllib.request.Request(
        f"{server.url}/discomfort/attach", b"{}", {"Authorization": f"Bearer {server.token}"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        await asyncio.to_thread(urllib.request.urlopen, request)
    with caught.value as error:
        assert error.code == 401
        assert "a client older than protocol 2 must be updated" in json.loads(error.read())["error"]


async def test_a_name_that_the_server_does_not_know_is_reported_with_the_remedy(
    server: ManagedServer, context: WorkflowContext
) -> None:
    message = await attach(server.url.replace("127.0.0.1", "gpu.example"), context, server.token)
    assert "add it to DISCOMFORT_HOSTS" in message


async def test_a_redirect_does_not_take_a_proof_elsewhere(recorder: Recorder, context: WorkflowContext) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{recorder.port}{request.path}")

    async def info(_request: web.Request) -> web.StreamResponse:
        return web.json_response(recorder.info)

    async def websocket(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/discomfort/info", info)
    app.router.add_get("/ws", websocket)
    app.router.add_route("*", "/{path:.*}", redirect)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        await attach(f"http://127.0.0.1:{runner.addresses[0][1]}", context, TOKEN)
        assert recorder.seen == []
    finally:
        await runner.cleanup()
