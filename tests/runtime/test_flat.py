"""Law R11 on the embedded engine: a thousand runs hold no more than ten, without the garbage collector's help.

The same runs on servers: `comfyui/test_flat.py`.
"""

from __future__ import annotations

import asyncio
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.errors import DiscomfortError
from discomfort.runtime.engine_thread import engine_loop
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from tests.footprint import assert_flat, footprint, in_a_thread, no_collector, values_in_cycles

from . import programs
from .programs import reads, workflow, writes

RUNS = 100
WARM = 40

INVERTER = workflow(n1=reads("image"), n2=("Invert", {"image": ["1", 0]}), n3=writes("negative", ["2", 0]))
TURNER = workflow(n1=reads("image"), n2=("Invert", {"image": ["1", 0]}), n3=writes("image", ["2", 0]))
FAILER = workflow(
    n1=reads("image"), n2=("Invert", {"image": ["1", 0]}), n3=("Fail", {"image": ["2", 0]}), n4=writes("out", ["3", 0])
)
ASYNCHRONOUS = workflow(
    n1=reads("image"),
    n2=reads("how"),
    n3=("Later", {"image": ["1", 0], "how": ["2", 0]}),
    n4=writes("out", ["3", 0]),
)
EXPANDER = workflow(n1=reads("image"), n2=("Expand", {"image": ["1", 0]}), n3=writes("out", ["2", 0]))
LISTER = workflow(
    n1=reads("image"), n2=("Split", {"image": ["1", 0]}), n3=("Invert", {"image": ["2", 0]}), n4=writes("out", ["3", 0])
)
CUTTER = workflow(
    n1=reads("image"), n2=("Cut", {"image": ["1", 0]}), n3=("Invert", {"image": ["2", 0]}), n4=writes("part", ["3", 0])
)
KEEPER = workflow(n1=reads("image"), n2=("Frame", {"image": ["1", 0]}), n3=writes("frame", ["2", 0]))
LOOKER = workflow(n1=reads("frame"), n2=("Look", {"frame": ["1", 0]}), n3=writes("out", ["2", 0]))
THING = workflow(n1=reads("image"), n2=("Wrap", {"image": ["1", 0]}), n3=writes("thing", ["2", 0]))
SHOWER = workflow(n1=reads("image"), n2=("Show", {"image": ["1", 0]}))


class Node:
    """The base of the classes below: an image in, an image out."""

    RETURN_TYPES: tuple[str, ...] = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",)}}


class Fail(Node):
    def run(self, image: torch.Tensor) -> None:
        held = image * 2
        raise ValueError(f"it always fails, with {held.shape}")


class Later(Node):
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "how": ("STRING", {"default": ""})}}

    @classmethod
    async def VALIDATE_INPUTS(cls, how: Any) -> bool:
        await asyncio.sleep(0)
        return True

    async def run(self, image: torch.Tensor, how: str) -> tuple[torch.Tensor]:
        await asyncio.sleep(0 if how != "wait" else 60)
        if how == "fail":
            raise ValueError("it was asked to fail")
        return (image + 1,)


class Expand(Node):
    def run(self, image: torch.Tensor) -> dict[str, Any]:
        half = image / 2
        graph = {"inner": {"class_type": "Invert", "inputs": {"image": half}}}
        return {"result": (["inner", 0],), "expand": graph}


class Split(Node):
    OUTPUT_IS_LIST = (True,)

    def run(self, image: torch.Tensor) -> tuple[list[torch.Tensor]]:
        return ([image, image / 2],)


class Cut(Node):
    def run(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        return (image[:, :8, :8],)


class Frame(Node):
    RETURN_TYPES = ("MODEL",)

    def run(self, image: torch.Tensor) -> tuple[Any]:
        made = programs.Brush("frame")
        made.image = image  # type: ignore[attr-defined]
        return (made,)


class Look(Node):
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"frame": ("MODEL",)}}

    def run(self, frame: Any) -> tuple[torch.Tensor]:
        return (frame.image + 1,)


class Parcel:
    """Something that only pickle can hold."""

    def __init__(self, image: torch.Tensor) -> None:
        self.image = image


class Wrap(Node):
    RETURN_TYPES = ("*",)

    def run(self, image: torch.Tensor) -> tuple[Parcel]:
        return (Parcel(image * 2),)


class Show(Node):
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    def run(self, image: torch.Tensor) -> dict[str, Any]:
        return {"ui": {"text": [str(tuple(image.shape))]}}


CLASSES = {cls.__name__: cls for cls in (Fail, Later, Expand, Split, Cut, Frame, Look, Wrap, Show)}

Scenario: TypeAlias = Callable[["Bench"], Callable[[int], object]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(make: Scenario) -> Scenario:
    """Register what happens in one run, made once for all runs."""
    SCENARIOS[make.__name__] = make
    return make


class Bench:
    """An engine and a context for runs that are counted."""

    def __init__(self, engine: EmbeddedEngine, context: WorkflowContext) -> None:
        self.engine = engine
        self.context = context

    def compile(self, *workflows: dict[str, Any]) -> discomfort.Plan:
        return discomfort.compile(workflows, catalog=asyncio.run(self.engine.catalog()))

    def run(self, plan: discomfort.Plan, number: int, **options: Any) -> dict[str, Any]:
        image = picture(number)
        return plan.run(self.context, inputs={"image": image, **options.pop("more", {})}, engine=self.engine, **options)


def picture(number: int) -> torch.Tensor:
    """Return a picture of 192 KiB, another one for each number."""
    return torch.full((1, 128, 128, 3), number / 10_000)


@scenario
def results_by_value(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER)
    return lambda number: bench.run(plan, number)["negative"].sum()


@scenario
def results_on_disk(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER)
    return lambda number: bench.run(plan, number, use_ram=False)


@scenario
def iterations(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(TURNER, INVERTER)
    return lambda number: bench.run(plan, number, iterations=2)


@scenario
def sweeps(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER)
    return lambda number: plan.sweep(
        bench.context, {"image": [picture(number), picture(number + 5000)]}, engine=bench.engine
    )


@scenario
def effects_and_progress(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER, SHOWER)
    return lambda number: bench.run(plan, number, on_progress=lambda update: None)


@scenario
def lists(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(LISTER)
    return lambda number: bench.run(plan, number)


@scenario
def expansions(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(EXPANDER)
    return lambda number: bench.run(plan, number)


@scenario
def results_that_view_what_was_loaded(bench: Bench) -> Callable[[int], object]:
    bench.engine = programs.engine()  # whose result cache has room for all of them
    bench.engine.register(CLASSES)
    plan = bench.compile(CUTTER)
    return lambda number: bench.run(plan, number)["part"]


@scenario
def values_that_only_pickle_holds(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(THING)
    return lambda number: bench.run(plan, number)["thing"].image


@scenario
def references_that_are_used_and_loaded(bench: Bench) -> Callable[[int], object]:
    keep, look = bench.compile(KEEPER), bench.compile(LOOKER)

    def once(number: int) -> object:
        bench.run(keep, number)
        look.run(bench.context, engine=bench.engine)
        return bench.context.load("frame").image

    return once


@scenario
def asynchronous_nodes(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(ASYNCHRONOUS)
    return lambda number: bench.run(plan, number, more={"how": "return"})


@scenario
def asynchronous_nodes_that_fail(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(ASYNCHRONOUS)
    return lambda number: failing(lambda: bench.run(plan, number, more={"how": "fail"}))


@scenario
def nodes_that_fail(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(FAILER)
    return lambda number: failing(lambda: bench.run(plan, number))


@scenario
def values_that_do_not_fit(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER)
    wrong = {"image": None}
    return lambda number: failing(
        lambda: plan.run(bench.context, inputs={**wrong, "image": picture(number)[0]}, engine=bench.engine)
    )


@scenario
def sweeps_that_fail(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER, FAILER)
    return lambda number: failing(
        lambda: plan.sweep(bench.context, {"image": [picture(number), picture(number + 5000)]}, engine=bench.engine)
    )


@scenario
def runs_that_are_cancelled(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER, ASYNCHRONOUS)

    async def cancelled(number: int) -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()
        inputs = {"image": picture(number), "how": "wait"}

        def watch(update: object) -> None:
            loop.call_soon_threadsafe(started.set)

        running = asyncio.ensure_future(plan.arun(bench.context, inputs=inputs, engine=bench.engine, on_progress=watch))
        await started.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    return lambda number: asyncio.run(cancelled(number))


@scenario
def runs_gathered(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER)

    async def gathered(number: int) -> None:
        runs = (
            plan.arun(bench.context, inputs={"image": picture(number + 5000 * part)}, engine=bench.engine)
            for part in range(2)
        )
        await asyncio.gather(*runs)

    return lambda number: asyncio.run(gathered(number))


@scenario
def runs_of_threads(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER)
    return lambda number: in_a_thread(lambda: bench.run(plan, number))


@scenario
def sessions_with_contexts_of_their_own(bench: Bench) -> Callable[[int], object]:
    async def once(number: int) -> None:
        session = await discomfort.Discomfort.create(engine=bench.engine)
        await session.run([INVERTER], inputs={"image": picture(number)})

    return lambda number: asyncio.run(once(number))


@scenario
def engines_of_their_own(bench: Bench) -> Callable[[int], object]:
    plan = bench.compile(INVERTER)

    def once(number: int) -> None:
        engine = programs.engine()
        plan.run(bench.context, inputs={"image": picture(number)}, engine=engine)

    return once


def failing(work: Callable[[], object]) -> None:
    with pytest.raises(DiscomfortError):
        work()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where files of these runs can be: what is temporary, and what belongs to the context."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return [temporary]


@pytest.fixture
def bench(places: list[Path]) -> Iterator[Bench]:
    engine = EmbeddedEngine(max_cache_gb=0.004)
    engine.register({**programs.CLASSES, **CLASSES})
    with WorkflowContext(max_ram_gb=0.02) as context:
        places += [Path(context.handle()["ram"]), Path(context.handle()["disk"])]
        yield Bench(engine, context)
    asyncio.run(engine.close())


@pytest.mark.parametrize("name", SCENARIOS)
def test_R11_runs_leave_nothing(bench: Bench, places: list[Path], name: str) -> None:
    once = SCENARIOS[name](bench)
    with no_collector():
        for number in range(WARM):
            once(number)
            forget(bench)
        before = footprint(places)
        for number in range(WARM, WARM + RUNS):
            once(number)
            forget(bench)
        after = footprint(places)
    assert_flat(before, after, RUNS)
    assert bench.context.get_usage()["held_values_count"] == 0


@pytest.mark.parametrize("name", SCENARIOS)
def test_R11_no_cycle_holds_a_value(bench: Bench, name: str) -> None:
    once = SCENARIOS[name](bench)
    for number in range(3):
        once(number)

    def work() -> None:
        for number in range(3, 8):
            once(number)

    assert values_in_cycles(work) == []


def forget(bench: Bench) -> None:
    """Forget what is remembered, which has a bound of its own."""
    for key in bench.context.memos.list_keys():
        bench.context.memos.delete(key)


def test_R11_what_a_node_leaves_behind_holds_no_values(bench: Bench) -> None:
    """A timer keeps the context of the node that made it, and cancelled ones stay in asyncio's queue for a while."""
    timers: list[asyncio.TimerHandle] = []
    values: list[weakref.ref[torch.Tensor]] = []

    class Lingers(Node):
        async def run(self, image: torch.Tensor) -> tuple[torch.Tensor]:
            result = image * 2
            values.append(weakref.ref(result))
            timers.append(asyncio.get_running_loop().call_later(600, int))
            return (result,)

    bench.engine.register({"Lingers": Lingers})
    plan = bench.compile(workflow(n1=reads("image"), n2=("Lingers", {"image": ["1", 0]}), n3=writes("out", ["2", 0])))
    with no_collector():
        for number in range(3):
            bench.run(plan, number)
        asyncio.run(bench.engine.close())  # with what it remembers
        assert [value() is None for value in values] == [True] * 3
    for timer in timers:
        engine_loop().call_soon_threadsafe(timer.cancel)
