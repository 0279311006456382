"""The law of drift: after anything changed, running again gives what running from nothing gives.

Random programs of nodes whose results depend on more than their inputs, and random changes between their runs: of files
that keep their size and time of writing, of what a class answers when it is asked, of its code, of the clock, and of
state that no class speaks of. Engines are kept or replaced, so that neither an engine's cache nor what the
context remembers may hide the other's mistakes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from tests.property.partitioned import never_the_same
from tests.runtime.programs import reads, workflow, writes
from tests.runtime.test_drift import INT, TEXT, Bench

Program = dict[str, Any]
SOURCES: Mapping[str, tuple[str, ...]] = {
    "Sum": ("a", "b"),
    "File": (),
    "Service": ("a",),
    "Code": ("a",),
    "Clock": ("a",),
    "Hidden": ("a",),
    "Restless": ("a",),
}
CODES: tuple[Callable[[int], tuple[int]], ...] = (
    lambda a: ((a * 2 + 1) % 1009,),
    lambda a: ((a * 3 + 1) % 1009,),
    lambda a: ((a + 7) % 1009,),
)


class World:
    """What results depend on besides inputs: the content of files, and numbers that classes look at."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.numbers = {"Service": 0, "Clock": 0, "Hidden": 0, "Restless": 0}
        add, numbers = self.bench.add, self.numbers
        add("Sum", lambda a, b: ((a + 3 * b) % 1009,), {"a": INT, "b": INT}, returns=("INT",))
        add("File", lambda name: (int(Path(name).read_text()),), {"name": TEXT}, returns=("INT",), **says("file"))
        asked = {"IS_CHANGED": lambda a: str(numbers["Service"])}
        add("Service", lambda a: ((a + numbers["Service"]) % 1009,), {"a": INT}, returns=("INT",), **asked)
        drifting = {"IS_CHANGED": never_the_same, **says("volatile")}
        add("Clock", lambda a: ((a + numbers["Clock"]) % 1009,), {"a": INT}, returns=("INT",), **drifting)
        drifting = {"IS_CHANGED": never_the_same, **says(None)}
        add("Hidden", lambda a: ((a + numbers["Hidden"]) % 1009,), {"a": INT}, returns=("INT",), **drifting)
        restless = {"IS_CHANGED": never_the_same}  # it calls itself pure, and says otherwise when it is asked
        add("Restless", lambda a: ((a + numbers["Restless"]) % 1009,), {"a": INT}, returns=("INT",), **restless)
        self.change("Code", 0)
        for name in "xy":
            self.change(name, 0)

    def path(self, name: str) -> Path:
        return self.bench.folder / f"{name}.txt"

    def change(self, what: str, number: int) -> None:
        """Change one thing; "wait" lets time pass, "engine" makes another one."""
        if what == "Code":
            self.bench.add("Code", CODES[number % len(CODES)], {"a": INT}, returns=("INT",))
        elif what == "engine":
            self.bench.engine = self.bench.new_engine()
        elif what == "wait":
            self.bench.wait_for_the_clock()
        elif what in self.numbers:
            self.numbers[what] = number
        else:
            self.path(what).write_text(f"{number:04d}")
            os.utime(self.path(what), ns=(10**18 + 1, 10**18 + 1))

    def placed(self, program: Program) -> Program:
        """Return a program with the paths of this world's files."""
        return {
            key: {**node, "inputs": {**node["inputs"], "name": str(self.path(node["inputs"]["name"]))}}
            if node["class_type"] == "File"
            else node
            for key, node in program.items()
        }


def says(effect: str | None) -> dict[str, Any]:
    return {"DISCOMFORT_EFFECT": effect}


@contextmanager
def world() -> Iterator[tuple[World, WorkflowContext]]:
    with tempfile.TemporaryDirectory() as folder, WorkflowContext(max_ram_gb=0.05) as context:
        yield World(Path(folder)), context


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A program whose results come of every node, so that a mistake in any of them shows."""
    nodes: dict[str, Any] = {"n0": reads("p")}
    values: list[Any] = [["0", 0], 1, 2]
    unused: list[Any] = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        kind = draw(st.sampled_from(list(SOURCES)))
        inputs: dict[str, Any] = {name: draw(st.sampled_from(values)) for name in SOURCES[kind]}
        if kind == "File":
            inputs = {"name": draw(st.sampled_from("xy"))}
        nodes[f"n{number}"] = (kind, inputs)
        unused = [link for link in unused if link not in inputs.values()]
        values.append([str(number), 0])
        unused.append(values[-1])
    for number, link in enumerate(unused):
        nodes[f"o{number}"] = writes(f"result{number}", link)
    return workflow(**nodes)


changes = st.tuples(
    st.sampled_from(["x", "y", "Service", "Code", "Clock", "Hidden", "Restless", "engine", "wait", "p"]),
    st.integers(0, 3),
)


@given(programs(), st.lists(changes, min_size=1, max_size=4))
def test_law_running_again_is_running_from_nothing(program: Program, steps: list[tuple[str, int]]) -> None:
    with world() as (made, context):
        parameter = 1
        placed = made.placed(program)
        made.bench.run(context, placed, p=parameter)
        for what, number in steps:
            if what == "p":
                parameter = number
            else:
                made.change(what, number)
            again, fresh = made.bench.both(context, placed, p=parameter)
            assert again == fresh, f"after {what} became {number}"


@given(programs(), st.integers(0, 3))
def test_law_nothing_that_is_known_runs_again(program: Program, number: int) -> None:
    """The other side of the law, or remembering nothing would keep it: what did not drift is not run again."""
    with world() as (made, context):
        placed = made.placed(program)
        made.change("wait", 0)
        made.bench.run(context, placed, p=number)
        made.bench.ran()
        made.change("engine", 0)
        made.bench.run(context, placed, p=number)
        ran = made.bench.ran()
        links = {
            key: [value[0] for value in node["inputs"].values() if isinstance(value, list)]
            for key, node in placed.items()
        }
        drifting = {key for key, node in placed.items() if node["class_type"] in ("Clock", "Hidden", "Restless")}
        behind = set(drifting)
        for key in placed:  # producers first
            if behind.intersection(links[key]):
                behind.add(key)
        needed = set(behind)
        for key in reversed(placed):
            if key in needed:
                needed.update(links[key])
        assert {placed[key]["class_type"] for key in drifting} <= set(ran)
        assert set(ran) <= {placed[key]["class_type"] for key in needed}


def test_a_node_behind_a_volatile_one_is_never_remembered() -> None:
    program = workflow(
        n0=reads("p"), n1=("Clock", {"a": 0}), n2=("Sum", {"a": ["1", 0], "b": 0}), n3=writes("time", ["2", 0])
    )
    with world() as (made, context):
        seen = []
        for time in (101, 102, 103):
            made.change("Clock", time)
            seen.append(made.bench.run(context, program, p=0)["time"])
        assert seen == [101, 102, 103]
