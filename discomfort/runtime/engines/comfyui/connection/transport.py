"""What is sent to a ComfyUI server and what comes back: its HTTP routes and its websocket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import time
import urllib.parse
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from discomfort.runtime.engine_thread import within
from discomfort.runtime.engines.comfyui.connection import answers
from discomfort.runtime.engines.comfyui.connection.answers import object_in, parsed_json, read_body, shown
from discomfort.runtime.engines.comfyui.connection.credentials import Credentials
from discomfort.runtime.engines.protocol import EngineError, EngineLost
from discomfort.server_access.proofs import PROOF_HEADER, Prover, body_digest, is_nonce

if TYPE_CHECKING:
    import aiohttp

OnMessage: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""Called with a websocket message's type and data."""

_log = logging.getLogger(__name__)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BUSY = (429, 503)
_HEARTBEAT_SECONDS = 30.0
_GUARDED = "/discomfort/"
_STREAMED = 2**20  # bytes; larger bodies are digested in a thread and sent in pieces
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

# Large prompts repeat the state of every node at each step; what we show comes from smaller messages.
_IGNORED_PREFIX = '{"type": "progress_state"'


class Unanswered(EngineLost):
    """The server did not answer in time, though for all we know it lives."""


class Transport:
    """One HTTP session and one websocket to one server. Belongs to the event loop that calls `open`."""

    def __init__(self, url: str, on_message: OnMessage, retry_seconds: float, is_running: Callable[[], bool]) -> None:
        self.url: str = url.rstrip("/")
        self.client_id: str = uuid.uuid4().hex
        self._credentials = Credentials(None, "")
        self._prover: Prover | None = None
        self.is_local: bool = urllib.parse.urlsplit(self.url).hostname in _LOOPBACK
        self._on_message = on_message
        self._retry_seconds = retry_seconds
        self._is_running = is_running
        self._session: aiohttp.ClientSession | None = None
        self._websocket: aiohttp.ClientWebSocketResponse[Any] | None = None

    def authenticate(self, credentials: Credentials, nonce: object) -> None:
        """Prove from now on to know the token, with a nonce that the server handed out."""
        self._credentials = credentials
        if credentials.token is not None and is_nonce(nonce):
            self._prover = Prover(credentials.token, str(nonce), _authority(self.url))

    async def open(self) -> None:
        """Open the session and connect the websocket.

        Raises:
            EngineLost: the server cannot be reached within the retry time.
        """
        import aiohttp

        if self._session is None:
            # A server that is busy with a node may hold the interpreter lock for long: no limit on the whole answer.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
            self._session = aiohttp.ClientSession(timeout=timeout)
        await self.connect()

    async def connect(self) -> None:
        """Connect the websocket, again if it was connected before.

        Raises:
            EngineError: what answers at the address takes no websocket from us.
            EngineLost: the server cannot be reached within the retry time, or its process is gone.
        """
        import aiohttp

        async def attempt() -> None:
            # A server on this machine that says nothing is busy: should it die, its connections break at once.
            heartbeat = None if self.is_local else _HEARTBEAT_SECONDS
            self._websocket = await self._opened().ws_connect(
                f"{self.url}/ws?clientId={self.client_id}", max_msg_size=answers.LARGEST_ANSWER, heartbeat=heartbeat
            )

        deadline = time.monotonic() + self._retry_seconds
        for pause in _pauses():
            try:
                await within(10, attempt())
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
                if isinstance(error, aiohttp.WSServerHandshakeError) and is_final(error.status):
                    raise EngineError(
                        f"{self.url} is not a ComfyUI server, or access was denied:"
                        f" it answers /ws with status {error.status}"
                    ) from error
                if time.monotonic() + pause > deadline or not self._is_running():
                    raise EngineLost(f"no websocket to ComfyUI at {self.url}: {_text_of(error)}") from error
                await asyncio.sleep(pause)
            else:
                return

    async def listen(self) -> None:
        """Hand over messages until the websocket closes, for whatever reason."""
        import aiohttp

        websocket = self._websocket
        if websocket is None:
            return
        async for message in websocket:
            if message.type is aiohttp.WSMsgType.TEXT and not message.data.startswith(_IGNORED_PREFIX):
                self._read(message.data)

    def _read(self, text: str) -> None:
        """Hand over one message; what is not one of ComfyUI's is logged and left."""
        try:
            message = parsed_json(text)
            kind, data = message["type"], message["data"]
        except (ValueError, LookupError, TypeError):
            _log.warning("ComfyUI at %s sent something that is not a message: %.200r", self.url, text)
            return
        if isinstance(kind, str) and isinstance(data, dict):
            self._on_message(kind, data)

    async def close(self) -> None:
        """Close websocket and session. Safe to call twice."""
        websocket, self._websocket = self._websocket, None
        session, self._session = self._session, None
        if websocket is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await within(1, websocket.close())
        if session is not None:
            await session.close()

    async def get_json(self, path: str, seconds: float | None = None) -> Any:
        """Return the JSON at `path`.

        Raises:
            EngineLost: no answer, or not one with status 200.
        """
        status, body = await self.request("GET", path, seconds=seconds)
        if status != 200:
            raise EngineLost(f"ComfyUI at {self.url} answered {path} with status {status}: {body[:300]!r}")
        return _parsed(self.url, path, body)

    async def post_json(
        self, path: str, payload: Mapping[str, Any], again: Callable[[], Awaitable[None]] | None = None
    ) -> tuple[int, Any]:
        """POST JSON and return status and answer (JSON, or None where the body is none); `again` as for `request`.

        Raises:
            EngineError: see `request`.
            EngineLost: no answer.
        """
        body = json.dumps(payload).encode()
        status, answer = await self.request("POST", path, body=body, content_type="application/json", again=again)
        try:
            return status, parsed_json(answer) if answer else None
        except ValueError:
            return status, None

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        form: Callable[[], aiohttp.FormData] | None = None,
        content_type: str = "application/octet-stream",
        seconds: float | None = None,
        again: Callable[[], Awaitable[None]] | None = None,
    ) -> tuple[int, bytes]:
        """Send one request and return status and body.

        While the server says that it is busy (503, 429), or fails with 500 to 504, it is asked again with growing
        pauses until the retry time is over, each time after `again`; then its last answer is returned. `seconds` limits
        one request. Requests to routes of our nodes prove that we know the token.

        Raises:
            EngineError: the server's nodes do not accept our token, or the name by which we reach them.
            Unanswered: it took too long.
            EngineLost: no connection, or it broke.
        """
        guarded = path.startswith(_GUARDED)
        digest = await _digest(body) if guarded else ""
        deadline = time.monotonic() + self._retry_seconds
        failures, renewed = 0, False
        for pause in _pauses():
            headers = self._headers(method, path, digest) if guarded else {}
            if body:
                headers["Content-Type"] = content_type
            status, answer = await self._attempt(method, path, body or (form() if form else None), headers, seconds)
            if guarded and status == 401 and not renewed:
                renewed = self._renew(answer)  # the server was restarted, or forgot a session that was idle for long
                if renewed:
                    continue
            if guarded and status in (401, 403):
                raise self._refusal(status, answer)
            failures += 500 <= status < 600 and status not in _BUSY
            if not _is_passing(status, failures) or time.monotonic() + pause > deadline:
                return status, answer
            await asyncio.sleep(pause)
            if again is not None:
                await again()
        raise AssertionError("pauses never end")

    async def _attempt(
        self, method: str, path: str, data: Any, headers: Mapping[str, str], seconds: float | None
    ) -> tuple[int, bytes]:
        import aiohttp

        timeout: dict[str, Any] = {"timeout": aiohttp.ClientTimeout(total=seconds)} if seconds else {}
        payload = io.BytesIO(data) if isinstance(data, bytes) and len(data) > _STREAMED else data
        try:
            request = self._opened().request(
                method,
                self.url + path,
                data=payload,
                headers=headers,
                allow_redirects=PROOF_HEADER not in headers,  # a proof is for this server
                **timeout,
            )
            sent = len(data) if isinstance(data, bytes) else 0
            async with await within(answers.GRACE_SECONDS + sent / answers.SLOWEST_BYTES, request) as response:
                return response.status, await read_body(response, self.url, path)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            kind = Unanswered if isinstance(error, asyncio.TimeoutError) else EngineLost
            raise kind(f"ComfyUI at {self.url} did not answer {path}: {_text_of(error)}") from error

    def _headers(self, method: str, path: str, digest: str) -> dict[str, str]:
        return {} if self._prover is None else {PROOF_HEADER: self._prover.header(method, path, digest)}

    def _renew(self, answer: bytes) -> bool:
        """Begin a new session with the nonce in an answer; return whether that is possible."""
        nonce = _member(answer, "nonce")
        if self._credentials.token is None or not is_nonce(nonce):
            return False
        self.authenticate(self._credentials, nonce)
        return True

    def _refusal(self, status: int, answer: bytes) -> EngineError:
        """Return the error for an answer 401 or 403 of our nodes, or of a proxy before them."""
        why = shown(_member(answer, "error") or answer[:200].decode("utf-8", "replace"))
        if status == 401 and is_nonce(_member(answer, "nonce")):
            return EngineError(
                f"ComfyUI at {self.url} wants the token of its Discomfort nodes: {self._credentials.advice} ({why})"
            )
        return EngineError(f"ComfyUI at {self.url} refuses our requests (status {status}): {why}")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise EngineLost(f"the connection to ComfyUI at {self.url} is closed")
        return self._session


def _authority(url: str) -> str:
    """Return host and port as a URL holds them, in ASCII."""
    parts = urllib.parse.urlsplit(url)
    authority = parts.netloc.rpartition("@")[2].lower()
    if authority.isascii() or parts.hostname is None:
        return authority
    name = parts.hostname.encode("idna").decode()
    return name if parts.port is None else f"{name}:{parts.port}"


async def _digest(body: bytes) -> str:
    return body_digest(body) if len(body) < _STREAMED else await asyncio.to_thread(body_digest, body)


def _member(answer: bytes, name: str) -> Any:
    """Return a member of the JSON object in an answer; None where there is none."""
    try:
        return object_in(parsed_json(answer)).get(name)
    except ValueError:
        return None


def is_final(status: int) -> bool:
    """Return whether a server that refused something with `status` will refuse it again."""
    return status < 500 and status not in _BUSY


def _is_passing(status: int, failures: int) -> bool:
    """Return whether to ask again: a busy server always, a failing one three times, a full disk (507) never."""
    return status in _BUSY or (status in (500, 502, 504) and failures < 3)


def _pauses() -> Iterator[float]:
    """Yield growing pauses in seconds, without end."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


def _parsed(url: str, path: str, body: bytes) -> Any:
    try:
        return parsed_json(body)
    except ValueError as error:
        found = f"{shown(str(error))}: {body[:200]!r}"
        raise EngineLost(
            f"ComfyUI at {url} answered {path} with a body that is not JSON ({found}); {answers.REMEDY}"
        ) from error


def _text_of(error: BaseException) -> str:
    """Return what an error says, in one line: some quote all that a server sent."""
    return shown(str(error)) or type(error).__name__
