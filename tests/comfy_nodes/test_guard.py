"""What every route refuses; no request, however odd, makes one fail."""

from __future__ import annotations

import copy
import json
import logging
import random
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings

from discomfort.context.context import WorkflowContext
from discomfort.context.values.wire import encode_wire
from discomfort.server_access.hosts import AllowedHosts
from discomfort.server_access.proofs import body_digest
from discomfort.server_access.protocol import prompt_digest
from discomfort_nodes.registry import REGISTRY
from discomfort_nodes.routes import guard as guard_module
from discomfort_nodes.tickets import TICKETS
from tests.comfy_nodes.routes_client import Client, routes_client

GUARDED = sorted((route.method, route.path) for route in guard_module._routes if route.is_guarded)
OPEN = sorted((route.method, route.path) for route in guard_module._routes if not route.is_guarded)
KEY = "0123456789abcdef" * 2
DIGEST = "d1-" + "0" * 32


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No handler raised, and nothing stays attached."""
    with caplog.at_level(logging.ERROR, "aiohttp.server"):
        yield
    REGISTRY.detach(KEY)
    TICKETS.revoke(KEY)
    assert [record for record in caplog.records if record.name == "aiohttp.server"] == []


def filled(path: str) -> str:
    return path.replace("{key}", KEY).replace("{digest}", DIGEST)


def test_every_route_of_ours_is_declared_and_only_these_want_no_token() -> None:
    assert OPEN == [("GET", "/discomfort/info"), ("GET", "/discomfort/ports"), ("GET", "/discomfort/workflows")]
    assert {"/discomfort/attach", "/discomfort/detach", "/discomfort/tickets"} <= {path for _, path in GUARDED}


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_who_does_not_know_the_token_gets_nothing(method: str, path: str) -> None:
    async with routes_client() as client:
        headers = client.prover.header(method, filled(path), "0" * 64)
        for given_headers in (
            {},
            {"Authorization": "Bearer the token of this server, which is long enough"},
            {"Discomfort-Proof": "x"},
            {"Discomfort-Proof": headers[:-1] + ("0" if headers[-1] != "0" else "1")},
        ):
            status, answer = await client.ask(method, filled(path), b"{}", **given_headers)
            assert status == 401
            assert answer["error"]
            assert answer["nonce"]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_a_request_is_answered_once_and_its_body_is_the_one_that_was_meant(method: str, path: str) -> None:
    async with routes_client() as client:
        proof = client.prover.header(method, filled(path), body_digest(b"{}"))
        status, answer = await client.ask(method, filled(path), b'{"x":1}', **{"Discomfort-Proof": proof})
        assert (status, answer["error"]) == (400, "the body is not the one that the proof was made for")
        status, answer = await client.ask(method, filled(path), b"{}", **{"Discomfort-Proof": proof})
        assert (status, answer["error"]) == (401, "this proof was used before")


@pytest.mark.parametrize(("method", "path"), GUARDED + OPEN)
async def test_a_name_that_is_not_ours_is_refused(method: str, path: str) -> None:
    async with routes_client() as client:
        for host, origin in [("evil.example", "http://evil.example"), ("evil.example:8188", ""), ("", "")]:
            headers = {"Host": host, **({"Origin": origin} if origin else {})}
            status, answer = await client.send(method, filled(path), b"", **headers)
            assert status == 403
            assert answer["discomfort"] is True
        status, _ = await client.send(method, filled(path), b"", Origin="http://evil.example")
        assert status == 403


async def test_names_that_the_owner_lists_are_ours() -> None:
    async with routes_client(AllowedHosts(names="comfy.example.com")) as client:
        headers = {"Host": "comfy.example.com", "Origin": "https://comfy.example.com"}
        assert (await client.ask("GET", "/discomfort/info", **headers))[0] == 200
        assert (await client.ask("GET", "/discomfort/info", Host="other.example.com"))[0] == 403


@pytest.mark.parametrize(("method", "path"), [route for route in GUARDED if route[0] == "POST"])
async def test_bodies_are_bounded(method: str, path: str) -> None:
    (route,) = (route for route in guard_module._routes if route.path == path)
    assert route.max_bytes is not None
    async with routes_client() as client:
        body = json.dumps({"key": "x" * (route.max_bytes + 1)}).encode()
        status, answer = await client.send(method, path, body)
        assert status == 413
        assert "larger than" in answer["error"]
        status, _ = await client.send(method, path, b"{}", **{"Content-Encoding": "gzip"})
        assert status in (400, 415)


ODD_BODIES = [
    b"",
    b"null",
    b"[]",
    b"0",
    b'"x"',
    b"{",
    b"\xff\xfe",
    b"\x00" * 100,
    b"[" * 100_000,
    b'{"key":' * 50_000,
    b'{"key": 1' + b"0" * 10_000 + b"}",
    b'{"key": NaN, "handle": Infinity}',
    b'{"key": "\\ud800", "prompt_id": "\\ud800", "client": "\\ud800"}',
    b'{"key": "' + KEY.encode()[:-1] + b'\\n", "client": "x", "handle": {}}',
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_odd_bodies_are_refused(method: str, path: str) -> None:
    async with routes_client() as client:
        for body in ODD_BODIES:
            status, answer = await client.send(method, filled(path), body)
            assert 400 <= status < 500, (body[:50], answer)
            assert isinstance(answer["error"], str)


TEXTS = [
    KEY,
    DIGEST,
    str(uuid.UUID(int=1)),
    "0" * 64,
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "\x00",
    "\ud800",
    "ü",
    "x" * 9999,
]
NUMBERS = [0, -1, 1, 2**31, 10**30, 1.5, -0.0, float("nan"), float("inf"), 1e308]
NAMES = [
    "key",
    "client",
    "handle",
    "digests",
    "names",
    "prompt",
    "prompt_id",
    "letterbox",
    "files",
    "targets",
    "classes",
]
HANDLE = ["run_id", "disk", "ram", "capacity", "token"]


def some_json(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(8 if depth < 4 else 4)
    if kind < 2:
        return chance.choice(TEXTS)
    if kind < 3:
        return chance.choice(NUMBERS)
    if kind < 4:
        return chance.choice([None, True, False])
    if kind < 6:
        return [some_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(NAMES + HANDLE + TEXTS): some_json(chance, depth + 1) for _ in range(chance.randrange(6))}


def some_body(chance: random.Random) -> dict[str, Any]:
    body = {name: some_json(chance) for name in chance.sample(NAMES, chance.randrange(len(NAMES)))}
    if chance.random() < 0.7:
        body["key"] = KEY
    if chance.random() < 0.5:
        body["handle"] = chance.choice([None, {}, {name: some_json(chance) for name in HANDLE}])
    return body


async def test_no_body_makes_a_route_fail() -> None:
    chance = random.Random(12)
    async with routes_client() as client:
        for _ in range(settings().max_examples * 15):
            (method, path), body = chance.choice(GUARDED), some_body(chance)
            status, answer = await client.send(method, filled(path), json.dumps(body).encode())
            assert status < 500, (method, path, body, answer)


async def test_a_handle_with_other_things_in_it_is_refused() -> None:
    with WorkflowContext(max_ram_gb=0.01) as context:
        handle = context.handle()
        async with routes_client() as client:
            for name in handle:
                for wrong in (None, 0, -1, 1.5, True, "", "/", "\x00", "x" * 5000, [], {}, ["x"], {"x": 1}, 10**30):
                    changed = {**copy.deepcopy(handle), name: wrong}
                    status, answer = await client.post(
                        "/discomfort/attach", {"key": KEY, "client": "x", "handle": changed}
                    )
                    assert status < 500, (name, wrong, answer)
                    REGISTRY.detach(KEY)


async def attached(client: Client, key: str = KEY) -> None:
    status, answer = await client.post("/discomfort/attach", {"key": key, "client": "x", "handle": None})
    assert (status, answer) == (200, {"attached": True})


async def test_a_value_goes_in_and_out_and_a_wrong_one_is_refused() -> None:
    with WorkflowContext(max_ram_gb=0.01) as context:
        digest = context.values.put({"a": [1, 2, 3]})
        wire = encode_wire(context.values.get(digest))
    async with routes_client() as client:
        await attached(client)
        path = f"/discomfort/values/{KEY}/{digest}"
        ticket = {"prompt_id": str(uuid.uuid4()), "prompt": prompt_digest({}), "names": [], "letterbox": ""}
        asked = {"key": KEY, "digests": [digest], **ticket}
        assert await client.post("/discomfort/tickets", asked) == (200, {"missing": [digest]})
        assert (await client.send("PUT", path, wire[:-1]))[0] == 400
        assert (await client.send("PUT", path, b""))[0] == 400
        assert (await client.send("PUT", f"/discomfort/values/{KEY}/{DIGEST}", wire))[0] == 422
        assert (await client.send("PUT", path.replace(KEY, "f" * 32), wire))[0] == 404
        assert await client.send("PUT", path, wire) == (200, {"digest": digest})
        assert await client.post("/discomfort/tickets", asked) == (200, {"missing": []})
        assert await client.send("GET", path) == (200, wire)
        assert (await client.send("GET", f"/discomfort/values/{KEY}/{DIGEST}"))[0] == 404


async def test_a_value_is_not_larger_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discomfort_nodes.routes.engine.MAX_VALUE_BYTES", 1000)
    async with routes_client() as client:
        await attached(client)
        assert (await client.send("PUT", f"/discomfort/values/{KEY}/{DIGEST}", b"x" * 1001))[0] == 413


async def test_another_clients_prompt_id_is_not_to_be_had() -> None:
    async with routes_client() as client:
        other = "f" * 32
        await attached(client)
        await attached(client, other)
        ticket = {"prompt_id": str(uuid.uuid4()), "prompt": "0" * 64, "names": [], "digests": [], "letterbox": ""}
        assert (await client.post("/discomfort/tickets", {"key": KEY, **ticket}))[0] == 200
        assert (await client.post("/discomfort/tickets", {"key": other, **ticket}))[0] == 409
        await client.post("/discomfort/detach", {"key": other})


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's folders, and a file outside of them."""
    (tmp_path / "user" / "default" / "workflows").mkdir(parents=True)
    (tmp_path / "input").mkdir()
    paths = SimpleNamespace(
        get_user_directory=lambda: str(tmp_path / "user"), get_input_directory=lambda: str(tmp_path / "input")
    )
    monkeypatch.setitem(sys.modules, "folder_paths", paths)
    monkeypatch.setitem(sys.modules, "nodes", SimpleNamespace(NODE_CLASS_MAPPINGS={}))
    return tmp_path


ODD_FILES: list[bytes] = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"[" * 100_000,
    b"\x89PNG\r\n\x1a\n" + b"\x00" * 50,
    b'{"nodes": [{}], "links": [[]]}',
    b'{"nodes": 5}',
    b'{"1": {"class_type": "X", "inputs": {"a": ["1", 1e400]}}}',
    b'{"1": {"class_type": [], "inputs": []}}',
]


async def test_no_file_makes_the_editors_routes_fail(folders: Path) -> None:
    async with routes_client() as client:
        for number, content in enumerate(ODD_FILES):
            for suffix in (".json", ".png"):
                (folders / "input" / f"odd{number}{suffix}").write_bytes(content)
                status, answer = await client.ask("GET", f"/discomfort/ports?workflow=odd{number}{suffix}")
                assert status == 422, (content[:50], answer)
                assert isinstance(answer["error"], str)
