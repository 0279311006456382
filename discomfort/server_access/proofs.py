"""How a client proves that it knows a server's token without sending it.

The server hands out a nonce. Each request carries an HMAC, under a key made of token and nonce, of what it asks:
method, path, a digest of its body, the host that the client meant, and a number that no other request of its session
has. So a proof is of use for one request only, to one server: a server that passes it on is refused, because the proof
names the host that the client connected to, and a second use is refused, because its number was used.

Both sides use this module, and it needs the standard library only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from functools import lru_cache

from discomfort.server_access.hosts import AllowedHosts

PROOF_HEADER = "Discomfort-Proof"
"""Of its own, so that `Authorization` stays free for a reverse proxy."""

NONCE_SECONDS = 300.0
"""How long after it was handed out a nonce can begin a session."""

MAX_SESSIONS = 1024
"""How many sessions a server keeps; the one that was used least recently goes first."""

WINDOW = 4096
"""How far behind the highest number of a session another request may come in."""

_SHORT = 32  # characters; shorter tokens were thought up by people and could be guessed from a proof
_ROUNDS = 200_000
_NONCE = re.compile(r"[0-9a-f]{1,16}\.[0-9a-f]{32}\.[0-9a-f]{64}")
_PROOF = re.compile(
    r"nonce=([0-9a-f.]{1,120}); session=([0-9a-f]{32}); host=([!-:<-~]{1,300}); count=([0-9]{1,15}); "
    r"body=([0-9a-f]{64}); proof=([0-9a-f]{64})",
    re.ASCII,
)
_ROUTES = "/discomfort/"


class ProofError(ValueError):
    """A request does not prove that its sender knows the token; says why."""


@lru_cache(maxsize=64)
def token_key(token: str) -> bytes:
    """Return the key that a token gives: of a short one in a way that makes each guess slow (about 0.1 s)."""
    text, salt = token.encode("utf-8", "surrogatepass"), b"discomfort proof 2"
    if len(token) < _SHORT:
        return hashlib.pbkdf2_hmac("sha256", text, salt, _ROUNDS)
    return hmac.digest(text, salt, "sha256")


def body_digest(body: bytes | bytearray) -> str:
    """Return what a proof states of a body."""
    return hashlib.sha256(body).hexdigest()


def is_nonce(text: object) -> bool:
    """Return whether a server's answer holds a nonce of the form that servers hand out."""
    return isinstance(text, str) and _NONCE.fullmatch(text) is not None


class Prover:
    """A client's side of one session with one server."""

    def __init__(self, token: str, nonce: str, host: str) -> None:
        """Begin a session; `host` is the server as the client addresses it: `host` or `host:port`."""
        self._nonce = nonce
        self._host = host
        self._session = secrets.token_hex(16)
        self._count = 0
        self._key = _session_key(token_key(token), nonce)

    def header(self, method: str, path: str, body: str) -> str:
        """Return the header for one request; `body` is its `body_digest`."""
        self._count += 1
        stated = (self._nonce, self._session, self._host, str(self._count), body)
        proof = _sign(self._key, method, path, *stated)
        names = ("nonce", "session", "host", "count", "body", "proof")
        return "; ".join(f"{name}={value}" for name, value in zip(names, (*stated, proof), strict=True))


@dataclass(slots=True)
class _Session:
    """The numbers that requests of a session have used: all up to `floor`, and those in `used`."""

    floor: int = 0
    highest: int = 0
    used: set[int] = field(default_factory=set)
    issued: float = 0.0

    def use(self, number: int) -> bool:
        """Take a number; return whether it was free."""
        if number <= self.floor or number in self.used:
            return False
        self.used.add(number)
        self.highest = max(self.highest, number)
        if self.highest - self.floor > 2 * WINDOW:
            self.floor = self.highest - WINDOW
            self.used = {one for one in self.used if one > self.floor}
        return True


class Verifier:
    """A server's side. Belongs to one thread."""

    def __init__(self, token: str, hosts: AllowedHosts) -> None:
        self._token = token
        self._hosts = hosts
        self._secret = secrets.token_bytes(32)
        self._sessions: dict[tuple[str, str], _Session] = {}

    def new_nonce(self) -> str:
        """Return a nonce; nothing is kept until a client proves something with it."""
        issued = f"{int(time.monotonic() * 1000):x}.{secrets.token_hex(16)}"
        return f"{issued}.{self._mac(issued)}"

    def verify(self, header: str, method: str, path: str) -> str:
        """Return the body digest that a request's header states, once it proves that its sender knows the token.

        Raises:
            ProofError: it does not, or the proof was used, is too old, or was made for another server.
        """
        match = _PROOF.fullmatch(header)
        if match is None:
            raise ProofError(
                "the request does not prove that its sender knows the token of this server's Discomfort nodes; a "
                "client older than protocol 2 must be updated"
            )
        nonce, session, host, count, body, proof = match.groups()
        issued = self._issued(nonce)
        expected = _sign(_session_key(token_key(self._token), nonce), method, path, *match.groups()[:5])
        if not hmac.compare_digest(proof, expected):
            raise ProofError("the token is wrong, or a proxy changed the request")
        if not self._hosts.accepts(host):
            raise ProofError(self._hosts.problem([host], ()) or "made for another server")
        if not self._session(nonce, session, issued).use(int(count)):
            raise ProofError("this proof was used before")
        return body

    def _issued(self, nonce: str) -> float:
        """Return when a nonce of this server was handed out (seconds, monotonic)."""
        text, _, mac = nonce.rpartition(".")
        if _NONCE.fullmatch(nonce) is None or not hmac.compare_digest(mac, self._mac(text)):
            raise ProofError("the nonce is not one of this server")
        return int(text.partition(".")[0], 16) / 1000

    def _session(self, nonce: str, session: str, issued: float) -> _Session:
        key = nonce, session
        known = self._sessions.pop(key, None)
        if known is None:
            if time.monotonic() - issued > NONCE_SECONDS:
                raise ProofError("the nonce is too old")
            self._make_room()
            known = _Session(issued=issued)
        self._sessions[key] = known  # the last one is the one used last
        return known

    def _make_room(self) -> None:
        """Forget a session; none whose nonce could begin it again, which would make its proofs valid again."""
        if len(self._sessions) < MAX_SESSIONS:
            return
        now = time.monotonic()
        old = next((key for key, known in self._sessions.items() if now - known.issued > NONCE_SECONDS), None)
        if old is None:
            raise ProofError("too many sessions were begun in the last minutes")
        del self._sessions[old]

    def _mac(self, text: str) -> str:
        return hmac.digest(self._secret, text.encode(), "sha256").hex()


def _session_key(key: bytes, nonce: str) -> bytes:
    return hmac.digest(key, nonce.encode(), "sha256")


def _sign(key: bytes, method: str, path: str, *stated: str) -> str:
    """Return the proof; `path` counts from our routes' common part on: what comes before is a proxy's or ComfyUI's."""
    named = path[path.find(_ROUTES) :] if _ROUTES in path else path
    return hmac.digest(key, "\n".join((method, named, *stated)).encode("utf-8", "surrogatepass"), "sha256").hex()
