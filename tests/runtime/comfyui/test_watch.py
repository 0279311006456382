"""What is noticed of a server that says nothing, says strange things, or that others use too (law R7)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.request

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.server_connection import Patience
from discomfort.runtime.engines.protocol import EngineError, EngineLost, PromptInterrupted
from tests.runtime.comfyui.helpers import (
    PATIENCE,
    StartEngine,
    addition,
    misbehaving,
    observed,
    queue_of,
    result_of,
    set_faults,
    sleeping,
    until_running,
    wait_until,
)

pytestmark = pytest.mark.timeout(60)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def take_out_of_queue(url: str) -> None:
    """Do as a user who clicks a waiting prompt away in ComfyUI's page."""
    waiting = [item[1] for item in queue_of(url)[1]]
    body = json.dumps({"delete": waiting}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}/queue", body, {"Content-Type": "application/json"})).close()


@pytest.mark.parametrize("chatter", [0, 1])
async def test_R7_prompt_that_a_client_took_out_of_the_queue_is_not_sent_again(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext, chatter: int
) -> None:
    """Also where custom nodes send messages to every client all the time: those say nothing about our prompts."""
    await attached.start()
    set_faults(server.url, chatter=chatter)
    other = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    running = asyncio.create_task(other.run(sleeping(context, 30.0, value=300)))
    await until_running(other)
    waiting = asyncio.create_task(attached.run(sleeping(context, 0.01, value=301)))
    await wait_until(lambda: len(queue_of(server.url)[1]) == 1)
    before = observed(server.url)["runs"]
    await asyncio.to_thread(take_out_of_queue, server.url)
    with pytest.raises(PromptInterrupted, match="removed the prompt from the server's queue"):
        await waiting
    assert observed(server.url)["runs"] == before
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await other.close()


async def test_R7_dead_worker_is_noticed_although_the_server_chatters(
    managed: StartEngine, context: WorkflowContext
) -> None:
    engine = managed(patience=Patience(retry_seconds=1.0, check_seconds=0.2, silence_seconds=600))
    await engine.start()
    set_faults(str(engine.url), chatter=1)
    with pytest.raises(EngineLost, match="only a restart helps"):
        await engine.run(misbehaving(context, "worker"))


async def test_R7_waiting_behind_others_is_not_a_silence_while_the_queue_moves(
    server: ManagedServer, context: WorkflowContext
) -> None:
    patience = Patience(retry_seconds=1.0, check_seconds=0.1, silence_seconds=1.0)
    engine = ComfyUIEngine.attached(server.url, server.token, patience=patience)
    other = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    await engine.start()
    before = [asyncio.create_task(other.run(sleeping(context, 0.6, value=310 + number))) for number in range(4)]
    await wait_until(lambda: len(queue_of(server.url)[1]) == 3)
    assert await result_of(engine, addition(context, 320)) == 321
    await asyncio.gather(*before)
    await engine.close()
    await other.close()


async def test_R7_answers_that_make_no_sense_end_the_run(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, silent=1, strange_queue=1)
    with pytest.raises(EngineError, match="something unexpected"):
        await attached.run(sleeping(context, 3.0, value=330))
    set_faults(server.url, silent=0, strange_queue=0)
    assert await result_of(attached, addition(context, 331)) == 332


async def test_R7_prompt_that_is_too_large_for_the_server_is_not_sent_again(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, http_413=1)
    with pytest.raises(EngineError, match="status 413") as caught:
        await attached.run(addition(context, 340))
    assert not isinstance(caught.value, EngineLost)


@POSIX
@pytest.mark.parametrize("answer_seconds", [30.0, 0.5])
async def test_R7_server_that_is_held_up_is_waited_for_but_not_forever(
    managed: StartEngine, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch, answer_seconds: float
) -> None:
    """A node may keep its whole process from answering, as while a model is read from a slow disk."""
    for module in ("server_connection", "connection.server_queue"):
        monkeypatch.setattr(f"discomfort.runtime.engines.comfyui.{module}.PROBE_SECONDS", 0.2)
    patience = Patience(retry_seconds=1.0, check_seconds=0.2, answer_seconds=answer_seconds, silence_seconds=60)
    engine = managed(patience=patience)
    running = asyncio.create_task(result_of(engine, sleeping(context, 1.0, value=350)))
    await until_running(engine)
    assert engine.server is not None
    process = engine.server.process_id
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    try:
        if answer_seconds < 1:
            with pytest.raises(EngineLost, match="did not answer"):
                await running
            return
        await asyncio.sleep(2.0)  # several questions go unanswered
    finally:
        os.kill(process, signal.SIGCONT)
    assert await running == 350
    assert engine.server.process_id == process
