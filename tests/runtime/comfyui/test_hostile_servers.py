"""What answers at the address of a ComfyUI may be anything: an error of the engine, in bounded time and memory."""

from __future__ import annotations

import json
import queue
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.context.values.wire import encode_wire
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Literal, Node, NodeId, Origin
from discomfort.runtime.engine_thread import within
from discomfort.runtime.engines.comfyui.connection import answers as limits
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.server_connection import Patience
from discomfort.runtime.engines.protocol import LOADER_CLASS, SAVER_CLASS, EngineError, PromptRequest
from discomfort.server_access.protocol import PROTOCOL
from tests.hostile_server import ENDLESS, ONCE, Answer, comfyui, frame, serving, whole

PATIENCE = Patience(retry_seconds=0.3, check_seconds=0.2, answer_seconds=2.0, silence_seconds=2.0)
NODES = {
    "info": json.dumps({"protocol": PROTOCOL, "nonce": "0" * 32, "server": "x"}).encode(),
    "attach": b"{}",
    "validate": b"{}",
    "tickets": b'{"missing": []}',
    "fingerprints": b'{"sources": [null]}',
}
PROMPT = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8}, "_meta": {"title": "x"}}}


@pytest.fixture(autouse=True)
def _limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOMFORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(limits, "LARGEST_ANSWER", 8 << 20)


def once(body: bytes) -> Answer:
    return lambda: iter([body])


async def ask(url: str, question: Callable[[ComfyUIEngine], Any], share_memory: bool | None = None) -> Any:
    """Ask an engine that is attached to `url`; it ends within seconds, and with an error of the engine if with one."""
    engine = ComfyUIEngine.attached(url, patience=PATIENCE, share_memory=share_memory)
    try:
        return await within(60, question(engine))
    finally:
        await engine.close()


def request_saving(context: WorkflowContext) -> PromptRequest:
    saver = {"class_type": SAVER_CLASS, "inputs": {"value": ["1", 0], "name": "out"}}
    loader = {"class_type": LOADER_CLASS, "inputs": {"digest": context.values.put("read"), "value_type": "STRING"}}
    both = {"s": saver, "l": loader, "p": {"class_type": "PreviewAny", "inputs": {"source": ["l", 0]}}}
    return PromptRequest({**PROMPT, **both}, {"out": "s"}, context)


async def run_saving(engine: ComfyUIEngine) -> Any:
    reader = Node(NodeId("1"), "LoadImage", {"image": Literal("a.png")}, "", Origin("main", "1"))
    await engine.sources([reader], EffectTable(default_catalog()))
    with WorkflowContext(max_ram_gb=0.01) as context:
        return await engine.run(request_saving(context))


async def run(engine: ComfyUIEngine) -> Any:
    with WorkflowContext(max_ram_gb=0.01) as context:
        return await engine.run(PromptRequest(PROMPT, {}, context, {}))


@pytest.mark.parametrize("what", ONCE)
async def test_what_is_not_a_ComfyUI_is_an_error(what: str) -> None:
    with serving(once(ONCE[what])) as url, pytest.raises(EngineError) as raised:
        await ask(url, lambda engine: engine.start())
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("what", [what for what in ONCE if what != "gzip cut off"])  # all of its JSON is there
async def test_a_catalog_that_is_none_is_an_error(what: str) -> None:
    with serving(by_path=comfyui({"/object_info": once(ONCE[what])})) as url, pytest.raises(EngineError) as raised:
        await ask(url, lambda engine: engine.catalog())
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("what", ["chunks", "a body", "headers"])
async def test_a_catalog_without_end_is_an_error(what: str) -> None:
    with serving(by_path=comfyui({"/object_info": ENDLESS[what]})) as url:
        tracemalloc.start()
        with pytest.raises(EngineError):
            await ask(url, lambda engine: engine.catalog())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 96 << 20


BODIES = [
    b"[" * 100_000,
    *(b"[" * depth + b"]" * depth for depth in (300, 900)),
    b'{"node_errors": {"1": {"errors": [{"details": %s}]}}}' % (b"[" * 900 + b"]" * 900),
    b"9" * 5000,
    b"<html>wrong</html>",
    b'{"error": NaN}',
    b'{"queue_running": 3, "queue_pending": [[]]}',
    b'{"prompt_id": "../x\\r\\n"}',
    b"null",
    b"[]",
    b"3",
    b'"x"',
    b"{}",
    b"",
    b"\xff",
    b'{"error": 3}',
    b'{"error": {"type": [], "message": {}, "details": 3, "extra_info": 3}}',
    b'{"node_errors": 3}',
    b'{"node_errors": []}',
    b'{"node_errors": {"1": 3}}',
    b'{"node_errors": {"1": {"errors": 3}}}',
    b'{"node_errors": {"1": {"errors": [3]}}}',
    b'{"node_errors": {"1": {"errors": [{"extra_info": 3}]}}}',
    b'{"prompt_id": []}',
]


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request", b"500 No"])
@pytest.mark.parametrize("body", BODIES)
async def test_answers_to_prompts_that_make_no_sense_are_errors(body: bytes, status: bytes) -> None:
    answer = whole(body).replace(b"200 OK", status)
    answers = {"/prompt": once(answer), "/queue": once(answer), "/history": once(answer), "/api": once(answer)}
    with serving(by_path=comfyui(answers)) as url, pytest.raises(EngineError):
        await ask(url, run)


@pytest.mark.parametrize("body", BODIES)
async def test_nodes_that_say_nonsense_are_an_error_or_none(body: bytes) -> None:
    """Asked whether it has our nodes, a server may answer anything; what it then says of prompts, too."""
    answers = {"/discomfort": once(whole(body)), "/prompt": once(whole(body))}
    with serving(by_path=comfyui(answers)) as url, pytest.raises(EngineError) as raised:
        await ask(url, run)
    assert len(str(raised.value)) < 2000


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("route", ["attach", "validate", "tickets", "values", "fingerprints"])
async def test_each_route_of_our_nodes_may_say_nonsense(route: str, body: bytes) -> None:
    answers = {f"/discomfort/{name}": once(whole(answer)) for name, answer in NODES.items()}
    answers |= {f"/discomfort/{route}": once(whole(body)), "/prompt": once(whole(b"{}"))}
    with serving(by_path=comfyui(answers)) as url, pytest.raises(EngineError) as raised:
        await ask(url, run_saving)
    assert len(str(raised.value)) < 2000


@pytest.mark.parametrize("digest", [b"3", b"[]", b'"d1-x"', b'"../../x"', b'"d1-%s"' % (b"0" * 32)])
@pytest.mark.parametrize("near", [True, False])
async def test_a_result_that_no_value_has_is_an_error(near: bool, digest: bytes) -> None:
    """A value is what its digest says, and a digest is one of a value; whether memory is shared or not."""
    output = b'"node": "s", "output": {"discomfort": [{"digest": %s}]}' % digest
    shown = b'{"type": "executed", "data": {"prompt_id": "%s", ' + output + b"}}"
    done = b'{"type": "execution_success", "data": {"prompt_id": "%s"}}'
    answers = {f"/discomfort/{name}": once(whole(answer)) for name, answer in NODES.items()}
    answers |= {"/discomfort/values": once(whole(encode_wire(3))), "/prompt": once(whole(b"{}"))}
    prompt_ids: queue.Queue[bytes] = queue.Queue()

    def messages() -> Iterator[bytes]:
        prompt_id = prompt_ids.get()
        if not prompt_id:
            prompt_ids.put(prompt_id)  # for the next websocket that waits
            return
        yield frame(shown % prompt_id) + frame(done % prompt_id)

    served = comfyui(answers, messages)

    def noting(asked: bytes) -> Iterator[bytes]:
        if asked.startswith(b"POST /prompt"):
            prompt_ids.put(re.findall(rb'"prompt_id": "([^"]+)"', asked)[0])
        return served(asked)

    try:
        with serving(by_path=noting) as url, pytest.raises(EngineError, match=r"without out|digest|did not store"):
            await ask(url, run_saving, share_memory=near)
    finally:
        prompt_ids.put(b"")  # a websocket whose prompt never came


async def test_a_server_may_not_ask_for_values_that_a_prompt_does_not_read() -> None:
    with WorkflowContext(max_ram_gb=0.01) as context:
        missing = json.dumps({"missing": [context.values.put("secret")]}).encode()
        requests: list[bytes] = []
        answers = {f"/discomfort/{name}": once(whole(answer)) for name, answer in NODES.items()}
        served = comfyui(answers | {"/discomfort/tickets": once(whole(missing))})

        def noting(asked: bytes) -> Iterator[bytes]:
            requests.append(asked)
            return served(asked)

        with serving(by_path=noting) as url, pytest.raises(EngineError, match="/discomfort/tickets"):
            await ask(url, lambda engine: engine.run(request_saving(context)), share_memory=False)
    assert not [request for request in requests if request.startswith(b"PUT")]


@pytest.mark.parametrize("what", ["drops of a body", "drops of headers", "drops of a line", "continue", "silence"])
async def test_an_answer_that_comes_by_drops_is_an_error(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.5)
    served = comfyui({"/object_info": ENDLESS[what]})
    with serving(by_path=served) as url, pytest.raises(EngineError, match="/object_info"):
        await ask(url, lambda engine: engine.catalog())


async def test_an_error_of_a_hostile_server_names_server_route_and_remedy() -> None:
    answers = {"/prompt": once(whole(b"{}")), "/queue": once(whole(b"[3]"))}
    with serving(by_path=comfyui(answers)) as url, pytest.raises(EngineError) as raised:
        await ask(url, run)
    assert all(part in str(raised.value) for part in (url, "/queue", "check that a ComfyUI answers"))


MESSAGES: dict[str, Callable[[], Iterator[bytes]]] = {
    "deep": lambda: iter([frame(b"[" * 100_000)]),
    "no JSON": lambda: iter([frame(b"x" * 1000)]),
    "half of a letter": lambda: iter([frame(b"\xc3")]),
    "a list": lambda: iter([frame(b"[]")]),
    "a number": lambda: iter([frame(b'{"type": 3, "data": 4}')]),
    "a huge one": lambda: iter([bytes([0x81, 127]) + (1 << 40).to_bytes(8, "big"), *[b"x" * 65536] * 400]),
    "reserved bits": lambda: iter([bytes([0xF1, 1, 0])]),
    "a frame of no kind": lambda: iter([bytes([0x8F, 0])]),
    "binary": lambda: iter([bytes([0x82, 3]) + b"\0\0\0"]),
    "many": lambda: iter([frame(json.dumps({"type": "status", "data": {}}).encode())] * 20_000),
    "closed": lambda: iter([bytes([0x88, 0])]),
}


@pytest.mark.parametrize("what", MESSAGES)
async def test_messages_that_make_no_sense_end_in_an_error(what: str) -> None:
    answers = {
        "/prompt": once(whole(b'{"prompt_id": "x"}')),
        "/queue": once(whole(b"{}")),
        "/history": once(whole(b"{}")),
    }
    with serving(by_path=comfyui(answers, MESSAGES[what])) as url, pytest.raises(EngineError):
        await ask(url, run)
