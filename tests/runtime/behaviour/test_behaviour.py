"""What every engine does alike: the laws of the runtime that a caller can see, on each of them."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.protocol import (
    SAVER_CLASS,
    EngineError,
    NodeFailed,
    NodeProgress,
    PromptRejected,
    PromptRequest,
    PromptResult,
)
from discomfort.runtime.running.progress import ProgressUpdate
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.programs import reads, workflow, writes

ADDER = workflow(n1=reads("x"), n2=("BehaviourAdd", {"a": ["1", 0], "b": 10}), n3=writes("sum", ["2", 0]))
COUNTER = workflow(n1=reads("count"), n2=("BehaviourAdd", {"a": ["1", 0], "b": 1}), n3=writes("count", ["2", 0]))
PASSER = workflow(n1=reads("given"), n2=("BehaviourPass", {"value": ["1", 0]}), n3=writes("got", ["2", 0]))
HOLDER = workflow(n1=reads("given"), n2=("BehaviourHold", {"value": ["1", 0]}), n3=writes("held", ["2", 0]))
LOADER = workflow(n1=reads("name"), n2=("BehaviourLoad", {"name": ["1", 0]}), n3=writes("model", ["2", 0]))
USER = workflow(
    n1=reads("model"),
    n2=reads("word"),
    n3=("BehaviourUse", {"model": ["1", 0], "word": ["2", 0]}),
    n4=writes("text", ["3", 0]),
)
SHOWER = workflow(n1=reads("text"), n2=("BehaviourShow", {"text": ["1", 0]}))
INVERTER = workflow(
    n1=reads("size"),
    n2=("EmptyImage", {"width": ["1", 0], "height": 16, "batch_size": 1, "color": 255}),
    n3=("ImageInvert", {"image": ["2", 0]}),
    n4=writes("negative", ["3", 0]),
)
STEPPER = workflow(
    n1=reads("steps"), n2=("BehaviourSteps", {"value": 7, "count": ["1", 0]}), n3=writes("done", ["2", 0])
)

VALUES: dict[str, Any] = {
    "image": torch.tensor([[[[0.1, -2.0, math.inf]]]]),
    "half": torch.arange(6, dtype=torch.float16).reshape(1, 2, 3),
    "latent": {"samples": torch.randn(1, 4, 2, 2), "noise_mask": torch.ones(1, 2, 2)},
    "whole": -(2**53) + 1,
    "float": 0.1 + 0.2,
    "truth": True,
    "nothing": None,
    "text": "ein „Wort“ — 字\n",
    "dictionary": {"a": [1, 2.5, None], "b": {"c": "d"}},
}


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize("name", VALUES)
def test_values_go_in_and_come_out_exactly(rig: Rig, context: WorkflowContext, name: str) -> None:
    results = rig.compile(PASSER).run(context, inputs={"given": VALUES[name]}, engine=rig.engine)
    assert equal(results["got"], VALUES[name])
    assert equal(context.load("got"), VALUES[name])


def test_R1_iterations_carry_what_is_read_and_written(rig: Rig, context: WorkflowContext) -> None:
    assert rig.compile(COUNTER).run(context, inputs={"count": 0}, iterations=3, engine=rig.engine) == {"count": 3}


def test_R1_runs_can_be_awaited_together(rig: Rig, context: WorkflowContext) -> None:
    plan = rig.compile(ADDER)

    async def both() -> list[dict[str, Any]]:
        with WorkflowContext(max_ram_gb=0.01) as other:
            first = plan.arun(context, inputs={"x": 1}, engine=rig.engine)
            second = plan.arun(other, inputs={"x": 2}, engine=rig.engine)
            return list(await asyncio.gather(first, second))

    assert asyncio.run(both()) == [{"sum": 11}, {"sum": 12}]


def test_R2_known_work_is_not_submitted_again(rig: Rig, context: WorkflowContext) -> None:
    plan = rig.compile(INVERTER)
    first = plan.run(context, inputs={"size": 8}, engine=rig.engine)["negative"]
    assert rig.results
    rig.results.clear()
    plan.run(context, inputs={"size": 12}, engine=rig.engine)
    rig.results.clear()
    assert torch.equal(plan.run(context, inputs={"size": 8}, engine=rig.engine)["negative"], first)
    assert rig.results == []


def test_R2_effects_run_each_time_unless_skipped(rig: Rig, context: WorkflowContext) -> None:
    shows = [
        workflow(n1=("BehaviourShow", {"text": ["2", 0]}), n2=("BehaviourPass", {"value": word}))
        for word in ("a", "b", "c")
    ]
    plan = rig.compile(*shows, SHOWER)
    plan.run(context, inputs={"text": "one"}, engine=rig.engine)
    assert rig.noted() == ["Show a", "Show b", "Show c", "Show one"]
    plan.run(context, inputs={"text": "two"}, engine=rig.engine, effects="skip")
    assert rig.noted() == []


def test_R2_effects_run_after_what_they_need(rig: Rig, context: WorkflowContext) -> None:
    plan = rig.compile(LOADER, USER, SHOWER)
    for word in ("first", "second"):
        rig.noted()
        name = f"{word} of {rig.name}"
        plan.run(context, inputs={"name": name, "word": word}, engine=rig.engine)
        assert rig.noted() == [f"Load {name}", f"Use {word}", f"Show {word} by {name}"]


def test_R3_a_ref_costs_once_when_workflows_alternate(rig: Rig, context: WorkflowContext) -> None:
    name = f"model of {rig.name}"
    rig.compile(LOADER).run(context, inputs={"name": name}, engine=rig.engine)
    assert rig.noted() == []
    first, second = rig.compile(USER), rig.compile(USER, SHOWER)
    for word in ("a", "b", "c"):
        results = first.run(context, inputs={"word": word}, engine=rig.engine)
        assert results == {"text": f"{word} by {name}"}
        second.run(context, inputs={"word": word * 2}, engine=rig.engine)
    noted = rig.noted()
    assert noted.count(f"Load {name}") == 1
    assert [line for line in noted if line.startswith("Show")] == [f"Show {word * 2} by {name}" for word in "abc"]


def test_a_ref_is_a_live_object_where_the_engine_is_in_this_process(rig: Rig, context: WorkflowContext) -> None:
    rig.compile(LOADER).run(context, inputs={"name": "live"}, engine=rig.engine)
    if rig.engine.hands_over_live_objects:
        assert context.load("model").name == "live"
    else:
        with pytest.raises(EngineError, match="'model' is stored by reference"):
            context.load("model")


def test_values_are_handed_over_without_a_copy_in_this_process(rig: Rig, context: WorkflowContext) -> None:
    if not rig.engine.hands_over_live_objects:
        pytest.skip("another process gets values through shared memory")
    given = torch.rand(1, 64, 64, 3)
    context.save("given", given)
    stored = context.load("given").untyped_storage().data_ptr()
    rig.compile(HOLDER).run(context, engine=rig.engine)
    held = context.load("held").value
    assert held.untyped_storage().data_ptr() == stored
    assert torch.equal(held, given)


def test_R5_what_does_not_fit_fails_before_anything_runs(rig: Rig, context: WorkflowContext) -> None:
    plan = rig.compile(ADDER, STEPPER)
    with pytest.raises(BindError) as caught:
        plan.run(context, inputs={"x": 1001}, engine=rig.engine)
    assert [finding.code for finding in caught.value.diagnostics] == ["DF502", "DF501"]
    assert rig.results == []


def test_R6_a_failing_node_is_named_by_workflow_and_title(rig: Rig, context: WorkflowContext) -> None:
    rig.compile(LOADER).run(context, inputs={"name": "m"}, engine=rig.engine)
    plan = rig.compile(USER)
    with pytest.raises(NodeFailed, match=r"node 3 \(my BehaviourUse\), class BehaviourUse: ValueError") as caught:
        plan.run(context, inputs={"word": "break"}, engine=rig.engine)
    assert "the word breaks" in str(caught.value)
    assert "text" not in context.list_keys()  # C5
    assert plan.run(context, inputs={"word": "again"}, engine=rig.engine) == {"text": "again by m"}


def test_R6_a_missing_class_is_named_by_workflow_and_node(rig: Rig, context: WorkflowContext) -> None:
    lacking = workflow(n1=("NobodyHasThis", {"value": 1}), n2=writes("out", ["1", 0]))
    with pytest.raises(PromptRejected, match=r"node 1 \(my NobodyHasThis\)"):
        rig.compile(lacking).run(context, engine=rig.engine)


def test_R7_a_cancelled_run_stops_its_node_and_the_engine_goes_on(rig: Rig, context: WorkflowContext) -> None:
    plan = rig.compile(STEPPER)

    async def cancelled() -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch(update: ProgressUpdate) -> None:
            if update.fraction:
                loop.call_soon_threadsafe(started.set)

        running = asyncio.ensure_future(
            plan.arun(context, inputs={"steps": 1000}, engine=rig.engine, on_progress=watch)
        )
        await asyncio.wait_for(started.wait(), 60)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    assert "done" not in context.list_keys()
    assert plan.run(context, inputs={"steps": 1}, engine=rig.engine) == {"done": 7}
    assert rig.noted() == ["Steps"]


def test_R7_cancelling_a_prompt_that_waits_leaves_the_running_one_alone(rig: Rig, context: WorkflowContext) -> None:
    steps = {"class_type": "BehaviourSteps", "inputs": {"value": 7, "count": 40}}
    saver = {"class_type": SAVER_CLASS, "inputs": {"value": ["1", 0], "name": "done"}}
    request = PromptRequest({"1": steps, "2": saver}, {"done": "2"}, context)

    async def session() -> PromptResult:
        started = asyncio.Event()
        running = asyncio.ensure_future(
            rig.engine.run(request, lambda event: started.set() if isinstance(event, NodeProgress) else None)
        )
        await asyncio.wait_for(started.wait(), 60)
        waiting = asyncio.ensure_future(rig.engine.run(request))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return await running

    assert list(run_blocking(session()).outputs) == ["done"]
    assert rig.noted() == ["Steps"]


def test_R8_a_program_follows_nodes_and_steps(rig: Rig, context: WorkflowContext) -> None:
    updates: list[ProgressUpdate] = []
    rig.compile(STEPPER).run(context, inputs={"steps": 5}, engine=rig.engine, on_progress=updates.append)
    titles = {update.place.title for update in updates if update.place}
    assert "my BehaviourSteps" in titles
    fractions = [update.fraction for update in updates if update.fraction is not None]
    assert fractions == sorted(fractions)
    assert any(0 < fraction < 1 for fraction in fractions)
    assert updates[-1].done == updates[-1].total


def test_lists_are_mapped_gathered_and_delivered(rig: Rig, context: WorkflowContext) -> None:
    lists = workflow(
        n1=reads("count"),
        n2=("BehaviourList", {"count": ["1", 0]}),
        n3=("BehaviourAdd", {"a": ["2", 0], "b": 10}),
        n4=("BehaviourSum", {"values": ["3", 0]}),
        n5=writes("sum", ["4", 0]),
    )
    assert rig.compile(lists).run(context, inputs={"count": 4}, engine=rig.engine)["sum"] == 46


def test_asynchronous_nodes_run(rig: Rig, context: WorkflowContext) -> None:
    adder = workflow(n1=reads("x"), n2=("BehaviourAsyncAdd", {"a": ["1", 0], "b": 1}), n3=writes("sum", ["2", 0]))
    assert rig.compile(adder).run(context, inputs={"x": 4}, engine=rig.engine) == {"sum": 5}


def test_asynchronous_nodes_run_together(rig: Rig, context: WorkflowContext) -> None:
    """Each waits for the other: one after the other they would never end."""
    meeting = workflow(
        n1=("BehaviourMeet", {"value": 1, "party": f"prompt of {rig.name}"}),
        n2=("BehaviourMeet", {"value": 2, "party": f"prompt of {rig.name}"}),
        n3=("BehaviourAdd", {"a": ["1", 0], "b": ["2", 0]}),
        n4=writes("sum", ["3", 0]),
    )
    assert rig.compile(meeting).run(context, engine=rig.engine) == {"sum": 3}


def test_asynchronous_nodes_of_an_expansion_run_together(rig: Rig, context: WorkflowContext) -> None:
    party = workflow(n1=("BehaviourParty", {"party": f"expansion of {rig.name}"}), n2=writes("sum", ["1", 0]))
    assert rig.compile(party).run(context, engine=rig.engine) == {"sum": 3}


def test_L5_of_what_is_not_requested_nothing_runs(rig: Rig, context: WorkflowContext) -> None:
    """A part of a program, as the editor runs a part of a prompt: what the asked one needs runs, and nothing else."""
    offset = 500 + list(("embedded", "inprocess", "managed", "attached")).index(rig.name)
    both = workflow(
        n1=("BehaviourAdd", {"a": offset, "b": 1}),
        n2=("BehaviourAdd", {"a": ["1", 0], "b": 10}),
        n3=writes("one", ["2", 0]),
        n4=("BehaviourAdd", {"a": ["1", 0], "b": 20}),
        n5=writes("other", ["4", 0]),
    )
    assert rig.compile(both, outputs=["one"]).run(context, engine=rig.engine) == {"one": offset + 11}
    assert rig.noted() == ["Add"] * 2
    assert rig.compile(both, SHOWER, outputs=["other"]).run(
        context, inputs={"text": "not shown"}, engine=rig.engine, effects="skip"
    ) == {"other": offset + 21}
    assert set(rig.noted()) == {"Add"}


@pytest.mark.parametrize(("second", "ran"), [(False, 1), (True, 2)])
def test_lazy_inputs_that_are_not_requested_are_not_computed(
    rig: Rig, context: WorkflowContext, second: bool, ran: int
) -> None:
    offset = 100 * (1 + list(("embedded", "inprocess", "managed", "attached")).index(rig.name))
    chooser = workflow(
        n1=reads("second"),
        n2=("BehaviourAdd", {"a": offset, "b": 1}),
        n3=("BehaviourAdd", {"a": ["4", 0], "b": 2}),
        n4=("BehaviourAdd", {"a": offset, "b": 3}),
        n5=("BehaviourChoose", {"second": ["1", 0], "one": ["2", 0], "two": ["3", 0]}),
        n6=writes("chosen", ["5", 0]),
    )
    results = rig.compile(chooser).run(context, inputs={"second": second}, engine=rig.engine)
    assert results == {"chosen": offset + (5 if second else 1)}
    assert rig.noted() == ["Add"] * ran


def test_expansion_runs_the_graph_that_a_node_returns(rig: Rig, context: WorkflowContext) -> None:
    repeat = workflow(
        n1=reads("times"), n2=("BehaviourRepeat", {"value": 5, "times": ["1", 0]}), n3=writes("sum", ["2", 0])
    )
    plan = rig.compile(repeat)
    assert plan.run(context, inputs={"times": 4}, engine=rig.engine) == {"sum": 9}
    assert rig.noted() == ["Add"] * 4


def test_a_workflow_runs_as_one_node(rig: Rig, context: WorkflowContext, tmp_path: Path) -> None:
    on_server = rig.name in ("managed", "attached")  # which take names below their own folders only
    path = (rig.journal.parents[1] / "input" if on_server else tmp_path) / "adder.json"
    path.write_text(json.dumps(ADDER), encoding="utf-8")
    name = path.name if on_server else str(path)
    runner = workflow(
        n1=("BehaviourAdd", {"a": 1, "b": 1}),
        n2=("DiscomfortTestRunner", {"workflow": name, "x": ["1", 0]}),
        n3=("BehaviourPass", {"value": ["2", 0]}),
        n4=writes("sum", ["3", 0]),
    )
    assert rig.compile(runner).run(context, engine=rig.engine) == {"sum": 12}


def test_classes_of_the_V3_protocol_run(rig: Rig, context: WorkflowContext) -> None:
    if "BehaviourJoin" not in run_blocking(rig.engine.catalog()):
        pytest.skip("this engine has no V3 protocol")
    join = workflow(
        n1=reads("first"),
        n2=("BehaviourJoin", {"first": ["1", 0], "second": "world"}),
        n3=writes("text", ["2", 0]),
    )
    assert rig.compile(join).run(context, inputs={"first": "hello"}, engine=rig.engine) == {"text": "hello world"}
