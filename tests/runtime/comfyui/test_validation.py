"""What a server would refuse is found before anything runs: nothing is written, however many prompts that takes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.plan import Plan, compile
from discomfort.runtime.engine_thread import run_awaiting, run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.comfyui.worker import Worker
from discomfort.runtime.engines.protocol import EngineError, PromptRejected, PromptRequest
from tests.runtime.comfyui.chains import node, port
from tests.runtime.comfyui.helpers import PATIENCE, make_checkout, prove, request_for, wait_until
from tests.runtime.comfyui.test_steps import split

SAVES = {
    "1": node("EmptyImage", width=8, height=8, batch_size=1, color=1),
    "2": node("SaveImage", images=["1", 0], filename_prefix="good"),
}
REFUSED = {
    "1": node("EmptyImage", width=8, height=8, batch_size=1, color=2),
    "2": node("Picky", images=["1", 0], mood="bad"),
    "3": node("SaveImage", images=["2", 0], filename_prefix="bad"),
}
IN_ONE = {**SAVES, **{f"5{key}": body for key, body in REFUSED.items()}}
for _name, _link in (("52", ["51", 0]), ("53", ["52", 0])):
    IN_ONE[_name] = {**IN_ONE[_name], "inputs": {**IN_ONE[_name]["inputs"], "images": _link}}
COUNTS = {"1": node("Add", a=1, b=1), **{f"9{key}": body for key, body in SAVES.items()}, "out": port("two", ["1", 0])}
COUNTS["92"] = {**COUNTS["92"], "inputs": {**COUNTS["92"]["inputs"], "images": ["91", 0]}}
LEVELS = {
    "in": port("two"),
    "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0x202020),
    "2": node("Level", image=["1", 0], factor=["in", 0]),
    "3": node("Picky", images=["2", 0], mood="bad"),
    "4": node("SaveImage", images=["3", 0], filename_prefix="level"),
}
"""Takes a whole number as a FLOAT, which needs a second prompt."""

PROGRAMS = {
    "a group of effects after another": ([SAVES, REFUSED], None),
    "a group of effects before another": ([REFUSED, SAVES], None),
    "an effect next to another": ([IN_ONE], None),
    "a later prompt": ([COUNTS, LEVELS], None),
}


_colors = itertools.count(1)


@dataclass
class Rig:
    """A server, an engine on it, and where it writes."""

    engine: ComfyUIEngine
    folder: Path

    def plan(self, *workflows: dict[str, Any], **options: Any) -> Plan:
        """Compile workflows, their pictures in colours that the server has not cached."""
        fresh: list[dict[str, Any]] = json.loads(json.dumps(workflows))
        for workflow in fresh:
            for body in workflow.values():
                if "color" in body["inputs"]:
                    body["inputs"]["color"] = next(_colors)
        return compile(fresh, catalog=run_blocking(self.engine.catalog()), **options)

    def written(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("output/*"))

    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Return a list to which each path is added that is posted to."""
        transport = run_blocking(self.engine.connected()).transport
        paths: list[str] = []
        post = transport.post_json

        async def spy(path: str, payload: Any, *rest: Any, **options: Any) -> Any:
            if path != "/discomfort/tickets":  # each prompt has one
                paths.append(path)
            return await post(path, payload, *rest, **options)

        monkeypatch.setattr(transport, "post_json", spy)
        return paths


def start(folder: Path, *arguments: str) -> tuple[ManagedServer, Path]:
    checkout = make_checkout(folder / "ComfyUI")
    config = ServerConfig(checkout, arguments=("--base-directory", str(folder), *arguments), grace=1.0)
    server = ManagedServer(config)
    asyncio.run(server.start())
    return server, folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ManagedServer, Path]]:
    started = start(tmp_path_factory.mktemp("nodes"))
    yield started
    asyncio.run(started[0].stop())


@pytest.fixture(scope="module")
def shared_plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ManagedServer, Path]]:
    started = start(tmp_path_factory.mktemp("plain"), "--no-nodes")
    yield started
    asyncio.run(started[0].stop())


def rig_on(started: tuple[ManagedServer, Path]) -> Iterator[Rig]:
    server, folder = started
    for path in folder.glob("output/*"):
        path.unlink()
    engine = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    yield Rig(engine, folder)
    run_blocking(engine.close())


@pytest.fixture
def rig(shared: tuple[ManagedServer, Path]) -> Iterator[Rig]:
    yield from rig_on(shared)


@pytest.fixture
def plain(shared_plain: tuple[ManagedServer, Path]) -> Iterator[Rig]:
    yield from rig_on(shared_plain)


def refused_twice(rig: Rig, context: WorkflowContext, plan: Plan) -> PromptRejected:
    for _ in range(2):
        with pytest.raises(PromptRejected) as caught:
            plan.run(context, engine=rig.engine)
    return caught.value


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_written_when_a_part_of_a_program_is_refused(
    rig: Rig, context: WorkflowContext, program: str
) -> None:
    workflows, options = PROGRAMS[program]
    error = refused_twice(rig, context, rig.plan(*workflows, options=options))
    assert rig.written() == []
    assert error.written == ()
    assert "not in the mood: 'bad'" in str(error)
    assert [(finding.where.title, finding.where.input) for finding in error.diagnostics] == [("Picky", "mood")]


def test_a_managed_server_writes_nothing_either(tmp_path: Path, context: WorkflowContext) -> None:
    config = ServerConfig(make_checkout(tmp_path / "ComfyUI"), arguments=("--base-directory", str(tmp_path)), grace=1.0)
    rig = Rig(ComfyUIEngine.managed(config, patience=PATIENCE), tmp_path)
    try:
        refused_twice(rig, context, rig.plan(SAVES, REFUSED))
    finally:
        run_blocking(rig.engine.close())
    assert rig.written() == []


def test_nothing_is_written_by_a_prompt_as_it_is(rig: Rig) -> None:
    for _ in range(2):
        with pytest.raises(PromptRejected):
            run_blocking(Worker(rig.engine).run_workflow(IN_ONE, use_workflow_json=False))
    assert rig.written() == []


def test_nothing_is_written_by_a_request_of_which_a_result_is_refused(rig: Rig, context: WorkflowContext) -> None:
    prompt = {
        **SAVES,
        "bad": node("Add", a="x", b=1),
        "save": node("DiscomfortContextSaver", value=["bad", 0], name="n"),
    }
    with pytest.raises(PromptRejected):
        run_blocking(rig.engine.run(PromptRequest(prompt, {"n": "save"}, context)))
    assert rig.written() == []


@pytest.mark.parametrize(
    ("program", "files"),
    [
        ("a group of effects after another", ["output/good_00001_.png"]),
        ("a group of effects before another", []),
        ("a later prompt", ["output/good_00001_.png"]),
    ],
)
def test_a_server_without_our_nodes_lists_what_was_written(
    plain: Rig, context: WorkflowContext, program: str, files: list[str]
) -> None:
    workflows, options = PROGRAMS[program]
    with pytest.raises(PromptRejected) as caught:
        plain.plan(*workflows, options=options).run(context, engine=plain.engine)
    assert [f"output/{name}" for name in plain.written()] == files
    assert list(caught.value.written) == files
    assert all(name in str(caught.value) for name in files)


def test_a_server_without_our_nodes_lists_what_the_rest_of_a_refused_prompt_wrote(
    plain: Rig, context: WorkflowContext
) -> None:
    slow = {
        **IN_ONE,
        "60": node("Sleep", value=1, seconds=1.0),
        "61": node("EmptyImage", width=["60", 0], height=8, batch_size=1, color=1),
        "62": node("SaveImage", images=["61", 0], filename_prefix="slow"),
    }
    seen: set[str] = set()
    for _ in range(4):
        with pytest.raises(PromptRejected) as caught:
            plain.plan(slow).run(context, engine=plain.engine)
        new = {f"output/{name}" for name in plain.written()} - seen
        assert set(caught.value.written) == new
        seen |= new


async def test_a_prompt_that_is_stopped_lists_what_it_wrote(plain: Rig, context: WorkflowContext) -> None:
    """For the error of another prompt of its program, which the server has refused."""
    prompt = {
        "1": node("EmptyImage", width=8, height=8, batch_size=1, color=next(_colors)),
        "2": node("SaveImage", images=["1", 0], filename_prefix="first"),
        "3": node("Sleep", value=8, seconds=30.0),
        "4": node("EmptyImage", width=["3", 0], height=8, batch_size=1, color=3),
        "5": node("SaveImage", images=["4", 0], filename_prefix="later"),
    }
    request = replace(request_for(context, prompt), sequence=[["2"], ["5"]])
    running = asyncio.create_task(run_awaiting(plain.engine.run(request)))
    await wait_until(lambda: "first_00001_.png" in plain.written())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert request.written == ["output/first_00001_.png"]


def test_one_output_node_costs_no_question(rig: Rig, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = rig.asked(monkeypatch)
    rig.plan({"1": node("Add", a=1, b=1), "out": port("two", ["1", 0])}).run(context, engine=rig.engine)
    assert asked.count("/prompt") == 1
    assert asked.count("/discomfort/validate") == 0
    with pytest.raises(PromptRejected):
        rig.plan(REFUSED).run(context, engine=rig.engine)
    assert asked.count("/discomfort/validate") == 0
    rig.plan(SAVES, {**SAVES, "3": node("PreviewAny", source="x")}).run(context, engine=rig.engine)
    assert asked.count("/discomfort/validate") == 1


def test_a_prompt_that_was_validated_with_its_program_is_not_validated_again(
    rig: Rig, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {**LEVELS, "3": node("Picky", images=["2", 0], mood="good")}
    plan = rig.plan(COUNTS, good)
    asked = rig.asked(monkeypatch)
    plan.run(context, engine=rig.engine)
    assert asked.count("/prompt") == asked.count("/discomfort/validate") == 2
    assert rig.written() == ["good_00001_.png", "level_00001_.png"]


CHAIN = {
    "1": node("EmptyImage", width=8, height=8, batch_size=1, color=3),
    "2": node("SaveImage", images=["1", 0], filename_prefix="first"),
    "3": node("ImageInvert", image=["1", 0]),
    "4": node("ImageInvert", image=["3", 0]),
    "5": node("ImageInvert", image=["4", 0]),
    "6": node("ImageInvert", image=["5", 0]),
    "7": node("SaveImage", images=["6", 0], filename_prefix="last"),
}


def test_what_an_earlier_prompt_computes_has_its_type_in_validation(rig: Rig, context: WorkflowContext) -> None:
    """The server's class takes a type that differs from the one that the program was compiled for."""
    plan = rig.plan(CHAIN, options=split(3))
    assert len(plan.steps) > 1
    plan.run(context, engine=rig.engine)
    assert rig.written() == ["first_00001_.png", "last_00001_.png"]
    (changed,) = (node_id for node_id, one in plan.graph.nodes.items() if one.origin.node == "6")
    source = plan.graph.nodes[changed].inputs["image"]
    other = replace(plan.graph.nodes[changed], class_type="MaskToImage", inputs={"mask": source})
    wrong = replace(plan, graph=replace(plan.graph, nodes={**plan.graph.nodes, changed: other}))
    with (
        WorkflowContext(max_ram_gb=0.1) as fresh,
        pytest.raises(PromptRejected, match=r"received_type\(IMAGE\) mismatch input_type\(MASK\)"),
    ):
        wrong.run(fresh, engine=rig.engine)
    assert rig.written() == ["first_00001_.png", "last_00001_.png"]


def test_a_class_that_looks_at_types_finds_what_it_will_find(rig: Rig, context: WorkflowContext) -> None:
    """A value of an earlier prompt comes from a loader, whose type is `*`: such a class refuses that."""
    chain = {**CHAIN, "6": node("PickyAboutTypes", images=["5", 0])}
    rig.plan(chain).run(context, engine=rig.engine)
    assert rig.written() == ["first_00001_.png", "last_00001_.png"]
    plan = rig.plan(chain, options=split(3))
    assert len(plan.steps) > 1
    with pytest.raises(PromptRejected, match=r"no picture, but '\*'"):
        plan.run(context, engine=rig.engine)
    assert rig.written() == ["first_00001_.png", "last_00001_.png"]


def test_a_prompt_that_a_handler_of_another_pack_completes_is_not_refused(rig: Rig, context: WorkflowContext) -> None:
    prompt = {"1": node("Blank"), "2": node("PreviewAny", source=["1", 0]), "3": node("PreviewAny", source=["1", 0])}
    result = run_blocking(rig.engine.run(PromptRequest(prompt, {}, context)))
    assert result.ui == {"2": {"text": ["42"]}, "3": {"text": ["42"]}}
    other = {**prompt, "4": node("Add", a=1), "5": node("PreviewAny", source=["4", 0])}
    with pytest.raises(PromptRejected, match="Required input is missing: b") as caught:
        run_blocking(rig.engine.run(PromptRequest(other, {}, context)))
    assert len(caught.value.diagnostics) == 1


def test_a_server_that_died_is_asked_again(tmp_path: Path, context: WorkflowContext) -> None:
    config = ServerConfig(make_checkout(tmp_path / "ComfyUI"), arguments=("--base-directory", str(tmp_path)), grace=1.0)
    rig = Rig(ComfyUIEngine.managed(config, patience=PATIENCE), tmp_path)
    try:
        plan, single = rig.plan(COUNTS, {**LEVELS, "3": node("Picky", images=["2", 0], mood="good")}), rig.plan(SAVES)
        for program in (plan, single):
            assert rig.engine.server is not None
            os.kill(rig.engine.server.process_id or 0, signal.SIGKILL)
            program.run(context, engine=rig.engine)
    finally:
        run_blocking(rig.engine.close())
    assert rig.written() == ["good_00001_.png", "good_00002_.png", "level_00001_.png"]


def test_the_question_needs_the_token_and_survives_any_body(rig: Rig, shared: tuple[ManagedServer, Path]) -> None:
    server, _ = shared

    def post(body: bytes, token: str) -> tuple[int, Any]:
        proof = prove(server.url, token, "POST", "/discomfort/validate", body)
        headers = {"Content-Type": "application/json", **proof}
        request = urllib.request.Request(f"{server.url}/discomfort/validate", body, headers)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    good = json.dumps({"prompt": SAVES}).encode()
    assert post(good, "wrong")[0] == 401
    assert post(good, server.token) == (200, {"error": None, "node_errors": {}})
    for body in ("", "nonsense", "[]", "{}", '{"prompt": 7}', '{"prompt": {"1": null}}', '{"prompt": {"1": {}}}'):
        status, _ = post(body.encode(), server.token)
        assert status in (400, 422), body
    status, answer = post(json.dumps({"prompt": REFUSED}).encode(), server.token)
    assert (status, list(answer["node_errors"])) == (200, ["2"])
    assert rig.written() == []


def test_a_server_that_does_not_answer_such_questions_is_an_error(
    rig: Rig, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = run_blocking(rig.engine.connected()).transport
    post = transport.post_json

    async def older(path: str, payload: Any, *rest: Any, **options: Any) -> Any:
        return (404, None) if path == "/discomfort/validate" else await post(path, payload, *rest, **options)

    monkeypatch.setattr(transport, "post_json", older)
    with pytest.raises(EngineError, match=r"did not validate the prompt \(status 404\)"):
        rig.plan(SAVES, REFUSED).run(context, engine=rig.engine)
    assert rig.written() == []
