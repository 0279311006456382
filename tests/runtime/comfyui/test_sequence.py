"""Effects in the order of the workflows, where a prompt alone would not keep it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.ir.graph import Link, Literal, Node, NodeId, Origin
from discomfort.plan import compile
from discomfort.runtime.binding.effect_order import effect_groups
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.protocol import NodeFailed, PromptRequest
from discomfort.runtime.running.progress import ProgressUpdate
from tests.runtime.comfyui.chains import node, port
from tests.runtime.comfyui.helpers import PATIENCE, observed


def graph(**links: list[str]) -> dict[NodeId, Node]:
    """Return nodes `workflow_name` of the class `name` without its digits, and which others they are linked to."""
    return {
        NodeId(node_id): Node(
            NodeId(node_id),
            node_id.partition("_")[2].rstrip("0123456789"),
            {f"i{number}": Link(NodeId(source), 0) for number, source in enumerate(sources)} or {"value": Literal(1)},
            "",
            Origin(node_id.partition("_")[0], node_id),
        )
        for node_id, sources in links.items()
    }


def groups(nodes: dict[NodeId, Node], effects: list[str], *results: str) -> tuple[tuple[NodeId, ...], ...]:
    return effect_groups(
        nodes, [NodeId(name) for name in effects], map(NodeId, results), lambda name: name not in ("roll", "save")
    )


def test_effects_of_one_workflow_come_together_and_before_those_of_the_next() -> None:
    nodes = graph(a_load=[], a_save1=["a_load"], a_save2=["a_load"], b_save1=["a_load"], c_save1=[])
    assert groups(nodes, ["a_save1", "a_save2", "b_save1", "c_save1"]) == (
        ("a_save1", "a_save2"),
        ("b_save1",),
        ("c_save1",),
    )
    assert groups(nodes, ["a_save1", "a_save2"]) == ()


@pytest.mark.parametrize("shared", ["b_save1", "b_out"])
def test_what_must_not_run_twice_keeps_them_in_one_prompt(shared: str) -> None:
    """The roll of the dice that the first effect shows is that of the second, or that of the result."""
    nodes = graph(a_roll=[], a_use=["a_roll"], a_save1=["a_use"], b_load=[], b_out=["a_use"], b_save1=["b_load"])
    if shared == "b_save1":
        nodes = graph(a_roll=[], a_use=["a_roll"], a_save1=["a_use"], b_save1=["a_use"], b_out=[])
    assert groups(nodes, ["a_save1", "b_save1"], "b_out") == ()


def test_an_effect_that_feeds_a_later_one_runs_once() -> None:
    nodes = graph(a_save1=[], b_save1=["a_save1"])
    assert groups(nodes, ["a_save1", "b_save1"]) == ()


@pytest.fixture
def engine(server: ManagedServer) -> Iterator[ComfyUIEngine]:
    made = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    yield made
    run_blocking(made.close())


def test_shared_nodes_run_once_and_progress_counts_each_node_once(
    engine: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    first = {
        "1": node("EmptyImage", width=24, height=8, batch_size=1, color=9),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("PreviewImage", images=["2", 0]),
        "out": port("negative", ["2", 0]),
    }
    second = {
        "in": port("negative"),
        "1": node("ImageInvert", image=["in", 0]),
        "2": node("PreviewImage", images=["1", 0]),
    }
    before = observed(server.url)["runs"]
    updates: list[ProgressUpdate] = []
    plan = compile([first, second], catalog=run_blocking(engine.catalog()))
    plan.run(context, engine=engine, on_progress=updates.append)
    after = observed(server.url)["runs"]
    ran = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
    assert ran == {"EmptyImage": 1, "ImageInvert": 2, "PreviewImage": 2, "DiscomfortContextSaver": 1}
    assert [update.done for update in updates] == sorted(update.done for update in updates)
    assert (updates[-1].done, updates[-1].total) == (6, 6)


def test_an_effect_after_one_that_failed_does_not_run(
    engine: ComfyUIEngine, server: ManagedServer, context: WorkflowContext
) -> None:
    prompt = {
        "bad": node("Misbehave", value=1, how="raise", unless=""),
        "one": node("PreviewAny", source=["bad", 0]),
        "other": node("PreviewAny", source="shown"),
    }
    before = observed(server.url)["runs"].get("PreviewAny", 0)
    with pytest.raises(NodeFailed):
        run_blocking(engine.run(PromptRequest(prompt, {}, context, sequence=(("one",), ("other",)))))
    assert observed(server.url)["runs"].get("PreviewAny", 0) == before
