"""Faults (law R7): after each no hang, finished results kept, a server of ours started again, no orphan."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.comfyui.server_connection import Patience
from discomfort.runtime.engines.protocol import SAVER_CLASS, EngineError, EngineLost, NodeFailed, PromptInterrupted
from discomfort.session import Discomfort
from tests.runtime.comfyui.chains import port
from tests.runtime.comfyui.helpers import (
    PATIENCE,
    StartEngine,
    addition,
    is_alive,
    misbehaving,
    node,
    observed,
    queue_of,
    result_of,
    set_faults,
    sleeping,
    until_running,
    wait_until,
)

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="the faults are made with POSIX signals"),
]


def kill(engine: ComfyUIEngine) -> int:
    assert engine.server is not None
    process = engine.server.process_id
    assert process is not None
    os.kill(process, signal.SIGKILL)
    return process


async def test_R7_server_killed_before_a_prompt_is_started_again(
    managed: StartEngine, context: WorkflowContext
) -> None:
    engine = managed()
    await engine.start()
    process = kill(engine)
    await wait_until(lambda: not is_alive(process))
    await wait_until(lambda: engine.server is not None and not engine.server.is_running())
    assert await result_of(engine, addition(context, 1)) == 2


async def test_R7_server_killed_during_a_prompt_is_lost_and_started_again(
    managed: StartEngine, context: WorkflowContext
) -> None:
    engine = managed()
    kept = (await engine.run(addition(context, 40))).outputs["total"].digest
    running = asyncio.create_task(engine.run(sleeping(context, 30)))
    await until_running(engine)
    process = kill(engine)
    with pytest.raises(EngineLost):
        await running
    assert not is_alive(process)
    assert await result_of(engine, addition(context, 1)) == 2
    assert kept is not None
    assert context.values.get(kept) == 41


async def test_R7_prompt_that_kills_the_server_ends_all_that_wait(
    managed: StartEngine, context: WorkflowContext
) -> None:
    engine = managed()
    waiting = [engine.run(misbehaving(context, "kill")), *(engine.run(addition(context, n)) for n in range(5))]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, EngineLost) for outcome in outcomes)
    assert await result_of(engine, addition(context, 1)) == 2


async def test_R7_server_killed_after_a_prompt_keeps_its_result(managed: StartEngine, context: WorkflowContext) -> None:
    engine = managed()
    digest = (await engine.run(addition(context, 1))).outputs["total"].digest
    kill(engine)
    assert digest is not None
    assert context.values.get(digest) == 2


async def test_R7_server_killed_right_after_a_program_ran_is_started_again(checkout: Path) -> None:
    """The next question to it is about its classes, and it comes before anybody noticed."""
    adding = {"in": port("a"), "1": node("Add", a=["in", 0], b=1), "out": port("sum", ["1", 0])}
    engine = ComfyUIEngine.managed(ServerConfig(checkout, grace=1.0, start_timeout=30.0), patience=PATIENCE)
    async with await Discomfort.create(engine=engine) as discomfort:
        with discomfort.Context() as context:
            for number in range(3):
                assert await discomfort.run([adding], inputs={"a": number}, context=context) == {"sum": number + 1}
                kill(engine)
                assert context.load("sum") == number + 1


async def test_R7_attached_server_that_dies_is_an_error_and_stays_one(
    managed: StartEngine, context: WorkflowContext
) -> None:
    owner = managed()
    await owner.start()
    assert owner.url is not None
    assert owner.server is not None
    engine = ComfyUIEngine.attached(owner.url, owner.server.token, patience=PATIENCE)
    running = asyncio.create_task(engine.run(sleeping(context, 30)))
    await until_running(engine)
    kill(owner)
    with pytest.raises(EngineLost):
        await running
    with pytest.raises(EngineLost):
        await engine.run(addition(context, 1))
    await engine.close()


async def test_R7_cut_websocket_is_connected_again_and_nothing_is_missed(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, cut_sockets=1)
    assert await result_of(attached, sleeping(context, 1.0, value=21)) == 21
    set_faults(server.url, cut_sockets=1)
    assert await result_of(attached, addition(context, 70)) == 71  # over before the websocket is back: from the history


async def test_R7_failure_while_the_websocket_is_cut_is_reported(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, cut_sockets=1)
    with pytest.raises(NodeFailed, match=r"main\.json, node bad!"):
        await attached.run(misbehaving(context, "raise"))


async def test_R7_busy_server_is_asked_again(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, http_503=4)
    assert await result_of(attached, addition(context, 80)) == 81


async def test_R7_server_that_fails_is_asked_again_but_not_forever(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, http_500=2)
    assert await result_of(attached, addition(context, 90)) == 91
    set_faults(server.url, http_500=100)
    with pytest.raises(EngineLost, match="status 500"):
        await attached.run(addition(context, 91))


async def test_R7_server_that_stays_busy_is_given_up(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, http_503=10_000)
    with pytest.raises(EngineLost, match="status 503"):
        await attached.run(addition(context, 92))


async def test_R7_lost_answer_does_not_run_a_prompt_twice(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    before = observed(server.url)["runs"].get("Sleep", 0)
    set_faults(server.url, lose_answer=1)
    assert await result_of(attached, sleeping(context, 0.2, value=33)) == 33
    assert observed(server.url)["runs"]["Sleep"] == before + 1


async def test_R7_prompt_that_got_lost_on_the_server_is_sent_again_and_may_store_its_result(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, fail_on_arrival=2)
    assert await result_of(attached, addition(context, 300)) == 301


async def test_R7_prompt_that_the_server_queued_though_it_answered_with_an_error_runs_once(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    before = observed(server.url)["runs"].get(SAVER_CLASS, 0)  # of a class that is never cached
    set_faults(server.url, fail_when_queued=1)
    assert await result_of(attached, sleeping(context, 0.5, value=35)) == 35
    await wait_until(lambda: _queue_length(server.url) == 0)
    assert observed(server.url)["runs"][SAVER_CLASS] == before + 1


async def test_R7_garbage_messages_are_left(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, garbage=1)
    assert await result_of(attached, sleeping(context, 0.1, value=44)) == 44


async def test_R7_slow_server_is_waited_for(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, slow_seconds=0.5)
    assert await result_of(attached, addition(context, 100)) == 101


async def test_R7_server_that_says_nothing_is_asked_what_happened(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    await attached.start()
    set_faults(server.url, silent=1)
    assert await result_of(attached, addition(context, 110)) == 111


async def test_R7_silence_has_an_end(server: ManagedServer, context: WorkflowContext) -> None:
    patience = Patience(retry_seconds=1.0, check_seconds=0.1, silence_seconds=0.5)
    engine = ComfyUIEngine.attached(server.url, server.token, patience=patience)
    await engine.start()
    set_faults(server.url, silent=1)
    try:
        with pytest.raises(EngineLost, match="said nothing"):
            await engine.run(sleeping(context, 3.0, value=55))
    finally:
        set_faults(server.url, silent=0)
        await engine.close()


async def test_R7_two_clients_on_one_server_do_not_disturb_each_other(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    other = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    slow = asyncio.create_task(result_of(attached, sleeping(context, 1.0, value=66)))
    await asyncio.sleep(0.2)
    cancelled = asyncio.create_task(result_of(other, sleeping(context, 30.0, value=67)))
    await asyncio.sleep(0.2)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    with WorkflowContext(max_ram_gb=0.1) as theirs:
        assert await result_of(other, addition(theirs, 1, 1)) == 2
    assert await slow == 66
    await other.close()


@pytest.mark.parametrize("nodes", ["with our nodes", "without"])
async def test_R7_dead_worker_is_noticed_and_a_managed_server_started_again(
    managed: StartEngine, context: WorkflowContext, nodes: str
) -> None:
    """It answers, its queue never moves, and only a restart helps: seen on the real thing after very deep prompts."""
    patience = Patience(retry_seconds=1.0, check_seconds=0.2, silence_seconds=1.5)
    engine = managed(*(() if nodes == "with our nodes" else ("--no-nodes",)), patience=patience)
    with pytest.raises(EngineLost, match="only a restart helps"):
        await engine.run(misbehaving(context, "worker"))
    assert await result_of(engine, addition(context, 1)) == 2


async def test_R7_queue_that_does_not_move_is_noticed_without_our_nodes(
    managed: StartEngine, context: WorkflowContext
) -> None:
    patience = Patience(retry_seconds=1.0, check_seconds=0.2, silence_seconds=600)
    owner = managed("--no-nodes", patience=patience)
    await owner.start()
    assert owner.url is not None
    with pytest.raises((EngineLost, asyncio.TimeoutError)):
        await asyncio.wait_for(owner.run(misbehaving(context, "worker")), 0.5)
    set_faults(owner.url, forget_running=1)
    engine = ComfyUIEngine.attached(owner.url, patience=patience)
    with pytest.raises(EngineLost, match="queue does not move"):
        await engine.run(addition(context, 1))
    await engine.close()


async def test_R7_full_disk_on_the_server_is_reported_and_survived(
    attached: ComfyUIEngine, context: WorkflowContext
) -> None:
    with pytest.raises(NodeFailed, match="No space left on device"):
        await attached.run(misbehaving(context, "disk"))
    assert await result_of(attached, addition(context, 120)) == 121


@pytest.mark.parametrize("api", ["jobs", "interrupt"])
async def test_R7_cancelling_interrupts_the_server_and_returns_promptly(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext, api: str
) -> None:
    await attached.start()
    set_faults(server.url, no_jobs=int(api == "interrupt"))
    running = asyncio.create_task(attached.run(sleeping(context, 30.0, value=77)))
    await until_running(attached)
    queued = asyncio.create_task(attached.run(addition(context, 130)))
    await wait_until(lambda: len(queue_of(server.url)[1]) == 1)
    running.cancel()
    queued.cancel()
    both = asyncio.gather(running, queued, return_exceptions=True)
    outcomes = await asyncio.wait_for(both, 15)  # of the 30 that the prompt would take
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
    await wait_until(lambda: _queue_length(server.url) == 0, 5)
    assert await result_of(attached, addition(context, 131)) == 132


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.003, 0.01, 0.03, 0.1])
async def test_R7_cancelling_at_any_moment_leaves_the_server_free(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext, delay: float
) -> None:
    running = asyncio.create_task(attached.run(sleeping(context, 20.0, value=round(delay * 1e6))))
    await asyncio.sleep(delay)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.wait_for(result_of(attached, addition(context, 140)), 5) == 141
    await wait_until(lambda: _queue_length(server.url) == 0, 5)  # a success is reported before it leaves the queue


async def test_R7_interruption_by_another_client_is_reported(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    running = asyncio.create_task(attached.run(sleeping(context, 30.0, value=88)))
    await until_running(attached)
    request = urllib.request.Request(f"{server.url}/interrupt", b"{}", {"Content-Type": "application/json"})
    await asyncio.to_thread(lambda: urllib.request.urlopen(request).close())
    with pytest.raises(PromptInterrupted):
        await running


async def test_R7_closing_the_engine_ends_its_prompts(managed: StartEngine, context: WorkflowContext) -> None:
    engine = managed()
    running = asyncio.create_task(engine.run(sleeping(context, 30.0)))
    await until_running(engine)
    await engine.close()
    with pytest.raises(EngineError, match="closed"):
        await running


async def test_R7_restarted_server_has_forgotten_the_prompt(managed: StartEngine, context: WorkflowContext) -> None:
    """A client restarts the server that we attached to: the prompt is lost, the next one runs."""
    owner = managed()
    await owner.start()
    assert owner.server is not None
    assert owner.server.port is not None
    patience = Patience(retry_seconds=15.0, check_seconds=0.3, silence_seconds=20.0)
    url = f"http://127.0.0.1:{owner.server.port}"
    engine = ComfyUIEngine.attached(url, owner.server.token, patience=patience)
    running = asyncio.create_task(engine.run(sleeping(context, 30.0)))
    await until_running(engine)
    token, port = owner.server.token, owner.server.port
    kill(owner)
    await wait_until(lambda: owner.server is None or not owner.server.is_running())
    again = ManagedServer(replace(owner.server.config, first_port=port))
    again.token = token
    await again.start()
    try:
        with pytest.raises(EngineLost, match="no longer knows"):
            await running
        assert await result_of(engine, addition(context, 1)) == 2
    finally:
        await engine.close()
        await again.stop()


def _queue_length(url: str) -> int:
    running, pending = queue_of(url)
    return len(running) + len(pending)
