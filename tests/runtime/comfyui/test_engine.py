"""The engine on the double: values there and back, events, pipelining, caching, contexts."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
import urllib.request
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.channels import with_our_nodes
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.server_connection import Patience
from discomfort.runtime.engines.protocol import (
    Engine,
    EngineError,
    Event,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeStarted,
    OutOfMemory,
    PromptRejected,
)
from tests.runtime.comfyui.helpers import (
    PATIENCE,
    addition,
    loader,
    misbehaving,
    node,
    observed,
    request_for,
    result_of,
    sleeping,
    wait_until,
)


def inversion(context: WorkflowContext, image: torch.Tensor) -> Any:
    prompt = {"l": loader(context, image, "IMAGE"), "k": node("ImageInvert", image=["l", 0])}
    return request_for(context, prompt, image=["k", 0])


def test_engine_keeps_the_protocol(server: ManagedServer) -> None:
    assert isinstance(ComfyUIEngine.attached(server.url), Engine)


async def test_tensor_goes_there_and_back_exactly(attached: ComfyUIEngine, context: WorkflowContext) -> None:
    image = torch.rand(2, 16, 8, 3)
    inverted: Any = await result_of(attached, inversion(context, image))
    assert torch.equal(inverted, 1.0 - image)


async def test_remote_server_gets_values_over_http(remote: ComfyUIEngine, context: WorkflowContext) -> None:
    image = torch.rand(1, 300, 400, 3)
    inverted: Any = await result_of(remote, inversion(context, image))
    assert torch.equal(inverted, 1.0 - image)
    latent: dict[str, Any] = {"samples": torch.rand(1, 4, 2, 2), "noise": [1, (2.0, "x", None)]}
    request = request_for(context, {"l": loader(context, latent)}, out=["l", 0])
    back = await result_of(remote, request)
    assert torch.equal(back["samples"], latent["samples"])
    assert back["noise"] == [1, (2.0, "x", None)]


async def test_remote_server_is_not_sent_what_it_has(
    remote: ComfyUIEngine, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remote.start()
    transport = (await remote.connected()).transport
    sent = []
    request = transport.request

    async def spy(method: str, path: str, **options: Any) -> Any:
        sent.append(method)
        return await request(method, path, **options)

    monkeypatch.setattr(transport, "request", spy)
    image = torch.rand(1, 4, 4, 3)
    for _ in range(3):
        await remote.run(inversion(context, image))
    assert sent.count("PUT") == 1


async def test_value_that_only_pickle_could_carry_is_refused_by_remote_servers(
    remote: ComfyUIEngine, context: WorkflowContext
) -> None:
    request = request_for(context, {"l": loader(context, {1, 2, 3})}, out=["l", 0])
    with pytest.raises((EngineError, TypeError), match="pickle"):
        await remote.run(request)


async def test_events_reports_what_ran_and_what_was_cached(attached: ComfyUIEngine, context: WorkflowContext) -> None:
    events: list[Event] = []
    request = sleeping(context, 0.1, value=11)
    first = await attached.run(request, events.append)
    assert first.executed == ("sleep", "save-slept")
    assert events[0] == NodeStarted("sleep")
    assert any(isinstance(event, NodeProgress) and event.value == event.maximum for event in events)
    assert events[-1] == NodeFinished("save-slept", cached=False)
    events.clear()
    second = await attached.run(request, events.append)
    assert second.cached == ("sleep",)
    assert second.executed == ("save-slept",)
    assert NodeFinished("sleep", cached=True) in events


async def test_C4_equal_content_hits_the_servers_cache(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    image = torch.rand(1, 8, 8, 3)
    before = observed(server.url)["runs"].get("ImageInvert", 0)
    await attached.run(inversion(context, image))
    await attached.run(inversion(context, image.clone()))
    with WorkflowContext(max_ram_gb=0.1) as other:
        again = await result_of(attached, inversion(other, image.clone()))
    assert torch.equal(again, 1.0 - image)
    assert observed(server.url)["runs"]["ImageInvert"] == before + 1
    await attached.run(inversion(context, image + 0.5))
    assert observed(server.url)["runs"]["ImageInvert"] == before + 2


async def test_prompts_are_queued_ahead_and_keep_their_contexts(
    attached: ComfyUIEngine, context: WorkflowContext
) -> None:
    with WorkflowContext(max_ram_gb=0.1) as other:
        requests = [addition(context if number % 2 else other, number, 1000) for number in range(30)]
        totals = await asyncio.gather(*(result_of(attached, request) for request in requests))
    assert totals == [number + 1000 for number in range(30)]


async def test_closed_contexts_are_detached(
    attached: ComfyUIEngine, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    detached = []
    detach = with_our_nodes.NodesChannel._detach

    async def spy(self: with_our_nodes.NodesChannel, key: str) -> None:
        detached.append(key)
        await detach(self, key)

    monkeypatch.setattr(with_our_nodes.NodesChannel, "_detach", spy)
    with WorkflowContext(max_ram_gb=0.1) as other:
        await attached.run(addition(other, 1))
    await attached.run(addition(context, 2))
    assert len(detached) == 1


async def test_R6_failure_names_workflow_node_title_and_exception(
    attached: ComfyUIEngine, context: WorkflowContext
) -> None:
    with pytest.raises(NodeFailed) as caught:
        await attached.run(misbehaving(context, "raise"))
    assert str(caught.value) == (
        "main.json, node bad! (My Misbehave), class Misbehave: ValueError: it was asked to fail"
    )
    assert "double_nodes.py" in caught.value.trace


async def test_out_of_memory_is_recognised(attached: ComfyUIEngine, context: WorkflowContext) -> None:
    with pytest.raises(OutOfMemory, match="--lowvram"):
        await attached.run(misbehaving(context, "memory"))


async def test_R6_rejection_names_every_finding_at_its_place(attached: ComfyUIEngine, context: WorkflowContext) -> None:
    prompt = {"sum": node("Add", a="x", b=1), "lack": node("Add", b=2)}
    with pytest.raises(PromptRejected) as caught:
        await attached.run(request_for(context, prompt, one=["sum", 0], two=["lack", 0]))
    found = {(finding.where.file, finding.where.node, finding.where.input) for finding in caught.value.diagnostics}
    assert found == {("main.json", "sum!", "a"), ("main.json", "lack!", "a")}
    with pytest.raises(PromptRejected, match=r"main\.json, node odd! \(My Odd\)"):
        await attached.run(request_for(context, {"odd": node("Odd")}, out=["odd", 0]))


async def test_extra_pnginfo_reaches_the_server(
    attached: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    from dataclasses import replace

    request = replace(addition(context, 4), extra_pnginfo={"workflow": {"nodes": []}})
    connection = await attached.connected()
    seen: list[str] = []
    transport_post = connection.transport.post_json

    async def spy(path: str, payload: Any, *rest: Any, **more: Any) -> Any:
        if path == "/prompt":
            seen.append(payload["prompt_id"])
        return await transport_post(path, payload, *rest, **more)

    connection.transport.post_json = spy  # type: ignore[method-assign]
    await attached.run(request)
    known: dict[str, Any] = {}

    def is_in_history() -> bool:  # a moment after its success
        with urllib.request.urlopen(f"{server.url}/history/{seen[0]}") as response:
            known.update(json.load(response))
        return seen[0] in known

    await wait_until(is_in_history)
    entry = known[seen[0]]
    extra = entry["prompt"][3]
    assert extra["extra_pnginfo"] == {"workflow": {"nodes": []}}
    token_or_handle = json.dumps(entry["prompt"][2])
    assert server.token not in token_or_handle
    assert "handle" not in token_or_handle


async def test_wrong_token_is_refused_with_a_message(server: ManagedServer, context: WorkflowContext) -> None:
    engine = ComfyUIEngine.attached(server.url, "wrong", patience=PATIENCE)
    with pytest.raises(EngineError, match="token"):
        await engine.run(addition(context, 1))
    await engine.close()


async def test_no_server_is_an_error_within_the_retry_time(context: WorkflowContext) -> None:
    engine = ComfyUIEngine.attached("http://127.0.0.1:9", patience=PATIENCE)
    with pytest.raises(EngineError, match="no websocket"):
        await engine.run(addition(context, 1))
    await engine.close()


async def test_catalog_holds_our_nodes(attached: ComfyUIEngine) -> None:
    catalog = await attached.catalog()
    assert catalog["DiscomfortPort"].category == "discomfort/utilities"
    assert catalog["DiscomfortContextSaver"].output_node
    assert catalog["ImageInvert"].outputs[0].type == "IMAGE"


async def test_address_of_something_else_is_reported_at_once() -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        engine = ComfyUIEngine.attached(f"http://127.0.0.1:{page.server_port}", patience=Patience(retry_seconds=600))
        with pytest.raises(EngineError, match=r"is not a ComfyUI server, or access was denied: .* status 404"):
            await asyncio.wait_for(engine.start(), 30)
        page.shutdown()


async def test_close_is_safe_twice_and_reopens(attached: ComfyUIEngine, context: WorkflowContext) -> None:
    assert await result_of(attached, addition(context, 1)) == 2
    await attached.close()
    await attached.close()
    with pytest.raises(EngineError, match="closed"):
        await attached.run(addition(context, 2))
    await attached.start()
    assert await result_of(attached, addition(context, 2)) == 3
