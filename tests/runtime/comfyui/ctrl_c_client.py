"""A program that a person stops with Ctrl-C: says where it is, and at the end what it kept.

    python ctrl_c_client.py HOW MOMENT ENGINE…

HOW is `blocking` (plan.run) or `awaiting` (Discomfort.run). It says MOMENT when it is there: `starting` (the server),
`connecting`, `queueing`, `running` or `reading`. ENGINE is the URL and token of a server, or a checkout, interpreter
and arguments.
"""

# ruff: noqa: E402 (the signal comes first)

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

# A test run started in the background may have inherited an ignored SIGINT; a person at a terminal has not.
signal.signal(signal.SIGINT, signal.default_int_handler)

from discomfort.context.context import WorkflowContext
from discomfort.plan import compile
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui import server_connection
from discomfort.runtime.engines.comfyui.channels import with_our_nodes
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process import server
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.protocol import PromptRequest
from discomfort.session import Discomfort
from tests.runtime.comfyui.chains import node, port

SLEEPER = "SleepForTests"
FIRST = {"1": node(SLEEPER, value=40, seconds=0.0), "out": port("kept", ["1", 0])}


def second(seconds: float) -> dict[str, Any]:
    return {"1": node(SLEEPER, value=2, seconds=seconds), "out": port("late", ["1", 0])}


def say_when(moment: str) -> None:
    """Have the engine say the word for the moment in which it is."""

    def send(word: str) -> None:
        if word == moment:
            print(word, flush=True)

    open_, submit, deliver = (
        server_connection.Connection.open,
        server_connection.Connection._submit,
        with_our_nodes.NodesChannel.deliver,
    )
    hear, spawn = server_connection.Connection._hear, server.ManagedServer.spawn
    prompts = 0

    def spawning(self: Any) -> None:
        spawn(self)
        send("starting")

    async def opening(self: Any) -> None:
        send("connecting")
        await open_(self)

    async def submitting(self: Any, *arguments: Any) -> None:
        nonlocal prompts
        prompts += 1
        if prompts == 2:
            send("queueing")
        await submit(self, *arguments)

    def hearing(self: Any, kind: str, data: Any) -> None:
        if prompts == 2 and kind == "progress":
            send("running")
        hear(self, kind, data)

    async def delivering(self: Any, request: PromptRequest, ui: Any, letterbox: str) -> Any:
        if prompts == 2:
            send("reading")
            await asyncio.sleep(0.3)  # so that it is there that the signal comes
        return await deliver(self, request, ui, letterbox)

    server.ManagedServer.spawn = spawning  # type: ignore[method-assign]
    server_connection.Connection.open = opening  # type: ignore[method-assign]
    server_connection.Connection._submit = submitting  # type: ignore[assignment,method-assign]
    server_connection.Connection._hear = hearing  # type: ignore[method-assign]
    with_our_nodes.NodesChannel.deliver = delivering  # type: ignore[method-assign]


def engine(arguments: list[str]) -> ComfyUIEngine:
    if "://" in arguments[0]:
        return ComfyUIEngine.attached(arguments[0], arguments[1])
    return ComfyUIEngine.managed(ServerConfig(Path(arguments[0]), arguments[1], tuple(arguments[2:])))


def send_server(made: ComfyUIEngine) -> None:
    print(made.server.process_id if made.server else 0, flush=True)


def block(context: WorkflowContext, made: ComfyUIEngine, seconds: float) -> None:
    try:
        run_blocking(made.start())
        send_server(made)
        for program in (FIRST, second(seconds)):
            compile([program], catalog=run_blocking(made.catalog())).run(context, engine=made)
    finally:
        run_blocking(made.close())


async def wait(context: WorkflowContext, made: ComfyUIEngine, seconds: float) -> None:
    async with await Discomfort.create(engine=made) as discomfort:
        send_server(made)
        for program in (FIRST, second(seconds)):
            await discomfort.run([program], context=context)


def main() -> None:
    how, moment, *arguments = sys.argv[1:]
    say_when(moment)
    seconds = 0.05 if moment == "reading" else 300.0
    with WorkflowContext(max_ram_gb=0.1) as context:
        try:
            if how == "blocking":
                block(context, engine(arguments), seconds)
            else:
                asyncio.run(wait(context, engine(arguments), seconds))
        except KeyboardInterrupt:
            print(json.dumps({name: context.load(name) for name in context.list_keys()}), flush=True)
            sys.exit(130)


if __name__ == "__main__":
    main()
