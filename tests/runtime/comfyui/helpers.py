"""Prompts for the double, and what to watch it by."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.server_connection import Patience
from discomfort.runtime.engines.protocol import LOADER_CLASS, SAVER_CLASS, NodePlace, PromptRequest
from discomfort.server_access.proofs import PROOF_HEADER, Prover, body_digest

DOUBLE = Path(__file__).with_name("double.py")
PATIENCE = Patience(retry_seconds=2.0, check_seconds=0.3, silence_seconds=20.0)

StartEngine = Callable[..., ComfyUIEngine]


INVERSION = json.loads("""{
  "version": 0.4, "last_node_id": 3, "last_link_id": 2,
  "nodes": [
    {"id": 1, "type": "DiscomfortPort", "mode": 0, "widgets_values": ["photo", ""],
     "inputs": [{"name": "input", "type": "*", "link": null}],
     "outputs": [{"name": "output", "type": "*", "links": [1]}]},
    {"id": 2, "type": "ImageInvert", "mode": 0, "widgets_values": [],
     "inputs": [{"name": "image", "type": "IMAGE", "link": 1}],
     "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [2]}]},
    {"id": 3, "type": "DiscomfortPort", "mode": 0, "widgets_values": ["result", ""],
     "inputs": [{"name": "input", "type": "*", "link": 2}],
     "outputs": [{"name": "output", "type": "*", "links": []}]}
  ],
  "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"]]
}""")
"""A workflow with an INPUT port, ImageInvert and an OUTPUT port, as the editor saves it."""


def make_checkout(folder: Path) -> Path:
    """Make a folder that starts the double as ComfyUI is started."""
    folder.mkdir()
    (folder / "main.py").write_text(f"import runpy\nrunpy.run_path({str(DOUBLE)!r}, run_name='__main__')\n")
    return folder


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}


def request_for(context: WorkflowContext, prompt: dict[str, Any], **results: list[Any]) -> PromptRequest:
    """Return the request that runs `prompt` and delivers each link in `results` under its name."""
    savers = {f"save-{name}": node(SAVER_CLASS, value=link, name=name) for name, link in results.items()}
    places = {
        node_id: NodePlace("main.json", f"{node_id}!", f"My {spec['class_type']}", spec["class_type"])
        for node_id, spec in prompt.items()
    }
    return PromptRequest({**prompt, **savers}, {name: f"save-{name}" for name in results}, context, places)


def loader(context: WorkflowContext, value: Any, value_type: str = "*") -> dict[str, Any]:
    return node(LOADER_CLASS, digest=context.values.put(value), value_type=value_type)


def addition(context: WorkflowContext, a: int, b: int = 1) -> PromptRequest:
    return request_for(context, {"sum": node("Add", a=a, b=b)}, total=["sum", 0])


def sleeping(context: WorkflowContext, seconds: float, value: int = 7) -> PromptRequest:
    return request_for(context, {"sleep": node("Sleep", value=value, seconds=seconds)}, slept=["sleep", 0])


def misbehaving(context: WorkflowContext, how: str, unless: str = "", value: int = 5) -> PromptRequest:
    return request_for(context, {"bad": node("Misbehave", value=value, how=how, unless=unless)}, result=["bad", 0])


async def result_of(engine: ComfyUIEngine, request: PromptRequest) -> Any:
    """Run a request with one output and return its value."""
    outcome = await engine.run(request)
    (delivered,) = outcome.outputs.values()
    assert delivered.digest is not None
    return request.context.values.get(delivered.digest)


def prove(url: str, token: str, method: str, path: str, body: bytes = b"") -> dict[str, str]:
    """Return the header that proves to know a server's token."""
    with urllib.request.urlopen(f"{url}/discomfort/info") as answer:
        nonce = json.load(answer)["nonce"]
    return {PROOF_HEADER: Prover(token, nonce, url.partition("://")[2]).header(method, path, body_digest(body))}


def set_faults(url: str, **faults: Any) -> None:
    body = json.dumps(faults).encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}/double", body, {"Content-Type": "application/json"})).close()


def observed(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/double") as response:
        return dict(json.load(response))


def is_alive(process_id: int) -> bool:
    try:
        return bool(psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for `condition`, and fail when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.02)


def queue_of(url: str) -> tuple[list[Any], list[Any]]:
    """Return what a server runs and what waits there."""
    with urllib.request.urlopen(f"{url}/queue") as response:
        queue = json.load(response)
    return queue["queue_running"], queue["queue_pending"]


async def until_running(engine: ComfyUIEngine, seconds: float = 30.0) -> None:
    """Wait until the server of `engine` runs a prompt."""
    await wait_until(lambda: engine.url is not None and _answers_running(engine.url), seconds)


def _answers_running(url: str) -> bool:
    try:
        return bool(queue_of(url)[0])
    except OSError:
        return False
