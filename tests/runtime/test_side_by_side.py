"""Runs side by side on one context: each has its own inputs and results, and sees one moment of the context."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.context.local_store import LocalStore
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engine_thread import run_awaiting
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.protocol import NodeFailed
from discomfort.runtime.running.sweep import SweepError

from . import programs
from .programs import reads, workflow, writes

ADDER = workflow(n1=reads("x"), n2=("Add", {"a": ["1", 0], "b": 10}), n3=writes("sum", ["2", 0]))
COUNTER = workflow(n1=reads("count"), n2=("Add", {"a": ["1", 0], "b": 1}), n3=writes("count", ["2", 0]))
PAINTER = workflow(n1=reads("level"), n2=("Paint", {"level": ["1", 0], "size": 40}), n3=writes("image", ["2", 0]))
INVERTER = workflow(n1=reads("image"), n2=("Invert", {"image": ["1", 0]}), n3=writes("negative", ["2", 0]))
HALTER = workflow(n1=reads("x"), n2=("Halt", {"value": ["1", 0]}), n3=writes("halted", ["2", 0]))
HALTING_COUNTER = workflow(
    n1=reads("count"),
    n2=("Halt", {"value": ["1", 0]}),
    n3=("Add", {"a": ["2", 0], "b": 1}),
    n4=writes("count", ["3", 0]),
)
HALTING_INVERTER = workflow(
    n1=reads("image"),
    n2=("Halt", {"value": 1}),
    n3=("Invert", {"image": ["1", 0]}),
    n4=("Pair", {"image": ["3", 0], "number": ["2", 0]}),
    n5=writes("negative", ["4", 0]),
)
TWO_STEPS = workflow(
    n1=reads("image"),
    n2=("Invert", {"image": ["1", 0]}),
    n3=("Halt", {"value": 1}),
    n4=writes("negative", ["2", 0]),
    n5=writes("halted", ["3", 0]),
)
KEEPER = workflow(n1=reads("image"), n2=("Frame", {"image": ["1", 0]}), n3=writes("frame", ["2", 0]))
USER = workflow(
    n1=reads("frame"),
    n2=("Halt", {"value": 1}),
    n3=("Look", {"frame": ["1", 0], "after": ["2", 0]}),
    n4=writes("mean", ["3", 0]),
)


class Halt:
    """Waits until the test lets it go on; one without a wait does not."""

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "tests"

    reached: ClassVar[threading.Event]
    go_on: ClassVar[threading.Event]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("INT", {"default": 0, "min": -1000, "max": 1000})}}

    @classmethod
    def IS_CHANGED(cls, value: Any) -> float:
        return float("nan")

    def run(self, value: int) -> tuple[int]:
        if value < 0:
            raise ValueError("it was asked to fail")
        Halt.reached.set()
        assert Halt.go_on.wait(60)
        return (value,)


class Pair:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "number": ("INT", {})}}

    def run(self, image: torch.Tensor, number: int) -> tuple[torch.Tensor]:
        return (image,)


class Frame:
    """Makes a thing that is passed by reference from a picture, which its recipe captures."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "run"
    CATEGORY = "tests"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",)}}

    def run(self, image: torch.Tensor) -> tuple[Any]:
        made = programs.Brush("frame")
        made.image = image  # type: ignore[attr-defined]
        return (made,)


class Look:
    RETURN_TYPES = ("FLOAT",)
    FUNCTION = "run"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"frame": ("MODEL",), "after": ("INT", {})}}

    def run(self, frame: Any, after: int) -> tuple[float]:
        return (float(frame.image.mean()),)


@pytest.fixture(autouse=True)
def halts() -> Iterator[None]:
    Halt.reached, Halt.go_on = threading.Event(), threading.Event()
    yield
    Halt.go_on.set()


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.05) as made:
        yield made


@pytest.fixture
def engine() -> EmbeddedEngine:
    return make_engine()


def make_engine() -> EmbeddedEngine:
    made = programs.engine()
    made.register({cls.__name__: cls for cls in (Halt, Pair, Frame, Look)})
    return made


def compiled(engine: EmbeddedEngine, *workflows: dict[str, Any], **options: Any) -> discomfort.Plan:
    return discomfort.compile(workflows, catalog=asyncio.run(engine.catalog()), **options)


class Running:
    """Something that goes on in a thread of its own; its end, error or value, is that of `end`."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(work)

    def end(self) -> Any:
        Halt.go_on.set()
        try:
            return self._future.result(60)
        finally:
            self._pool.shutdown()


def halted(work: Callable[[], Any]) -> Running:
    """Begin a run in a thread, and return when it has stopped at its `Halt`."""
    running = Running(work)
    assert Halt.reached.wait(60)
    return running


def held(context: WorkflowContext) -> set[str]:
    """Return what is kept alive by work in progress."""
    assert isinstance(context.store, LocalStore)
    holders = context.store.read().holders
    assert holders.digests() or not holders.holds, "one who holds nothing is gone"
    return holders.digests()


def test_runs_gathered_on_one_context_give_their_own_results(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = compiled(engine, ADDER, PAINTER)

    async def gathered() -> list[dict[str, Any]]:
        runs = (plan.arun(context, inputs={"x": i, "level": i / 8}, engine=engine) for i in range(8))
        return list(await asyncio.gather(*runs))

    results = asyncio.run(gathered())
    assert [result["sum"] for result in results] == [i + 10 for i in range(8)]
    assert [result["image"].unique().tolist() for result in results] == [[i / 8] for i in range(8)]
    assert held(context) == set()


def test_runs_of_many_threads_give_their_own_results_and_leave_those_of_one_run(
    context: WorkflowContext, engine: EmbeddedEngine
) -> None:
    plan = compiled(engine, ADDER, PAINTER, INVERTER)
    seen: list[tuple[int, int, float, float]] = []
    finished = threading.Event()

    def work(thread: int) -> list[tuple[int, dict[str, Any]]]:
        given = [thread + 8 * i for i in range(12)]
        return [(x, plan.run(context, inputs={"x": x, "level": x / 100}, engine=engine)) for x in given]

    def watch() -> None:
        while not finished.is_set():
            with context.transaction():
                if "x" in context:
                    x, total = context.load("x"), context.load("sum")
                    seen.append((x, total, context.load("level"), float(context.load("negative")[0, 0, 0, 0])))

    watcher = Running(watch)
    with ThreadPoolExecutor(8) as pool:
        results = [pair for pairs in pool.map(work, range(8)) for pair in pairs]
    finished.set()
    watcher.end()
    assert [result["sum"] for _, result in results] == [x + 10 for x, _ in results]
    for x, result in results:
        assert torch.equal(result["image"], torch.full((1, 40, 40, 3), x / 100))
        assert torch.equal(result["negative"], 1 - torch.full((1, 40, 40, 3), x / 100))
    assert seen
    for x, total, level, negative in seen:
        assert total == x + 10
        assert level == x / 100
        assert negative == pytest.approx(1 - x / 100)
    assert held(context) == set()


def test_runs_of_two_processes_give_their_own_results(
    context: WorkflowContext, engine: EmbeddedEngine, tmp_path: Path
) -> None:
    script = tmp_path / "runs.py"
    script.write_text(
        textwrap.dedent(f"""
            import asyncio, sys
            sys.path.insert(0, {str(Path(__file__).parents[2])!r})
            import discomfort
            from discomfort.context.context import WorkflowContext
            from tests.runtime import programs
            from tests.runtime.test_side_by_side import ADDER, PAINTER, compiled, make_engine

            engine = make_engine()
            plan = compiled(engine, ADDER, PAINTER)
            context = WorkflowContext(run_id=sys.argv[1], create=False)
            print("ready", flush=True)
            for i in range(40):
                x = int(sys.argv[2]) + i
                results = plan.run(context, inputs={{"x": x, "level": x / 100}}, engine=engine)
                assert results["sum"] == x + 10, (x, results["sum"])
                assert results["image"].unique().tolist() == [results["image"].new_tensor(x / 100).item()], x
            """)
    )
    other = subprocess.Popen(
        [sys.executable, str(script), context.run_id, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()  # it has everything imported, and begins
    plan = compiled(engine, ADDER, PAINTER)
    for x in range(50, 90):
        assert plan.run(context, inputs={"x": x, "level": x / 100}, engine=engine)["sum"] == x + 10
        with context.transaction():
            assert context.load("sum") == context.load("x") + 10
            assert float(context.load("image")[0, 0, 0, 0]) == pytest.approx(context.load("x") / 100)
    assert other.communicate()[1].decode()[-2000:] == ""
    assert held(context) == set()


def test_runs_on_several_contexts_give_their_own_results(engine: EmbeddedEngine) -> None:
    plan = compiled(engine, COUNTER)

    def work(start: int) -> tuple[int, int]:
        with WorkflowContext(max_ram_gb=0.01) as context:
            results = plan.run(context, inputs={"count": start}, iterations=20, engine=engine)
            return results["count"], context.load("count")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(0, 400, 100))) == [(start + 20, start + 20) for start in range(0, 400, 100)]


def test_a_run_sees_the_context_as_it_was_when_it_began(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    image = torch.rand(1, 64, 64, 3)
    context.save("image", image)
    run = halted(lambda: compiled(engine, TWO_STEPS).run(context, engine=engine))
    context.save("image", torch.zeros(1, 64, 64, 3))
    assert torch.equal(run.end()["negative"], 1 - image)
    assert torch.equal(context.load("image"), torch.zeros(1, 64, 64, 3))  # the run read it and writes it not
    assert held(context) == set()


def test_a_value_that_a_run_reads_stays_though_its_name_goes(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    image = torch.rand(1, 64, 64, 3)
    context.save("image", image)
    run = halted(lambda: compiled(engine, HALTING_INVERTER).run(context, engine=engine))
    context.delete("image")
    for number in range(8):  # whatever takes its room
        context.save(f"other {number}", torch.rand(1, 64, 64, 3))
    assert torch.equal(run.end()["negative"], 1 - image)


def test_a_reference_stays_while_a_run_uses_it(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    compiled(engine, KEEPER).run(context, inputs={"image": torch.full((1, 64, 64, 3), 0.25)}, engine=engine)
    fresh = make_engine()
    run = halted(lambda: compiled(fresh, USER).run(context, engine=fresh))
    other = make_engine()
    compiled(other, KEEPER).run(context, inputs={"image": torch.full((1, 64, 64, 3), 0.75)}, engine=other)
    assert run.end() == {"mean": 0.25}
    assert compiled(other, USER).run(context, engine=other) == {"mean": 0.75}
    assert held(context) == set()


def test_a_reference_stays_while_it_is_built_for_load(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    slow = workflow(
        n1=reads("image"),
        n2=("Halt", {"value": 1}),
        n3=("Pair", {"image": ["1", 0], "number": ["2", 0]}),
        n4=("Frame", {"image": ["3", 0]}),
        n5=writes("frame", ["4", 0]),
    )
    compiled(engine, slow).run(context, inputs={"image": torch.full((1, 64, 64, 3), 0.25)}, engine=engine)
    building = halted(lambda: context.load("frame"))
    context.save("frame", 7)
    context.save("image", 8)
    for number in range(8):
        context.save(f"other {number}", torch.rand(1, 64, 64, 3))
    assert float(building.end().image.mean()) == 0.25
    assert held(context) == set()


def test_inputs_and_results_appear_together(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    context.save("image", "there before")
    image = torch.rand(1, 64, 64, 3)
    plan = compiled(engine, TWO_STEPS)
    run = halted(lambda: plan.run(context, inputs={"image": image, "for later": [1, 2]}, engine=engine))
    assert context.list_keys() == ["image"]
    assert context.load("image") == "there before"
    results = run.end()
    assert set(context.list_keys()) == {"image", "for later", "negative", "halted"}
    assert torch.equal(context.load("image"), image)
    assert torch.equal(context.load("negative"), results["negative"])
    assert context.load("for later") == [1, 2]


def test_of_runs_side_by_side_the_last_commit_wins(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    first = halted(lambda: compiled(engine, HALTER).run(context, inputs={"x": 1}, engine=engine))
    Halt.go_on.set()
    Halt.reached.clear()
    assert first.end() == {"halted": 1}
    Halt.go_on.clear()
    slow = halted(lambda: compiled(engine, HALTER).run(context, inputs={"x": 2}, engine=engine))
    other = make_engine()
    assert compiled(other, ADDER).run(context, inputs={"x": 3}, engine=other) == {"sum": 13}
    assert (context.load("x"), context.load("halted"), context.load("sum")) == (3, 1, 13)
    assert slow.end() == {"halted": 2}
    assert (context.load("x"), context.load("halted"), context.load("sum")) == (2, 2, 13)


@pytest.mark.parametrize("inputs", [{"x": -1}, {"x": 1001}, {}, {"x": -1, "image": torch.rand(1, 64, 64, 3)}])
def test_C5_a_failed_run_leaves_neither_inputs_nor_results(
    context: WorkflowContext, engine: EmbeddedEngine, inputs: dict[str, Any]
) -> None:
    usage = context.get_usage()["ram_usage_bytes"]
    with pytest.raises((NodeFailed, BindError)):
        compiled(engine, ADDER, HALTER).run(context, inputs={**inputs, "more": torch.rand(99)}, engine=engine)
    assert context.list_keys() == []
    assert held(context) == set()
    assert context.get_usage()["ram_usage_bytes"] == usage


def test_a_value_that_cannot_be_saved_leaves_none_of_the_inputs(
    context: WorkflowContext, engine: EmbeddedEngine
) -> None:
    with pytest.raises(TypeError, match="a brush is never pickled"):
        compiled(engine, ADDER).run(
            context, inputs={"x": 1, "big": torch.rand(5000), "brush": programs.Brush("b")}, engine=engine
        )
    assert context.list_keys() == []
    assert held(context) == set()


def test_a_cancelled_run_leaves_nothing(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = compiled(engine, TWO_STEPS)

    async def cancelled() -> None:
        running = asyncio.ensure_future(plan.arun(context, inputs={"image": torch.rand(1, 64, 64, 3)}, engine=engine))
        await asyncio.to_thread(Halt.reached.wait, 60)
        running.cancel()
        await asyncio.sleep(0)  # the cancelled task hands its cancellation to the engine's thread
        await run_awaiting(asyncio.sleep(0))  # which has taken it once it has taken this
        Halt.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    assert context.list_keys() == []
    assert held(context) == set()


def test_a_large_input_is_stored_once_and_goes_with_the_run(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    image = torch.rand(1, 200, 200, 3)
    context.save("image", image)
    usage = context.get_usage()["ram_usage_bytes"]
    run = halted(lambda: compiled(engine, HALTING_INVERTER).run(context, inputs={"image": image * 1}, engine=engine))
    assert context.get_usage()["ram_usage_bytes"] == usage  # equal content, one copy
    run.end()
    Halt.reached.clear()
    Halt.go_on.clear()
    usage = context.get_usage()["ram_usage_bytes"]
    other = torch.rand(1, 200, 200, 3)
    run = halted(
        lambda: compiled(engine, HALTING_INVERTER).run(
            context, inputs={"image": other}, effects="skip", iterations=3, engine=engine
        )
    )
    once = context.get_usage()["ram_usage_bytes"]
    assert usage < once < usage + 2 * other.nbytes
    run.end()
    context.delete("image")
    context.delete("negative")
    assert held(context) == set()


def test_iterations_read_what_the_one_before_wrote_whatever_others_write(
    context: WorkflowContext, engine: EmbeddedEngine
) -> None:
    plan = compiled(engine, HALTING_COUNTER)
    run = halted(lambda: plan.run(context, inputs={"count": 0}, iterations=5, engine=engine))
    context.save("count", 500)
    Halt.go_on.set()
    assert run.end() == {"count": 5}
    assert context.load("count") == 5
    assert held(context) == set()


def test_a_failed_iteration_leaves_the_values_of_the_one_before(
    context: WorkflowContext, engine: EmbeddedEngine
) -> None:
    """As where the plan had been run as often by hand."""
    Halt.go_on.set()
    down = workflow(
        n1=reads("count"),
        n2=reads("image"),
        n3=("Halt", {"value": ["1", 0]}),
        n4=("Add", {"a": ["3", 0], "b": -1}),
        n5=writes("count", ["4", 0]),
        n6=("Pair", {"image": ["2", 0], "number": ["3", 0]}),
        n7=writes("same", ["6", 0]),
    )
    with pytest.raises(NodeFailed):
        compiled(engine, down).run(
            context, inputs={"count": 2, "image": torch.rand(1, 64, 64, 3)}, iterations=9, engine=engine
        )
    assert context.load("count") == -1
    assert set(context.list_keys()) == {"count", "image", "same"}
    assert held(context) == set()


def test_what_one_iteration_gave_and_the_next_replaced_goes(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    turning = workflow(n1=reads("image"), n2=("Invert", {"image": ["1", 0]}), n3=writes("image", ["2", 0]))
    plan = compiled(engine, turning)
    start = torch.rand(1, 100, 100, 3)
    before = len(context.store.read().blobs)
    plan.run(context, inputs={"image": start}, iterations=6, effects="skip", engine=engine)
    for key in context.memos.list_keys():
        context.memos.delete(key)
    assert len(context.store.read().blobs) == before + 1
    assert held(context) == set()


def test_a_sweep_is_bound_to_the_moment_it_began(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    both = workflow(
        n1=reads("x"),
        n2=reads("y"),
        n3=("Halt", {"value": ["2", 0]}),
        n4=("Add", {"a": ["1", 0], "b": ["3", 0]}),
        n5=writes("sum", ["4", 0]),
    )
    context.save("y", 100)
    sweep = halted(lambda: compiled(engine, both).sweep(context, {"x": range(4)}, engine=engine))
    context.save("y", 500)
    context.save("x", 500)
    assert [point.results["sum"] for point in sweep.end()] == [100, 101, 102, 103]
    assert (context.load("x"), context.load("y"), context.load("sum")) == (3, 500, 103)
    assert held(context) == set()


def test_points_of_a_sweep_do_not_see_each_other(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    counter = workflow(
        n1=reads("count"), n2=reads("by"), n3=("Add", {"a": ["1", 0], "b": ["2", 0]}), n4=writes("count", ["3", 0])
    )
    context.save("count", 10)
    points = compiled(engine, counter).sweep(context, {"by": [1, 2, 3]}, engine=engine)
    assert [point.results["count"] for point in points] == [11, 12, 13]
    assert context.load("count") == 13


def test_a_point_that_fails_leaves_nothing_and_those_before_it_stay(
    context: WorkflowContext, engine: EmbeddedEngine
) -> None:
    Halt.go_on.set()
    with pytest.raises(SweepError) as caught:
        compiled(engine, HALTER).sweep(context, {"x": [1, 2, -3, 4]}, engine=engine)
    assert [point.results["halted"] for point in caught.value.done] == [1, 2]
    assert (context.load("x"), context.load("halted")) == (2, 2)
    assert held(context) == set()


def test_sweeps_and_runs_side_by_side_give_their_own_results(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = compiled(engine, ADDER, PAINTER)

    def sweeps(start: int) -> bool:
        points = plan.sweep(context, {"x": range(start, start + 6), "level": [0.25, 0.5]}, engine=engine)
        return all(
            point.results["sum"] == point.parameters["x"] + 10
            and point.results["image"].unique().tolist() == [point.parameters["level"]]
            for point in points
        )

    def runs(start: int) -> bool:
        given = range(start, start + 12)
        return all(plan.run(context, inputs={"x": x, "level": 0.75}, engine=engine)["sum"] == x + 10 for x in given)

    with ThreadPoolExecutor(8) as pool:
        swept = [pool.submit(sweeps, 100 * number) for number in range(4)]
        ran = [pool.submit(runs, 100 * number + 50) for number in range(4)]
        assert all(future.result(120) for future in (*swept, *ran))
    assert held(context) == set()


def test_a_run_inside_a_transaction_is_part_of_it(context: WorkflowContext, engine: EmbeddedEngine) -> None:
    plan = compiled(engine, ADDER, PAINTER)

    def broken_off() -> None:
        with context.transaction():
            assert plan.run(context, inputs={"x": 1, "level": 0.5}, engine=engine)["sum"] == 11
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert context.list_keys() == []
    with context.transaction():
        context.save("x", 4)
        assert plan.run(context, inputs={"level": 0.5}, engine=engine)["sum"] == 14
        assert context.load("sum") == 14
        assert plan.run(context, inputs={"level": 0.75}, engine=engine)["sum"] == 14
    assert (context.load("x"), context.load("sum")) == (4, 14)
    assert float(context.load("image").mean()) == 0.75
    assert held(context) == set()
