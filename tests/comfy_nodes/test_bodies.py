"""Bodies of requests that are not what a route takes: status 400, and every fault with its path."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.comfy_nodes.routes_client import routes_client

KEY = "0" * 32
PROMPT_ID = "01234567-0123-0123-0123-0123456789ab"
TICKET = {"key": KEY, "prompt_id": PROMPT_ID, "prompt": "0" * 64, "digests": [], "names": [], "letterbox": ""}
NODE = {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "linked": []}

WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("attach", {}, ["$.key", "$.client"]),
    ("attach", {"key": KEY + "\n", "client": 5, "handle": []}, ["$.key", "$.client", "$.handle"]),
    ("attach", {"key": KEY, "client": "x" * 4097}, ["$.client: "]),
    ("detach", {"key": "zz"}, ["$.key: String should match pattern '^[0-9a-f]{32}$'"]),
    ("tickets", {**TICKET, "digests": ["d1-" + "0" * 32, 5], "names": [None]}, ["$.digests[1]", "$.names[0]"]),
    ("tickets", {**TICKET, "ended": [3], "prompt": "0"}, ["$.ended[0]", "$.prompt"]),
    ("tickets", {**TICKET, "names": ["x"] * (2**16 + 1)}, ["$.names: List should have at most 65536 items"]),
    ("fingerprints", {"id": KEY}, ["$.nodes: Field required"]),
    ("fingerprints", {"id": KEY, "nodes": [5, {**NODE, "inputs": []}]}, ["$.nodes[0]", "$.nodes[1].inputs"]),
    ("fingerprints", {"id": KEY, "nodes": [NODE], "doubts": [{"node": NODE}]}, ["$.doubts[0].version"]),
    (
        "fingerprints",
        {"id": KEY, "nodes": [], "doubts": [{"node": NODE, "version": 1, "prompt_input": "a#" + "9" * 5000}]},
        ["$.doubts[0].prompt_input"],
    ),
    ("validate", {}, ["$.prompt: Field required"]),
    ("validate", {"prompt": []}, ["$.prompt"]),
    ("validate", {"prompt": {"1": 5, "2": {"class_type": "X"}}}, ["$.prompt['1']", "$.prompt['2'].inputs"]),
    ("validate", {"prompt": {}, "partial_execution_targets": "1"}, ["$.partial_execution_targets"]),
]


@pytest.mark.parametrize(("route", "body", "faults"), WRONG)
async def test_every_fault_is_reported_with_its_path(route: str, body: dict[str, Any], faults: list[str]) -> None:
    async with routes_client() as client:
        status, answer = await client.post(f"/discomfort/{route}", body)
    assert status == 400
    assert answer["error"].startswith("the body cannot be used: $")
    for fault in faults:
        assert fault in answer["error"]


async def test_at_most_ten_faults_are_listed() -> None:
    async with routes_client() as client:
        _, answer = await client.post("/discomfort/tickets", {**TICKET, "names": [5] * 30})
    assert answer["error"].count("$.names[") == 10
    assert answer["error"].endswith("; and 20 more")


async def test_more_than_a_route_needs_and_odd_names_are_not_fault() -> None:
    ticket = {**TICKET, "names": ["\ud800", "", "\x00", "\n"], "more": 1}
    async with routes_client() as client:
        assert (await client.post("/discomfort/attach", {"key": KEY, "client": "\udc80", "later": {}}))[0] == 200
        assert await client.post("/discomfort/tickets", ticket) == (200, {"missing": []})
        assert await client.post("/discomfort/detach", {"key": KEY}) == (200, {"attached": False})


async def test_what_is_wrong_inside_a_prompt_is_left_to_comfyui(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(prompt_id: str, prompt: Any, targets: Any) -> Any:
        return False, {"type": "invalid_prompt"}, [], {}

    monkeypatch.setitem(sys.modules, "execution", SimpleNamespace(validate_prompt=refuse))
    prompt = {"1": {"inputs": {"\ud800": float("nan")}, "_meta": {"title": 5}}}
    async with routes_client() as client:
        status, answer = await client.post("/discomfort/validate", {"prompt": prompt})
    assert (status, answer) == (200, {"error": {"type": "invalid_prompt"}, "node_errors": {}})
