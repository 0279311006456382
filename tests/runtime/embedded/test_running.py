"""Asynchronous nodes, hidden inputs, events, cancellation, failures, depth."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import pytest

from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.embedded.for_node_authors.node_api import report_progress
from discomfort.runtime.engines.protocol import (
    LOADER_CLASS,
    SAVER_CLASS,
    EngineError,
    Event,
    NodeFailed,
    NodeFinished,
    NodePlace,
    NodeProgress,
    NodeStarted,
    OutOfMemory,
)
from tests.runtime.embedded.lab import ANYTHING, NUMBER, Lab, Prompt, prompt, show


def test_an_asynchronous_function_is_awaited(lab: Lab) -> None:
    async def later(value: int) -> tuple[int]:
        await asyncio.sleep(0)
        return (value + 1,)

    lab.add("Later", later, {"value": NUMBER})
    assert lab.shown(prompt(l=("List", {"count": 2}), a=("Later", {"value": ["l", 0]}), out=show("a"))) == [1, 2]


def test_independent_asynchronous_nodes_run_together(lab: Lab) -> None:
    both = threading.Barrier(2)

    async def meet(value: int) -> tuple[int]:
        await asyncio.to_thread(both.wait, 10)
        return (value,)

    lab.add("Meet", meet, {"value": NUMBER})
    nodes = prompt(a=("Meet", {"value": 1}), b=("Meet", {"value": 2}), out=show("a"), other=show("b"))
    assert lab.run(nodes).ui["other"] == {"shown": [2]}


def test_an_asynchronous_failure_is_at_its_node(lab: Lab) -> None:
    async def fail(value: int) -> tuple[int]:
        await asyncio.sleep(0)
        raise RuntimeError("late")

    lab.add("Fail", fail, {"value": NUMBER})
    with pytest.raises(NodeFailed, match="RuntimeError: late") as caught:
        lab.run(prompt(f=("Fail", {"value": 1}), out=show("f")))
    assert caught.value.node == "f"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_a_node_that_tries_to_end_the_program_fails_and_the_engine_goes_on(lab: Lab, kind: type[BaseException]) -> None:
    """On the engine loop, which such an exception would end: whoever waits there would wait forever."""

    def leave() -> Any:
        raise kind("bye")

    async def leave_later() -> Any:
        await asyncio.sleep(0)
        raise kind("bye")

    lab.add("Leave", leave)
    lab.add("LeaveLater", leave_later)
    for name in ("Leave", "LeaveLater"):
        with pytest.raises(NodeFailed, match=f"{kind.__name__}: bye") as caught:
            run_blocking(lab.engine.run(lab.request(prompt(a=(name, {}), out=show("a")))))
        assert caught.value.node == "a"
    assert run_blocking(lab.engine.run(lab.request(prompt(out=("Show", {"value": 1}))))).ui["out"] == {"shown": [1]}


def test_a_question_to_a_class_that_tries_to_end_the_program_is_an_error(lab: Lab) -> None:
    lab.add("Exits", lambda a: (a,), {"a": NUMBER}, VALIDATE_INPUTS=lambda a: sys.exit(3))
    with pytest.raises(EngineError, match="tried to end the program"):
        run_blocking(lab.engine.run(lab.request(prompt(a=("Exits", {"a": 1}), out=show("a")))))


def test_a_node_that_runs_out_of_memory_is_reported_as_such(lab: Lab) -> None:
    def fill() -> Any:
        raise MemoryError

    lab.add("Fill", fill)
    with pytest.raises(OutOfMemory, match="Smaller images or batches"):
        lab.run(prompt(a=("Fill", {}), out=show("a")))


def test_cancelling_stops_between_two_calls_of_a_mapped_node(lab: Lab) -> None:
    started, released = threading.Event(), threading.Event()

    def wait(value: int) -> tuple[int]:
        lab.seen.append(value)
        started.set()
        released.wait(10)
        return (value,)

    lab.add("Wait", wait, {"value": NUMBER})

    async def session() -> None:
        nodes = prompt(l=("List", {"count": 5}), w=("Wait", {"value": ["l", 0]}), out=show("w"))
        running = asyncio.ensure_future(lab.engine.run(lab.request(nodes)))
        await asyncio.to_thread(started.wait, 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        released.set()
        await lab.engine.run(lab.request(prompt(out=("Show", {"value": 1}))))

    asyncio.run(session())
    assert lab.seen == [0]


def test_hidden_inputs(lab: Lab) -> None:
    def look(prompt: Any, dynprompt: Any, me: str, info: Any) -> tuple[Any]:
        return ((prompt["look"]["class_type"], dynprompt.get_node("out")["class_type"], me, info),)

    hidden = {"prompt": "PROMPT", "dynprompt": "DYNPROMPT", "me": "UNIQUE_ID", "info": ("EXTRA_PNGINFO",)}
    lab.add("Look", look, hidden=hidden)
    nodes = prompt(look=("Look", {}), out=show("look"))
    assert lab.run(nodes, extra_pnginfo={"workflow": 1}).ui["out"]["shown"] == [
        ("Look", "Show", "look", {"workflow": 1})
    ]


def test_only_what_output_nodes_need_runs(lab: Lab) -> None:
    lab.run(prompt(idle=("Add", {"a": 1, "b": 1}), out=("Show", {"value": 1})))
    assert lab.calls == ["Show"]


def test_events_come_in_order_with_progress_between(lab: Lab) -> None:
    def steps(value: int) -> tuple[int]:
        report_progress(1, 2)
        report_progress(2, 2)
        return (value,)

    lab.add("Steps", steps, {"value": NUMBER})
    events: list[Event] = []
    lab.run(prompt(s=("Steps", {"value": 1}), out=show("s")), listener=events.append)
    assert events == [
        NodeStarted("s"),
        NodeProgress("s", 1, 2),
        NodeProgress("s", 2, 2),
        NodeFinished("s", False),
        NodeStarted("out"),
        NodeFinished("out", False),
    ]


def test_cached_nodes_are_reported_as_cached(lab: Lab) -> None:
    nodes = prompt(n=("Number", {"value": 1}), out=show("n"))
    lab.run(nodes)
    events: list[Event] = []
    lab.run(nodes, listener=events.append)
    assert events == [NodeFinished("n", True), NodeFinished("out", True)]


def test_the_event_loop_stays_free_while_a_node_runs(lab: Lab) -> None:
    released = threading.Event()
    lab.add("Wait", lambda: (released.wait(10),))

    async def session() -> Any:
        running = asyncio.ensure_future(lab.engine.run(lab.request(prompt(w=("Wait", {}), out=show("w")))))
        await asyncio.sleep(0.01)
        released.set()
        return (await running).ui["out"]["shown"]

    assert asyncio.run(session()) == [True]


def test_cancelling_returns_promptly_and_stops_between_nodes(lab: Lab) -> None:
    started, released = threading.Event(), threading.Event()

    def wait() -> tuple[bool]:
        started.set()
        return (released.wait(10),)

    lab.add("Wait", wait)

    async def session() -> float:
        running = asyncio.ensure_future(lab.engine.run(lab.request(prompt(w=("Wait", {}), out=show("w")))))
        await asyncio.to_thread(started.wait, 10)
        running.cancel()
        began = time.perf_counter()
        with pytest.raises(asyncio.CancelledError):
            await running
        took = time.perf_counter() - began
        released.set()
        result = await lab.engine.run(lab.request(prompt(out=("Show", {"value": 1}))))
        assert result.ui == {"out": {"shown": [1]}}
        return took

    assert asyncio.run(session()) < 5
    assert lab.calls == ["Wait", "Show"]


def test_cancelling_stops_asynchronous_nodes(lab: Lab) -> None:
    stopped: list[bool] = []

    async def forever() -> tuple[int]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(True)
            raise
        return (1,)

    lab.add("Forever", forever)

    async def session() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lab.engine.run(lab.request(prompt(f=("Forever", {}), out=show("f")))), 0.2)

    asyncio.run(session())
    assert stopped == [True]


def test_R6_a_failure_names_its_place_and_keeps_the_trace(lab: Lab) -> None:
    def fail(value: Any) -> Any:
        raise ValueError("no")

    lab.add("Fail", fail, {"value": ANYTHING})
    place = NodePlace("main.json", "4", "my node", "Fail")
    with pytest.raises(NodeFailed, match=r"main.json, node 4 \(my node\), class Fail: ValueError: no") as caught:
        lab.run(prompt(f=("Fail", {"value": 1}), out=show("f")), places={"f": place})
    assert "in fail" in caught.value.trace


def test_a_failure_without_a_place_is_named_by_the_prompt(lab: Lab) -> None:
    nodes = prompt(a=("Add", {"a": ["l", 0], "b": 1}), l=("List", {"count": 0}), out=show("a"))
    nodes["a"]["_meta"] = {"title": "my sum"}
    with pytest.raises(NodeFailed, match=r"<prompt>, node a \(my sum\), class Add"):
        lab.run(nodes)


def test_values_come_from_the_context_and_go_out_live(lab: Lab) -> None:
    digest = lab.context.values.put([1, 2])
    marker = object()
    lab.add("Mark", lambda value: ((marker, value),), {"value": ANYTHING})
    nodes = prompt(
        load=(LOADER_CLASS, {"digest": digest, "value_type": "LIST"}),
        m=("Mark", {"value": ["load", 0]}),
        save=(SAVER_CLASS, {"value": ["m", 0], "name": "result"}),
    )
    assert lab.run(nodes, {"result": "save"}).outputs["result"].value == (marker, [1, 2])


def test_a_list_goes_out_as_a_list(lab: Lab) -> None:
    nodes = prompt(l=("List", {"count": 3}), save=(SAVER_CLASS, {"value": ["l", 0], "name": "result"}))
    assert lab.run(nodes, {"result": "save"}).outputs["result"].value == [0, 1, 2]


def test_values_are_delivered_again_when_everything_is_cached(lab: Lab) -> None:
    nodes = prompt(n=("Number", {"value": 3}), save=(SAVER_CLASS, {"value": ["n", 0], "name": "result"}))
    values = [lab.run(nodes, {"result": "save"}).outputs["result"].value for _ in range(2)]
    assert values == [3, 3]
    assert lab.calls == ["Number"]


def chain(length: int) -> Prompt:
    nodes: Prompt = {"0": {"class_type": "Number", "inputs": {"value": 0}}}
    for index in range(1, length):
        nodes[str(index)] = {"class_type": "Add", "inputs": {"a": [str(index - 1), 0], "b": 1}}
    return nodes | prompt(out=show(str(length - 1)))


def test_a_chain_of_100000_nodes_runs(lab: Lab) -> None:
    assert lab.shown(chain(100_000)) == [99_999]
