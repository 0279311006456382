"""Values of classes that only the server's Python has: they are passed on as they are, and named when they are used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import UnreadableValueError
from discomfort.context.values import decode
from discomfort.context.values.opaque import OpaqueValue
from discomfort.plan import Plan, compile
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engine_thread import run_awaiting
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.server_connection import Patience
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.protocol import LOADER_CLASS, Engine, EngineError, NodeFailed
from discomfort.session import Discomfort
from discomfort_nodes.registry import HELD_VALUES
from tests.context.foreign import installed
from tests.runtime.comfyui.chains import port
from tests.runtime.comfyui.helpers import PATIENCE, StartEngine, node, observed, request_for

RULES = {"CLIP_OF_FRAMES": "val"}
MAKE = {
    "in": port("name"),
    "1": node("MakeClip", name=["in", 0]),
    "2": node("Add", a=1, b=2),
    "out": port("clip", ["1", 0]),
    "sum": port("sum", ["2", 0]),
}
OPEN = {"in": port("clip"), "1": node("OpenClip", clip=["in", 0]), "out": port("text", ["1", 0])}
OPEN_OTHER = {"in": port("other"), "1": node("OpenClip", clip=["in", 0]), "out": port("text", ["1", 0])}
GROW = {
    "in": port("clip"),
    "1": node("JoinClips", first=["in", 0], word="on"),
    "out": port("clip", ["1", 0]),
}


@pytest_asyncio.fixture(params=["shared", "remote"])
async def engine(request: pytest.FixtureRequest, server: ManagedServer) -> AsyncIterator[ComfyUIEngine]:
    """A server that maps our memory, and one that values reach over HTTP."""
    near = request.param == "shared"
    made = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE, share_memory=near)
    yield made
    await run_awaiting(made.close())


async def plan_of(engine: Engine, *workflows: Any) -> Plan:
    await run_awaiting(engine.start())
    return compile(workflows, catalog=await run_awaiting(engine.catalog()), rules=RULES)


async def test_the_other_results_are_there_and_this_one_names_itself_when_it_is_used(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    results = await (await plan_of(engine, MAKE)).arun(context, inputs={"name": "lighthouse"}, engine=engine)
    assert results["sum"] == 3
    clip = results["clip"]
    assert type(clip) is OpaqueValue
    assert "double_nodes.Clip" in repr(clip)
    with pytest.raises(
        UnreadableValueError, match=r"output 'clip' \(CLIP_OF_FRAMES\), stored as double_nodes.Clip.*inprocess"
    ):
        print(clip.name)
    with pytest.raises(UnreadableValueError, match=r"'clip', stored as double_nodes.Clip"):
        context.load("clip")
    assert context.load("sum") == 3


async def test_it_goes_back_to_the_server_by_name_as_an_input_and_saved_under_another(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    results = await (await plan_of(engine, MAKE)).arun(context, inputs={"name": "lighthouse"}, engine=engine)
    opening, other = await plan_of(engine, OPEN), await plan_of(engine, OPEN_OTHER)
    assert await opening.arun(context, engine=engine) == {"text": "lighthouse"}
    assert await other.arun(context, inputs={"other": results["clip"]}, engine=engine) == {"text": "lighthouse"}
    context.save("other", results["clip"])
    context.delete("clip")
    assert await other.arun(context, engine=engine) == {"text": "lighthouse"}


@pytest.mark.parametrize("engine", ["shared"], indirect=True)
async def test_nothing_is_decoded_that_is_only_passed_on(
    engine: ComfyUIEngine, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await plan_of(engine, MAKE)).arun(context, inputs={"name": "unseen"}, engine=engine)
    opening = await plan_of(engine, OPEN)

    def decodes(*_: Any) -> Any:
        raise AssertionError("a pickle was read")

    monkeypatch.setattr(decode, "unpickle_value", decodes)
    assert await opening.arun(context, engine=engine) == {"text": "unseen"}


async def test_iterations_carry_it(engine: ComfyUIEngine, context: WorkflowContext) -> None:
    await (await plan_of(engine, MAKE)).arun(context, inputs={"name": "go"}, engine=engine)
    await (await plan_of(engine, GROW)).arun(context, iterations=3, engine=engine)
    assert await (await plan_of(engine, OPEN)).arun(context, engine=engine) == {"text": "go on on on"}


async def test_several_points_and_runs_on_one_context(engine: ComfyUIEngine, context: WorkflowContext) -> None:
    plan = await plan_of(engine, MAKE, OPEN)
    points = await asyncio.to_thread(plan.sweep, context, {"name": ["a", "b", "a"]}, engine=engine)
    assert [point.results["text"] for point in points] == ["a", "b", "a"]
    assert all(type(point.results["clip"]) is OpaqueValue for point in points)


async def test_it_is_refused_by_an_engine_that_cannot_rebuild_it_before_anything_runs(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    results = await (await plan_of(engine, MAKE)).arun(context, inputs={"name": "x"}, engine=engine)
    embedded = EmbeddedEngine()
    embedded.register({"OpenClip": OpensNothing})
    plan = compile([OPEN_OTHER], catalog=await run_awaiting(embedded.catalog()), rules=RULES)
    with pytest.raises(BindError, match=r"input 'other' \(CLIP_OF_FRAMES\) holds .*double_nodes.Clip: it ") as caught:
        await plan.arun(context, inputs={"other": results["clip"]}, engine=embedded)
    assert [(finding.code, finding.where.input) for finding in caught.value.diagnostics] == [("DF523", "other")]
    await run_awaiting(embedded.close())


class OpensNothing:
    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"clip": ("CLIP_OF_FRAMES",)}}

    def run(self, clip: Any) -> Any:
        raise AssertionError("nothing runs")


async def test_a_server_without_our_nodes_refuses_it_before_anything_runs(
    engine: ComfyUIEngine, plain_server: ManagedServer, context: WorkflowContext
) -> None:
    results = await (await plan_of(engine, MAKE)).arun(context, inputs={"name": "x"}, engine=engine)
    before = observed(plain_server.url)["runs"]
    plain = ComfyUIEngine.attached(plain_server.url, patience=PATIENCE)
    grow = {**OPEN_OTHER, "2": node("JoinClips", first=["in", 0], word="y"), "grown": port("grown", ["2", 0])}
    plan = await plan_of(plain, grow)
    with pytest.raises(BindError) as caught:
        await plan.arun(context, inputs={"other": results["clip"]}, engine=plain)
    found = [(finding.code, finding.where.input) for finding in caught.value.diagnostics]
    assert found == [("DF521", "other"), ("DF521", "grown")]
    assert observed(plain_server.url)["runs"] == before
    await run_awaiting(plain.close())


@pytest.mark.parametrize("engine", ["shared"], indirect=True)
async def test_memory_that_is_shared_remembers_it(
    engine: ComfyUIEngine, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await plan_of(engine, MAKE)
    first = await plan.arun(context, inputs={"name": "kept"}, engine=engine)

    async def sends_nothing(*_: Any) -> Any:
        raise AssertionError("it was remembered")

    monkeypatch.setattr(engine, "run", sends_nothing)
    second = await plan.arun(context, inputs={"name": "kept"}, engine=engine)
    assert type(first["clip"]) is type(second["clip"]) is OpaqueValue


@pytest.mark.parametrize("engine", ["shared"], indirect=True)
async def test_an_engine_in_this_python_makes_what_it_cannot_rebuild_again(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    class MakeClip:
        RETURN_TYPES = ("CLIP_OF_FRAMES",)
        FUNCTION = "run"
        DISCOMFORT_EFFECT = "pure"

        @classmethod
        def INPUT_TYPES(cls) -> Any:
            return {"required": {"name": ("STRING",)}}

        def run(self, name: str) -> Any:
            return ({"name": name},)

    make = {"in": port("name"), "1": node("MakeClip", name=["in", 0]), "out": port("clip", ["1", 0])}
    first = await (await plan_of(engine, make)).arun(context, inputs={"name": "same"}, engine=engine)
    assert type(first["clip"]) is OpaqueValue
    embedded = EmbeddedEngine()
    embedded.register({"MakeClip": MakeClip})
    plan = compile([make], catalog=await run_awaiting(embedded.catalog()), rules=RULES)
    assert await plan.arun(context, engine=embedded) == {"clip": {"name": "same"}}
    await run_awaiting(embedded.close())


async def test_a_session_without_a_context_hands_it_over(server: ManagedServer) -> None:
    shared = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    async with await Discomfort.create(engine=shared) as discomfort:
        results = await discomfort.run([MAKE], inputs={"name": "outliving"}, rules=RULES)
        text = await discomfort.run([OPEN_OTHER], inputs={"other": results["clip"]}, rules=RULES)
    assert text == {"text": "outliving"}


@pytest.mark.parametrize("engine", ["remote"], indirect=True)
async def test_what_stays_on_a_server_is_refused_where_it_is_not(
    engine: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    results = await (await plan_of(engine, MAKE)).arun(context, inputs={"name": "x"}, engine=engine)
    again = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE, share_memory=False)
    with pytest.raises(BindError, match=r"input 'other'.*stays on another ComfyUI server") as caught:
        await (await plan_of(again, OPEN_OTHER)).arun(context, inputs={"other": results["clip"]}, engine=again)
    assert [finding.code for finding in caught.value.diagnostics] == ["DF522"]
    await run_awaiting(again.close())
    near = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    with pytest.raises(BindError, match=r"input 'other'.*it stays on the ComfyUI server that made it") as caught:
        await (await plan_of(near, OPEN_OTHER)).arun(context, inputs={"other": results["clip"]}, engine=near)
    assert [finding.code for finding in caught.value.diagnostics] == ["DF523"]
    await run_awaiting(near.close())


@pytest.mark.parametrize("engine", ["remote"], indirect=True)
async def test_what_a_server_keeps_no_longer_names_its_port_and_is_made_again(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    making, opening = await plan_of(engine, MAKE), await plan_of(engine, OPEN)
    await making.arun(context, inputs={"name": "old"}, engine=engine)
    for first in (0, HELD_VALUES // 2):
        many = {f"n{number}": node("Add", a=number, b=0) for number in range(first, first + HELD_VALUES // 2 + 1)}
        await run_awaiting(engine.run(request_for(context, many, **{name: [name, 0] for name in many})))
    with pytest.raises(EngineError, match=r"input 'clip' stays on ComfyUI at .*any more: run again what made it"):
        await opening.arun(context, engine=engine)
    await making.arun(context, engine=engine)
    assert await opening.arun(context, engine=engine) == {"text": "old"}


@pytest.mark.parametrize("engine", ["remote"], indirect=True)
async def test_a_prompt_gets_all_of_its_results_and_values_however_many(
    engine: ComfyUIEngine, context: WorkflowContext
) -> None:
    """Also when another prompt stores as many before they are fetched; what a server keeps from then on is bounded."""
    engine._patience = Patience()  # so many savers take a busy machine a while
    count = HELD_VALUES + 476
    many = {f"n{number}": node("Add", a=number, b=0) for number in range(count)}
    results = request_for(context, many, **{name: [name, 0] for name in many})
    others = {name: node("Add", a=number + count, b=0) for number, name in enumerate(many)}
    more = request_for(context, others, **{name: [name, 0] for name in others})
    for done, first in zip(await asyncio.gather(*map(engine.run, (results, more))), (0, count), strict=True):
        assert [context.values.get(str(done.outputs[name].digest)) for name in many] == [*range(first, first + count)]

    digests = [context.values.put(number + 10 * count) for number in range(count)]
    loaders = {
        f"l{number}": node(LOADER_CLASS, digest=digest, value_type="INT") for number, digest in enumerate(digests)
    }
    adding = {f"n{number}": node("Add", a=[f"l{number}", 0], b=1) for number in range(count)}
    request = request_for(context, {**loaders, **adding}, **{name: [name, 0] for name in adding})
    read = await engine.run(request)
    assert [context.values.get(str(read.outputs[name].digest)) for name in adding] == [
        number + 10 * count + 1 for number in range(count)
    ]


async def test_a_server_that_was_restarted_makes_it_again(managed: StartEngine, context: WorkflowContext) -> None:
    engine = managed(share_memory=False)
    plan, opening = await plan_of(engine, MAKE), await plan_of(engine, OPEN)
    await plan.arun(context, inputs={"name": "first"}, engine=engine)
    await run_awaiting(engine.close())
    with pytest.raises((BindError, EngineError), match=r"clip.*stays"):
        await opening.arun(context, engine=engine)
    await plan.arun(context, engine=engine)
    assert await opening.arun(context, engine=engine) == {"text": "first"}


async def test_what_nothing_can_store_names_its_port(engine: ComfyUIEngine, context: WorkflowContext) -> None:
    locked = {"1": node("Lock"), "out": port("file", ["1", 0])}
    with pytest.raises(NodeFailed, match=r"output 'file'.*'_thread.lock'"):
        await (await plan_of(engine, locked)).arun(context, engine=engine)


async def test_what_the_server_cannot_rebuild_names_its_port(server: ManagedServer, context: WorkflowContext) -> None:
    """The other way round: an object of a class that only we have."""
    engine = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    plan = await plan_of(engine, OPEN)
    with installed() as module, pytest.raises(NodeFailed, match=r"input 'clip'.*only_there.Thing.*no module") as caught:
        await plan.arun(context, inputs={"clip": module.Thing("x", None)}, engine=engine)
    assert caught.value.place is not None
    assert caught.value.place.class_type == LOADER_CLASS
    await run_awaiting(engine.close())
