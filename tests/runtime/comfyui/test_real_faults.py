"""Faults (law R7) as real ComfyUI servers show them: `pytest --comfyui=PATH`. A full disk is in test_real_attach.py."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.server_connection import Patience
from discomfort.runtime.engines.protocol import EngineLost, NodeFailed, OutOfMemory, PromptInterrupted, PromptRequest
from discomfort.session import Discomfort
from tests.runtime.comfyui.chains import port
from tests.runtime.comfyui.helpers import (
    is_alive,
    node,
    queue_of,
    request_for,
    result_of,
    until_running,
    wait_until,
)
from tests.runtime.comfyui.real import real_config, write_nodes

pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.timeout(550),
    pytest.mark.skipif(sys.platform == "win32", reason="the faults are made with POSIX signals"),
]
PATIENCE = Patience(retry_seconds=10.0, check_seconds=2.0, silence_seconds=300.0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("faults")
    write_nodes(folder)
    yield folder
    shutil.rmtree(folder)


@pytest_asyncio.fixture
async def engine(comfyui_path: Path, comfyui_python: str, base: Path) -> AsyncIterator[ComfyUIEngine]:
    """A managed server with nodes that sleep and fail; it leaves no process."""
    made = ComfyUIEngine.managed(real_config(comfyui_path, comfyui_python, base), patience=PATIENCE)
    await made.start()
    yield made
    process = made.server.process_id if made.server else None
    await made.close()
    assert process is None or not is_alive(process)


def saving_text(context: WorkflowContext, text: str) -> PromptRequest:
    prompt = {"k": node("StringConcatenate", string_a=text, string_b="!", delimiter="")}
    return request_for(context, prompt, text=["k", 0])


def sleeping(context: WorkflowContext, seconds: float, value: int) -> PromptRequest:
    return request_for(context, {"sleep": node("SleepForTests", value=value, seconds=seconds)}, slept=["sleep", 0])


def failing(context: WorkflowContext, how: str) -> PromptRequest:
    return request_for(context, {"bad": node("FailForTests", how=how)}, result=["bad", 0])


async def killed(engine: ComfyUIEngine) -> None:
    assert engine.server is not None
    process = engine.server.process_id
    assert process is not None
    os.kill(process, signal.SIGKILL)
    await wait_until(lambda: not is_alive(process))


async def test_R7_server_killed_before_during_and_after_a_prompt(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    kept = (await engine.run(saving_text(context, "kept"))).outputs["text"].digest
    running = asyncio.create_task(engine.run(sleeping(context, 120, 1)))
    await until_running(engine)
    await killed(engine)
    with pytest.raises(EngineLost):
        await asyncio.wait_for(running, 30)
    assert kept is not None
    assert context.values.get(kept) == "kept!"
    assert await result_of(engine, saving_text(context, "started again")) == "started again!"
    await killed(engine)
    await wait_until(lambda: engine.server is not None and not engine.server.is_running())
    assert await result_of(engine, saving_text(context, "and again")) == "and again!"


async def test_R7_server_killed_right_after_a_prompt_that_a_program_ran(
    comfyui_path: Path, comfyui_python: str, base: Path
) -> None:
    """What finished is in the context; the next run has the server started again, whatever it notices first."""
    counting = {"in": port("text"), "1": node("StringLength", string=["in", 0]), "out": port("length", ["1", 0])}
    engine = ComfyUIEngine.managed(real_config(comfyui_path, comfyui_python, base), patience=PATIENCE)
    async with await Discomfort.create(engine=engine) as discomfort:
        with discomfort.Context() as context:
            for text in ("one", "three", "a harbour"):
                results = await discomfort.run([counting], inputs={"text": text}, context=context)
                assert engine.server is not None
                process = engine.server.process_id
                assert process is not None
                os.kill(process, signal.SIGKILL)
                assert results["length"] == context.load("length") == len(text)
            assert (await discomfort.run([counting], inputs={"text": "one"}, context=context))["length"] == 3


async def test_R7_what_needs_no_restart(engine: ComfyUIEngine, context: WorkflowContext) -> None:
    """One server through a cut socket, cancellations, an interruption, failures, and a second client."""
    assert engine.url is not None
    assert engine.server is not None
    process = engine.server.process_id
    connection = await engine.connected()

    slow = asyncio.create_task(result_of(engine, sleeping(context, 3, 2)))
    await until_running(engine)
    websocket: Any = connection.transport._websocket
    websocket._response.connection.transport.abort()
    assert await asyncio.wait_for(slow, 60) == 2

    for number, delay in enumerate((0.0, 0.003, 0.02, 0.1, 1.0)):
        running = asyncio.create_task(engine.run(sleeping(context, 300, 100 + number)))
        await asyncio.sleep(delay)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await asyncio.wait_for(result_of(engine, saving_text(context, f"free {delay}")), 60) == f"free {delay}!"

    running = asyncio.create_task(engine.run(sleeping(context, 300, 200)))
    await until_running(engine)
    await asyncio.to_thread(post, engine.url, "/interrupt", {})
    with pytest.raises(PromptInterrupted):
        await asyncio.wait_for(running, 60)

    with pytest.raises(NodeFailed, match=r"main\.json, node bad! \(My FailForTests\).*it was asked to fail"):
        await engine.run(failing(context, "raise"))
    with pytest.raises(OutOfMemory, match="--lowvram"):
        await engine.run(failing(context, "memory"))

    other = ComfyUIEngine.attached(engine.url, engine.server.token, patience=PATIENCE)
    try:
        with WorkflowContext(max_ram_gb=0.1) as elsewhere:
            requests = [(engine, saving_text(context, f"{n}")) for n in range(5)]
            requests += [(other, saving_text(elsewhere, f"{n} too")) for n in range(5)]
            texts = await asyncio.gather(*(result_of(who, request) for who, request in requests))
        assert texts == [f"{n}!" for n in range(5)] + [f"{n} too!" for n in range(5)]
    finally:
        await other.close()
    assert engine.server.process_id == process
    await wait_until(lambda: queue_of(str(engine.url)) == ([], []))


async def test_R7_dead_worker_is_noticed(engine: ComfyUIEngine, context: WorkflowContext) -> None:
    """The thread that runs prompts has ended and the server still answers: an error when attached, else a restart."""
    assert engine.url is not None
    assert engine.server is not None
    prompt = {"bad": node("FailForTests", how="thread"), "show": node("PreviewAny", source=["bad", 0])}
    await asyncio.to_thread(post, engine.url, "/prompt", {"prompt": prompt})
    await until_running(engine)
    other = ComfyUIEngine.attached(engine.url, engine.server.token, patience=PATIENCE)
    try:
        with pytest.raises(EngineLost, match="only a restart helps"):
            await asyncio.wait_for(other.run(saving_text(context, "attached")), 60)
    finally:
        await other.close()
    process = engine.server.process_id
    with pytest.raises(EngineLost, match="only a restart helps"):
        await asyncio.wait_for(engine.run(saving_text(context, "managed")), 60)
    assert await result_of(engine, saving_text(context, "restarted")) == "restarted!"
    assert engine.server.process_id != process


def post(url: str, path: str, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}{path}", data, {"Content-Type": "application/json"})).close()
