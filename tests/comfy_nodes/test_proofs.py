"""What proofs of a token are good for: one request to one server, once."""

from __future__ import annotations

import hashlib
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.server_access import proofs
from discomfort.server_access.hosts import AllowedHosts
from discomfort.server_access.proofs import WINDOW, ProofError, Prover, Verifier, body_digest, is_nonce

TOKEN = "a token that is long enough, and random too"
EMPTY = body_digest(b"")
PATH = "/discomfort/attach"


def make(token: str = TOKEN, names: str = "") -> Verifier:
    return Verifier(token, AllowedHosts("127.0.0.1", names))


def proof(server: Verifier, host: str = "127.0.0.1:8188", token: str = TOKEN) -> Prover:
    return Prover(token, server.new_nonce(), host)


def test_a_proof_is_accepted_and_says_what_the_body_is() -> None:
    server = make()
    client = proof(server)
    for body in (b"", b"{}", b"x" * 100):
        assert server.verify(client.header("POST", PATH, body_digest(body)), "POST", PATH) == body_digest(body)


def test_a_proof_is_accepted_once() -> None:
    server = make()
    header = proof(server).header("POST", PATH, EMPTY)
    server.verify(header, "POST", PATH)
    for _ in range(3):
        with pytest.raises(ProofError, match="used before"):
            server.verify(header, "POST", PATH)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", PATH), ("POST", "/discomfort/detach"), ("POST", PATH + "?x=1"), ("POST", PATH + "/"), ("post", PATH)],
)
def test_a_proof_is_for_one_method_and_path(method: str, path: str) -> None:
    server = make()
    header = proof(server).header("POST", PATH, EMPTY)
    with pytest.raises(ProofError):
        server.verify(header, method, path)


def test_what_a_proxy_or_ComfyUI_puts_before_the_path_does_not_matter() -> None:
    server = make()
    client = proof(server)
    for seen in (f"/api{PATH}", f"/comfy/api{PATH}", PATH):
        server.verify(client.header("POST", PATH, EMPTY), "POST", seen)


def test_a_server_cannot_use_a_proof_on_another_server() -> None:
    """Not even one that hands out the other's nonce, and where both have one token."""
    honest = make(names="honest.example")
    for host in ("evil.example", "evil.example:8188", "127.0.0.1.evil.example", "[fe80::1]:8188"):
        header = Prover(TOKEN, honest.new_nonce(), host).header("POST", PATH, EMPTY)
        with pytest.raises(ProofError, match="not a name of this ComfyUI server"):
            honest.verify(header, "POST", PATH)
        with pytest.raises(ProofError, match="wrong"):
            honest.verify(header.replace(f"host={host}", "host=honest.example"), "POST", PATH)
    other = make()
    with pytest.raises(ProofError, match="not one of this server"):
        other.verify(proof(honest).header("POST", PATH, EMPTY), "POST", PATH)


def test_a_wrong_token_is_refused() -> None:
    server = make()
    for token in ("wrong", TOKEN + " ", TOKEN[:-1], "", "\ud800"):
        with pytest.raises(ProofError, match="wrong"):
            server.verify(proof(server, token=token).header("POST", PATH, EMPTY), "POST", PATH)


@pytest.mark.parametrize("token", ["short", "ü", "\ud800x", "x" * 1000])
def test_any_token_works(token: str) -> None:
    server = make(token)
    server.verify(proof(server, token=token).header("POST", PATH, EMPTY), "POST", PATH)


def test_a_token_that_people_think_up_is_slow_to_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def stretch(_hash: str, _text: bytes, _salt: bytes, rounds: int) -> bytes:
        calls.append(rounds)
        return b"k" * 32

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", stretch)
    proofs.token_key.cache_clear()
    make_proof = proof(make(), token="hunter2")
    make_proof.header("POST", PATH, EMPTY)
    proofs.token_key.cache_clear()
    assert calls == [200_000]


def test_neither_the_token_nor_its_key_is_in_a_proof() -> None:
    server = make()
    header = proof(server).header("POST", PATH, EMPTY)
    assert TOKEN not in header
    assert proofs.token_key(TOKEN).hex() not in header


def test_requests_may_arrive_in_any_order_within_the_window() -> None:
    server = make()
    client = proof(server)
    headers = [client.header("POST", PATH, EMPTY) for _ in range(WINDOW)]
    random.Random(1).shuffle(headers)
    for header in headers:
        server.verify(header, "POST", PATH)
    for header in headers:
        with pytest.raises(ProofError):
            server.verify(header, "POST", PATH)


def test_a_long_session_keeps_little_and_refuses_what_is_far_behind() -> None:
    server = make()
    client = proof(server)
    first = client.header("POST", PATH, EMPTY)
    old = client.header("POST", PATH, EMPTY)
    server.verify(first, "POST", PATH)
    for _ in range(5 * WINDOW):
        server.verify(client.header("POST", PATH, EMPTY), "POST", PATH)
    (session,) = server._sessions.values()
    assert len(session.used) <= 2 * WINDOW
    for header in (first, old):
        with pytest.raises(ProofError, match="used before"):
            server.verify(header, "POST", PATH)


def test_a_forgotten_session_cannot_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(proofs, "MAX_SESSIONS", 3)
    server = make()
    clients = [proof(server) for _ in range(4)]
    headers = [client.header("POST", PATH, EMPTY) for client in clients]
    for header in headers[:3]:
        server.verify(header, "POST", PATH)
    with pytest.raises(ProofError, match="too many sessions"):
        server.verify(headers[3], "POST", PATH)
    now[0] += proofs.NONCE_SECONDS + 1
    server.verify(clients[1].header("POST", PATH, EMPTY), "POST", PATH)  # a session lasts as long as it is used
    late = [proof(server) for _ in range(2)]
    for client in late:
        server.verify(client.header("POST", PATH, EMPTY), "POST", PATH)
    for header in headers:
        with pytest.raises(ProofError):
            server.verify(header, "POST", PATH)
    with pytest.raises(ProofError, match="too old"):
        server.verify(clients[0].header("POST", PATH, EMPTY), "POST", PATH)


@given(st.one_of(st.text(max_size=300), st.from_regex(proofs._PROOF, fullmatch=True)))
def test_whatever_else_a_header_holds_is_refused(header: str) -> None:
    with pytest.raises(ProofError):
        make().verify(header, "POST", PATH)


@given(st.integers(0, 10_000), st.characters(codec="ascii"))
def test_no_changed_proof_is_accepted(place: int, letter: str) -> None:
    server = make()
    header = proof(server).header("POST", PATH, EMPTY)
    place %= len(header)
    changed = header[:place] + letter + header[place + 1 :]
    if changed != header:
        with pytest.raises(ProofError):
            server.verify(changed, "POST", PATH)
    server.verify(header, "POST", PATH)


@given(st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text())))
def test_a_servers_nonce_is_checked_before_it_is_used(given: Any) -> None:
    assert not is_nonce(given)
    assert is_nonce(make().new_nonce())
