"""Whole runs on the embedded engine: results, what is remembered, what is rebuilt, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.protocol import EngineError, NodeFailed
from discomfort.runtime.running.executor import Reference
from discomfort.runtime.running.progress import ProgressUpdate
from discomfort.runtime.running.sweep import SweepError

from . import programs
from .programs import Calls, reads, workflow, writes

ADDER = workflow(n1=reads("x"), n2=("Add", {"a": ["1", 0], "b": 10}), n3=writes("sum", ["2", 0]))
COUNTER = workflow(n1=reads("count"), n2=("Add", {"a": ["1", 0], "b": 1}), n3=writes("count", ["2", 0]))
PAINTER = workflow(n1=reads("level"), n2=("Paint", {"level": ["1", 0], "size": 4}), n3=writes("image", ["2", 0]))
INVERTER = workflow(n1=reads("image"), n2=("Invert", {"image": ["1", 0]}), n3=writes("negative", ["2", 0]))
LOADER = workflow(n1=reads("name"), n2=("LoadBrush", {"name": ["1", 0]}), n3=writes("brush", ["2", 0]))
USER = workflow(
    n1=reads("brush"),
    n2=reads("word"),
    n3=("Stroke", {"brush": ["1", 0], "word": ["2", 0]}),
    n4=writes("text", ["3", 0]),
)
POSTER = workflow(n1=reads("text"), n2=("Post", {"text": ["1", 0]}))


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.05) as made:
        yield made


@pytest.fixture
def engine() -> EmbeddedEngine:
    return programs.engine()


def compiled(engine: EmbeddedEngine, *workflows: dict[str, Any], **options: Any) -> discomfort.Plan:
    return discomfort.compile(workflows, catalog=asyncio.run(engine.catalog()), **options)


def test_values_go_in_and_come_out(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = compiled(engine, ADDER)
    assert plan.run(context, inputs={"x": 5}, engine=engine) == {"sum": 15}
    assert context.load("sum") == 15
    assert context.load("x") == 5


def test_workflows_are_stitched_on_names(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    results = compiled(engine, PAINTER, INVERTER).run(context, inputs={"level": 0.25}, engine=engine)
    assert torch.equal(results["negative"], torch.full((1, 4, 4, 3), 0.75))
    assert torch.equal(context.load("image"), torch.full((1, 4, 4, 3), 0.25))


def test_L2_what_is_read_and_written_is_carried_through_iterations(
    context: WorkflowContext, engine: EmbeddedEngine
) -> None:
    plan = compiled(engine, COUNTER)
    assert plan.run(context, inputs={"count": 0}, iterations=5, engine=engine) == {"count": 5}
    assert Calls.made.count("Add") == 5


def test_R2_known_work_is_not_redone(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = compiled(engine, PAINTER, INVERTER)
    plan.run(context, inputs={"level": 0.25}, engine=engine)
    first = list(Calls.made)
    plan.run(context, inputs={"level": 0.5}, engine=engine)
    plan.run(context, inputs={"level": 0.25}, engine=programs.engine())  # an engine with nothing cached
    assert first == ["Paint", "Invert"]
    assert Calls.made == []


def test_R2_a_known_part_is_loaded_for_the_rest(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    compiled(engine, PAINTER).run(context, inputs={"level": 0.25}, engine=engine)
    fresh = programs.engine()
    compiled(fresh, PAINTER, INVERTER).run(context, engine=fresh)
    assert Calls.made == ["Invert"]


def test_R2_effects_run_each_time_unless_skipped(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = compiled(engine, POSTER)
    context.save("text", "hello")
    plan.run(context, engine=engine, effects="skip")
    assert Calls.made == []
    plan.run(context, engine=engine)
    assert Calls.made == ["Post"]


def test_a_ref_is_stored_as_its_recipe_and_rebuilt(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    result = compiled(engine, LOADER).run(context, inputs={"name": "broad"}, engine=engine)["brush"]
    assert isinstance(result, Reference)
    assert Calls.made == []
    texts = [
        compiled(engine, USER).run(context, inputs={"word": word}, engine=engine)["text"] for word in ("one", "two")
    ]
    assert texts == ["one with a broad brush", "two with a broad brush"]
    assert Calls.made.count("LoadBrush") == 1


def test_R3_a_ref_costs_once_when_workflows_alternate(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    compiled(engine, LOADER).run(context, inputs={"name": "broad"}, engine=engine)
    first, second = compiled(engine, USER), compiled(engine, USER, POSTER)
    for word in ("a", "b", "c"):
        first.run(context, inputs={"word": word}, engine=engine)
        second.run(context, inputs={"word": word + word}, engine=engine)
    assert Calls.made.count("LoadBrush") == 1


def test_a_ref_keeps_what_it_read(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    compiled(engine, LOADER).run(context, inputs={"name": "broad"}, engine=engine)
    context.save("name", "changed since")
    assert compiled(engine, USER).run(context, inputs={"word": "x"}, engine=engine) == {"text": "x with a broad brush"}


def test_loading_a_ref_gives_the_live_object_and_saving_it_its_recipe(
    context: WorkflowContext, engine: EmbeddedEngine
) -> None:
    compiled(engine, LOADER).run(context, inputs={"name": "broad"}, engine=engine)
    brush = context.load("brush")
    assert isinstance(brush, programs.Brush)
    context.save("spare", brush)
    assert context.recipe("spare") == context.recipe("brush")


def test_a_reference_saves_under_another_name(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    reference = compiled(engine, LOADER).run(context, inputs={"name": "broad"}, engine=engine)["brush"]
    context.save("spare", reference)
    assert context.recipe("spare") == context.recipe("brush")


def test_a_workflow_saved_as_a_ref_is_used(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    closed = workflow(n1=("LoadBrush", {"name": "own"}), n2=writes("brush", ["1", 0]))
    context.save("brush", closed, pass_by="ref")
    assert compiled(engine, USER).run(context, inputs={"word": "x"}, engine=engine) == {"text": "x with a own brush"}


def test_a_workflow_saved_as_a_ref_must_be_closed(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    context.save("brush", LOADER, pass_by="ref")
    with pytest.raises(BindError, match=r"needs name.*one OUTPUT port called 'brush' and no INPUT ports"):
        compiled(engine, USER).run(context, inputs={"word": "x"}, engine=engine)


def test_R5_everything_missing_or_wrong_is_reported_at_once(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = compiled(engine, ADDER, PAINTER)
    context.save("levle", 0.5)
    with pytest.raises(BindError) as caught:
        plan.run(context, inputs={"x": 1001}, engine=engine)
    assert [finding.code for finding in caught.value.diagnostics] == ["DF502", "DF501"]
    text = str(caught.value)
    assert "expected at most 1000" in text
    assert "'levle'" in text
    assert Calls.made == []


def test_R6_a_failing_node_is_named_by_workflow_and_title(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    compiled(engine, LOADER).run(context, inputs={"name": "broad"}, engine=engine)
    with pytest.raises(NodeFailed, match=r"node 3 \(my Stroke\), class Stroke: ValueError: the brush broke"):
        compiled(engine, USER).run(context, inputs={"word": "break"}, engine=engine)


def test_C5_a_failed_run_leaves_no_results(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    context.save("brush", workflow(n1=("LoadBrush", {"name": "own"}), n2=writes("brush", ["1", 0])), pass_by="ref")
    with pytest.raises(NodeFailed):
        compiled(engine, ADDER, USER).run(context, inputs={"x": 1, "word": "break"}, engine=engine)
    assert "sum" not in context.list_keys()


def test_arun_awaits_and_run_blocks_inside_a_running_loop(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = discomfort.compile([ADDER], catalog=asyncio.run(engine.catalog()))

    async def notebook() -> tuple[dict[str, Any], dict[str, Any]]:
        blocking = plan.run(context, inputs={"x": 1}, engine=engine)
        return blocking, await plan.arun(context, inputs={"x": 2}, engine=engine)

    assert asyncio.run(notebook()) == ({"sum": 11}, {"sum": 12})


def test_a_sweep_runs_every_combination_in_order(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    both = workflow(
        n1=reads("x"), n2=reads("y"), n3=("Add", {"a": ["1", 0], "b": ["2", 0]}), n4=writes("sum", ["3", 0])
    )
    points = compiled(engine, both).sweep(context, {"x": range(2), "y": [10, 20]}, engine=engine)
    assert [(point.parameters, point.results["sum"]) for point in points] == [
        ({"x": 0, "y": 10}, 10),
        ({"x": 0, "y": 20}, 20),
        ({"x": 1, "y": 10}, 11),
        ({"x": 1, "y": 20}, 21),
    ]


def test_a_sweep_that_broke_off_continues(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    context.save("brush", workflow(n1=("LoadBrush", {"name": "own"}), n2=writes("brush", ["1", 0])), pass_by="ref")
    plan = compiled(engine, USER)
    with pytest.raises(SweepError, match=r"failed at word='break' after 2 points") as caught:
        plan.sweep(context, {"word": ["a", "b", "break"]}, engine=engine)
    assert [point.parameters["word"] for point in caught.value.done] == ["a", "b"]
    fresh = programs.engine()
    plan.sweep(context, {"word": ["a", "b", "c"]}, engine=fresh)
    assert Calls.made.count("Stroke") == 1


def test_a_sweep_over_an_unknown_name_is_refused(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    with pytest.raises(ValueError, match="no input of the plan is called z; it has x"):
        compiled(engine, ADDER).sweep(context, {"z": [1]}, engine=engine)


def test_R8_a_program_can_follow_the_run(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    updates: list[ProgressUpdate] = []
    compiled(engine, COUNTER).run(context, inputs={"count": 0}, iterations=2, engine=engine, on_progress=updates.append)
    assert [update.iteration for update in updates if update.done == update.total] == [1, 2]
    assert {update.place.title for update in updates if update.place} == {"my Add"}


def test_R8_a_callback_that_raises_is_reported_and_the_run_goes_on(
    context: WorkflowContext, engine: EmbeddedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def fails(update: ProgressUpdate) -> None:
        calls.append(update)
        raise ValueError("no")

    plan = compiled(engine, COUNTER)
    assert plan.run(context, inputs={"count": 0}, iterations=2, engine=engine, on_progress=fails) == {"count": 2}
    assert len(calls) == 1
    assert "on_progress callback raised" in caplog.text


def test_iterations_below_one_are_refused(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        compiled(engine, ADDER).run(context, inputs={"x": 1}, iterations=0, engine=engine)


def test_disk_is_used_where_ram_is_not_wanted(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    compiled(engine, PAINTER).run(context, inputs={"level": 0.5}, use_ram=False, engine=engine)
    info = context.get_storage_info("image")
    assert info is not None
    assert info["storage_type"] == "disk"


def test_a_session_runs_shuts_down_and_refuses_afterwards(engine: EmbeddedEngine) -> None:
    async def session() -> dict[str, Any]:
        async with await discomfort.Discomfort.create(engine=engine) as made:
            results = await made.run([PAINTER], inputs={"level": 0.5})
            with pytest.raises(EngineError, match="has no server"):
                _ = made.Worker
        await made.shutdown()
        with pytest.raises(EngineError, match="shut down"):
            await made.run([ADDER])
        return results

    assert torch.equal(asyncio.run(session())["image"], torch.full((1, 4, 4, 3), 0.5))
