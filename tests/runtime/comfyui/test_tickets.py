"""Who does not know the token reads and stores nothing, on the double and on a real ComfyUI (`--comfyui=PATH`)."""

from __future__ import annotations

import asyncio
import copy
import io
import itertools
import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from PIL import Image

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.comfyui.server_connection import Patience
from discomfort.runtime.engines.protocol import SAVER_CLASS, NodeFailed, PromptInterrupted, PromptRequest
from tests.runtime.comfyui.helpers import loader, make_checkout, node, request_for, result_of, wait_until
from tests.runtime.comfyui.hostile import Hostile, gave_nothing
from tests.runtime.comfyui.real import real_config, write_nodes

pytestmark = pytest.mark.timeout(550)

PATIENCE = Patience(retry_seconds=10.0)
_numbers = itertools.count(1)
SECRET = "what only the owner of the context may read"


@pytest.fixture(scope="module", params=["double", pytest.param("real", marks=pytest.mark.comfyui)])
def victim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedServer]:
    """A server with our nodes, to which its owner and a hostile client have access."""
    base = tmp_path_factory.mktemp("victim")
    if request.param == "double":
        config = ServerConfig(
            make_checkout(base / "ComfyUI"), arguments=("--base-directory", str(base)), grace=1.0, start_timeout=30.0
        )
    else:
        option = request.config.getoption
        write_nodes(base)
        python = str(option("--comfyui-python") or sys.executable)
        config = real_config(Path(str(option("--comfyui"))).resolve(), python, base, "--cache-classic")
    server = ManagedServer(config)
    asyncio.run(server.start())
    try:
        yield server
    finally:
        asyncio.run(server.stop())


@pytest_asyncio.fixture
async def owner(victim: ManagedServer) -> Any:
    engine = ComfyUIEngine.attached(victim.url, victim.token, patience=PATIENCE)
    yield engine
    await engine.close()


@pytest.fixture
def hostile(victim: ManagedServer) -> Hostile:
    return Hostile(victim.url)


def inversion(context: WorkflowContext, seed: int, **more: dict[str, Any]) -> PromptRequest:
    """Return a request that reads a picture from the context, and stores and saves what it makes of it."""
    picture = torch.rand(1, 8, 8, 3, generator=torch.Generator().manual_seed(seed))
    prompt = {"l": loader(context, picture, "IMAGE"), "k": node("ImageInvert", image=["l", 0]), **more}
    return request_for(context, prompt, result=["k", 0])


def waiting(context: WorkflowContext, seconds: float) -> PromptRequest:
    prompt = {"wait": node("SleepForTests", value=next(_numbers), seconds=seconds)}  # never in the server's cache
    return request_for(context, prompt, waited=["wait", 0])


async def sent_prompt(engine: ComfyUIEngine, request: PromptRequest, hostile: Hostile) -> tuple[str, dict[str, Any]]:
    """Run a request, and return id and prompt as every client finds them in the history."""
    before = set(hostile.get("/history"))
    await engine.run(request)
    await wait_until(lambda: len(set(hostile.get("/history")) - before) == 1)
    (prompt_id,) = set(hostile.get("/history")) - before
    return prompt_id, hostile.get("/history")[prompt_id]["prompt"][2]


def usage(context: WorkflowContext) -> Any:
    return context.get_usage()["ram_usage_bytes"], context.list_keys()


@pytest.mark.parametrize("same_id", [True, False], ids=["same id", "another id"])
async def test_a_prompt_copied_from_the_history_gives_and_stores_nothing(
    owner: ComfyUIEngine, hostile: Hostile, context: WorkflowContext, same_id: bool
) -> None:
    prompt_id, prompt = await sent_prompt(owner, inversion(context, 1), hostile)
    before = usage(context)
    entry = await asyncio.to_thread(hostile.run, prompt, prompt_id if same_id else None)
    assert gave_nothing(entry)
    assert usage(context) == before


FORGERIES: list[Any] = [[""], "", ["discomfort"], [None], [True], [False], [0], [float("nan")], [[""]], ["_Granted"]]


async def test_a_value_is_not_shown_by_a_prompt_that_holds_its_digest(
    owner: ComfyUIEngine, hostile: Hostile, context: WorkflowContext
) -> None:
    """Neither by our loader nor by the server's cache, whatever the prompt says about what changed."""
    prompt = {"l": loader(context, SECRET, "STRING"), "shown": node("PreviewAny", source=["l", 0])}
    _, sent = await sent_prompt(owner, request_for(context, prompt, text=["l", 0]), hostile)
    stolen = {"l": copy.deepcopy(sent["l"]), "shown": node("PreviewAny", source=["l", 0])}
    stolen["l"].pop("is_changed", None)
    for forgery in [None, *FORGERIES]:
        attack = copy.deepcopy(stolen)
        if forgery is not None:
            attack["l"]["is_changed"] = forgery
        entry = await asyncio.to_thread(hostile.run, attack)
        assert gave_nothing(entry, "shown"), forgery
        assert SECRET not in json.dumps(entry["outputs"]), forgery


async def test_what_was_made_of_a_value_is_not_in_the_cache_for_others(
    owner: ComfyUIEngine, hostile: Hostile, context: WorkflowContext
) -> None:
    request = inversion(context, 2)
    _, sent = await sent_prompt(owner, request, hostile)
    for name in ("l", "k"):
        sent[name].pop("is_changed", None)
    attack = {"l": sent["l"], "k": sent["k"], "shown": node("PreviewImage", images=["k", 0])}
    for forgery in FORGERIES:
        attack["l"]["is_changed"] = forgery
        assert gave_nothing(await asyncio.to_thread(hostile.run, attack), "shown"), forgery


async def test_the_owners_next_prompt_finds_the_value_in_the_cache(
    owner: ComfyUIEngine, context: WorkflowContext
) -> None:
    assert set((await owner.run(inversion(context, 3))).executed) >= {"l", "k"}
    assert set((await owner.run(inversion(context, 3))).cached) >= {"l", "k"}


async def test_a_picture_shows_nothing_that_opens_the_cache(
    owner: ComfyUIEngine, victim: ManagedServer, hostile: Hostile, context: WorkflowContext
) -> None:
    """ComfyUI writes what IS_CHANGED answered into the prompt, and the prompt into pictures."""
    request = inversion(context, 4, saved=node("PreviewImage", images=["k", 0]))
    result = await owner.run(request)
    (image,) = result.ui["saved"]["images"]
    with urllib.request.urlopen(f"{victim.url}/view?filename={image['filename']}&type=temp") as answer:
        picture = Image.open(io.BytesIO(answer.read()))
    written = json.loads(picture.info.get("prompt", "{}"))
    assert "NaN" not in json.dumps(written.get("l", {}))
    attack = {
        "l": written.get("l", request.prompt["l"]),
        "k": node("ImageInvert", image=["l", 0]),
        "shown": node("PreviewImage", images=["k", 0]),
    }
    assert gave_nothing(await asyncio.to_thread(hostile.run, attack), "shown")


async def test_nothing_is_stored_by_a_prompt_that_names_a_result(
    owner: ComfyUIEngine, hostile: Hostile, context: WorkflowContext
) -> None:
    await owner.run(inversion(context, 5))
    before = usage(context)
    made = node("EmptyImage", width=8, height=8, batch_size=1, color=255)
    for name in ("result", "", "x" * 5000):
        attack = {"made": made, "s": node(SAVER_CLASS, value=["made", 0], name=name)}
        assert gave_nothing(await asyncio.to_thread(hostile.run, attack), "s")
    assert usage(context) == before


async def test_a_copy_of_a_waiting_prompt_gets_nothing_and_the_prompt_its_values(
    owner: ComfyUIEngine, hostile: Hostile, context: WorkflowContext
) -> None:
    blocking = asyncio.create_task(owner.run(waiting(context, 3.0)))
    await wait_until(lambda: len(hostile.get("/queue")["queue_running"]) == 1)
    request = inversion(context, 6)
    asked = asyncio.create_task(result_of(owner, request))
    await wait_until(lambda: len(hostile.get("/queue")["queue_pending"]) == 1)
    number, prompt_id, prompt = hostile.get("/queue")["queue_pending"][0][:3]
    copies = [
        hostile.queue(prompt, prompt_id, front=True),
        hostile.queue(prompt, prompt_id, number=number - 1),
        hostile.queue(prompt, front=True),
    ]
    assert prompt_id not in copies
    await blocking
    for prompt_copy in copies:
        assert gave_nothing(await asyncio.to_thread(hostile.entry, prompt_copy))
    assert (await asked).shape == (1, 8, 8, 3)


async def test_a_copy_of_a_prompt_taken_out_of_the_queue_gets_nothing(
    owner: ComfyUIEngine, hostile: Hostile, context: WorkflowContext
) -> None:
    blocking = asyncio.create_task(owner.run(waiting(context, 3.0)))
    await wait_until(lambda: len(hostile.get("/queue")["queue_running"]) == 1)
    asked = asyncio.create_task(owner.run(inversion(context, 8)))
    await wait_until(lambda: len(hostile.get("/queue")["queue_pending"]) == 1)
    prompt_id, prompt = hostile.get("/queue")["queue_pending"][0][1:3]
    hostile.post("/queue", {"delete": [prompt_id]})
    copy_id = hostile.queue(prompt, prompt_id)
    await blocking
    assert gave_nothing(await asyncio.to_thread(hostile.entry, copy_id))
    asked.cancel()
    with pytest.raises((asyncio.CancelledError, PromptInterrupted)):
        await asked


@pytest.mark.parametrize("how", ["interrupted", "failed"])
async def test_a_copy_of_a_prompt_that_did_not_succeed_gets_nothing(
    owner: ComfyUIEngine, hostile: Hostile, context: WorkflowContext, how: str
) -> None:
    before = set(hostile.get("/history"))
    if how == "interrupted":
        prompt = {"l": loader(context, 12345), "wait": node("SleepForTests", value=["l", 0], seconds=30.0)}
        running = asyncio.create_task(owner.run(request_for(context, prompt, waited=["wait", 0])))
        await wait_until(lambda: len(hostile.get("/queue")["queue_running"]) == 1)
        hostile.post("/interrupt", {})
        with pytest.raises(PromptInterrupted):
            await running
    else:
        prompt = {"l": loader(context, "raise"), "bad": node("FailForTests", how=["l", 0])}
        with pytest.raises(NodeFailed, match="it was asked to fail"):
            await owner.run(request_for(context, prompt, failed=["bad", 0]))
    await wait_until(lambda: len(set(hostile.get("/history")) - before) == 1)
    (prompt_id,) = set(hostile.get("/history")) - before
    sent = hostile.get("/history")[prompt_id]["prompt"][2]
    assert gave_nothing(await asyncio.to_thread(hostile.run, sent, prompt_id))


async def test_a_prompt_that_was_changed_on_its_way_gets_nothing(
    owner: ComfyUIEngine, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = (await owner.connected()).transport
    post = transport.post_json

    async def changing(path: str, payload: Any, *rest: Any, **more: Any) -> Any:
        if path == "/prompt":
            added = {"shown": node("PreviewImage", images=["k", 0])}
            payload = {**payload, "prompt": {**payload["prompt"], **added}}
        return await post(path, payload, *rest, **more)

    monkeypatch.setattr(transport, "post_json", changing)
    with pytest.raises(NodeFailed, match="not the one that was registered"):
        await owner.run(inversion(context, 9))


async def test_nothing_that_every_client_sees_opens_the_context(
    owner: ComfyUIEngine, victim: ManagedServer, hostile: Hostile, context: WorkflowContext
) -> None:
    await owner.run(inversion(context, 10))
    waits = asyncio.create_task(owner.run(waiting(context, 1.0)))
    await wait_until(lambda: len(hostile.get("/queue")["queue_running"]) == 1)
    seen = json.dumps([hostile.get(path) for path in ("/queue", "/history", "/object_info", "/discomfort/info")])
    await waits
    channel: Any = (await owner.connected())._channel
    (key,) = channel._attached
    secrets = [key, victim.token, *(str(part) for part in context.handle().values() if isinstance(part, str))]
    assert [secret for secret in secrets if len(secret) > 8 and secret in seen] == []
    assert hostile.post("/discomfort/attach", {"key": key, "client": "x", "handle": None})[0] == 401
    assert hostile.post("/discomfort/tickets", {"key": key})[0] == 401


async def test_a_prompt_reads_its_own_context_only(
    owner: ComfyUIEngine, victim: ManagedServer, context: WorkflowContext
) -> None:
    """Also that of a client who knows the token."""
    other = ComfyUIEngine.attached(victim.url, victim.token, patience=PATIENCE)
    try:
        with WorkflowContext(max_ram_gb=0.1) as theirs:
            read = loader(theirs, "theirs, and not in the server's cache", "STRING")
            await other.run(waiting(theirs, 0.0))
            with pytest.raises(NodeFailed, match="no value with digest"):
                await owner.run(request_for(context, {"l": read}, text=["l", 0]))
    finally:
        await other.close()


async def test_several_savers_in_one_prompt(owner: ComfyUIEngine, context: WorkflowContext) -> None:
    picture = torch.rand(1, 8, 8, 3)
    prompt = {
        "l": loader(context, picture, "IMAGE"),
        "k": node("ImageInvert", image=["l", 0]),
        "again": node("ImageInvert", image=["k", 0]),
    }
    outcome = await owner.run(request_for(context, prompt, first=["k", 0], second=["again", 0]))
    values = {name: context.values.get(str(delivered.digest)) for name, delivered in outcome.outputs.items()}
    assert torch.equal(values["first"], 1 - picture)
    assert torch.equal(values["second"], 1 - (1 - picture))


async def test_each_turn_of_a_prompt_has_a_ticket(owner: ComfyUIEngine, context: WorkflowContext) -> None:
    request = inversion(
        context, 12, one=node("PreviewImage", images=["l", 0]), two=node("PreviewImage", images=["k", 0])
    )
    outcome = await owner.run(replace(request, sequence=[["one"], ["two"]]))
    assert {"one", "two"} <= set(outcome.ui)
    assert outcome.outputs["result"].digest
