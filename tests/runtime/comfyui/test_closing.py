"""The end of an engine, at whatever moment and from wherever it comes: nothing goes on, nothing comes back (law R7)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.protocol import EngineError, EngineLost, NodeFailed
from discomfort.session import Discomfort
from tests.runtime.comfyui.chains import port
from tests.runtime.comfyui.helpers import (
    PATIENCE,
    StartEngine,
    addition,
    is_alive,
    node,
    result_of,
    set_faults,
    until_running,
    wait_until,
)

pytestmark = pytest.mark.timeout(60)
SLEEPING = {"1": node("Sleep", value=2, seconds=30.0), "out": port("late", ["1", 0])}


async def test_R7_session_that_is_shut_down_during_a_run_stays_so(checkout: Path) -> None:
    engine = ComfyUIEngine.managed(ServerConfig(checkout, grace=1.0, start_timeout=30.0), patience=PATIENCE)
    discomfort = await Discomfort.create(engine=engine)
    running = asyncio.create_task(discomfort.run([SLEEPING]))
    await until_running(engine)
    await discomfort.shutdown()
    with pytest.raises(EngineError, match="closed"):
        await running
    assert engine.server is not None
    assert not engine.server.is_running()


async def test_R7_attached_server_that_is_gone_is_waited_for_once(managed: StartEngine) -> None:
    """Each wait is as long as the retry time: not one for every attempt at the prompt."""
    owner = managed()
    await owner.start()
    assert owner.url is not None
    assert owner.server is not None
    engine = ComfyUIEngine.attached(owner.url, owner.server.token, patience=PATIENCE)
    async with await Discomfort.create(engine=engine) as discomfort:
        running = asyncio.create_task(discomfort.run([SLEEPING]))
        await until_running(engine)
        connects: list[str] = []
        connect = engine._connect

        async def counted() -> Any:
            connects.append("again")
            return await connect()

        engine._connect = counted  # type: ignore[method-assign]
        await owner.close()
        with pytest.raises(EngineLost):
            await running
        assert connects == ["again"]


async def test_R7_closing_while_the_classes_are_requested_is_reported_as_such(
    attached: ComfyUIEngine, server: ManagedServer
) -> None:
    await attached.start()
    set_faults(server.url, slow_seconds=20.0)
    asking = asyncio.create_task(attached.catalog())
    await asyncio.sleep(0.2)
    await attached.close()
    with pytest.raises(EngineError, match="closed"):
        await asking


async def test_an_engine_is_closed_from_another_loop(checkout: Path) -> None:
    """Runs live on the engine loop; a program closes the engine on its own."""
    engine = ComfyUIEngine.managed(ServerConfig(checkout, grace=1.0, start_timeout=30.0), patience=PATIENCE)
    await Discomfort.create(engine=engine)
    assert engine.server is not None
    assert engine.server.is_running()
    await engine.close()
    assert not engine.server.is_running()
    await engine.close()


async def test_R7_cancelled_while_the_server_is_spawned_leaves_nothing(checkout: Path) -> None:
    spawned: list[Any] = []

    class SlowServer(ManagedServer):
        def spawn(self) -> None:
            time.sleep(0.3)
            super().spawn()
            spawned.extend((self.process_id, self.log_file))

    server = SlowServer(ServerConfig(checkout, grace=1.0, start_timeout=30.0))
    starting = asyncio.create_task(server.start())
    await asyncio.sleep(0.1)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    process, log = spawned
    assert not is_alive(process)
    assert not log.parent.exists()


FORKING = """
import os, sys
from discomfort.context.context import WorkflowContext
from discomfort.plan import compile
from discomfort.runtime.engines.protocol import EngineError, EngineLost, NodeFailed
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engine_thread import run_blocking
from tests.runtime.comfyui.chains import node, port

engine = ComfyUIEngine.managed(sys.argv[1])
plan = compile([{"in": port("a"), "1": node("Add", a=["in", 0], b=1), "out": port("sum", ["1", 0])}],
               catalog=run_blocking(engine.catalog()))

def added(engine, number):
    with WorkflowContext(max_ram_gb=0.05) as context:
        return plan.run(context, inputs={"a": number}, engine=engine)["sum"]

os.environ["DISCOMFORT_TOKEN"] = engine.server.token
assert (added(engine, 1), added(engine.url, 2)) == (2, 3)
child = os.fork()
if child == 0:
    try:
        added(engine, 3)
    except EngineError as error:
        print(error, flush=True)
    run_blocking(engine.close())
    print(added(engine.url, 4), flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(added(engine, 5), flush=True)
run_blocking(engine.close())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_R7_forked_process_has_engines_of_its_own_and_leaves_the_servers_of_its_parent(checkout: Path) -> None:
    program = subprocess.run(
        [sys.executable, "-c", FORKING, str(checkout)], capture_output=True, text=True, timeout=50, cwd=Path.cwd()
    )
    said = program.stdout.splitlines()
    assert said == [
        "this engine belongs to the process that this one was forked from; make another here",
        "5",
        "6",
    ], program.stderr


async def test_R6_value_that_cannot_be_stored_is_reported_at_the_node_that_made_it(
    attached: ComfyUIEngine, context: WorkflowContext
) -> None:
    short = {**SLEEPING, "1": {**node("Sleep", value=360, seconds=2.0), "_meta": {"title": "Nap"}}}
    async with await Discomfort.create(engine=attached) as discomfort:
        running = asyncio.create_task(discomfort.run([short], context=context))
        await until_running(attached)
        context.shutdown()
        with pytest.raises(
            NodeFailed, match=r"workflow, node 1 \(Nap\), class DiscomfortContextSaver, output 'late': .*shut it down"
        ):
            await running


async def test_engine_in_use_survives_the_end_of_a_context(attached: ComfyUIEngine) -> None:
    with WorkflowContext(max_ram_gb=0.05) as one, WorkflowContext(max_ram_gb=0.05) as two:
        assert await result_of(attached, addition(one, 1)) == 2
        one.shutdown()
        assert await result_of(attached, addition(two, 2)) == 3


PROGRAM = """
import discomfort
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.select import select_engine
from tests.runtime.comfyui.chains import port
from tests.runtime.comfyui.helpers import node

adding = {"in": port("a"), "1": node("Add", a=["in", 0], b=1), "out": port("sum", ["1", 0])}
with discomfort.Context() as context:
    plan = discomfort.compile([adding], catalog=run_blocking(select_engine().catalog()))
    assert plan.run(context, inputs={"a": 1}) == {"sum": 2}
server = select_engine().server
print(server.process_id, server.log_file.parent)
"""


async def test_R7_program_that_just_ends_says_nothing_and_leaves_nothing(checkout: Path) -> None:
    """An engine that is named by a text is not closed by a session: it is closed when the program ends."""
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root), "DISCOMFORT_ENGINE": f"comfyui:{checkout}"}
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, env=environment, capture_output=True, text=True, timeout=50
    )
    assert (program.returncode, program.stderr) == (0, "")
    server, folder = program.stdout.split()
    await wait_until(lambda: not is_alive(int(server)))
    assert not Path(folder).exists()
