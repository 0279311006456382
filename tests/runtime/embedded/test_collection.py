"""The garbage collector while nodes run: off for short nodes, on for those that may leave much behind."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest

from discomfort.runtime.engines.embedded.execution import gc_pause
from discomfort.runtime.engines.embedded.execution.gc_pause import BriefPause
from tests.runtime.embedded.lab import NUMBER, Lab, node_class


@pytest.fixture(autouse=True)
def collector_on() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def watched(lab: Lab, **classes: float) -> list[tuple[str, bool]]:
    """Register classes that sleep for so many seconds; return a list that grows with what each call sees."""
    seen: list[tuple[str, bool]] = []

    def make(name: str, seconds: float) -> type:
        def run(value: int) -> tuple[int]:
            seen.append((name, gc.isenabled()))
            time.sleep(seconds)
            return (value + 1,)

        return node_class(run, {"value": NUMBER}, returns=("INT",))

    lab.engine.register({name: make(name, seconds) for name, seconds in classes.items()})
    return seen


def chain(*classes: str) -> dict[str, dict[str, Any]]:
    """Return a prompt of a node of each class, one after the other."""
    prompt: dict[str, dict[str, Any]] = {
        str(index): {"class_type": name, "inputs": {"value": [str(index - 1), 0] if index else 0}}
        for index, name in enumerate(classes)
    }
    inputs = {"value": [str(len(classes) - 1), 0], "name": "end"}
    return {**prompt, "save": {"class_type": "DiscomfortContextSaver", "inputs": inputs}}


def test_the_collector_is_off_for_a_class_whose_last_node_was_short_and_on_for_any_other(lab: Lab) -> None:
    seen = watched(lab, Short=0.0, Long=gc_pause.BRIEF * 20)
    result = lab.run(chain("Short", "Short", "Long", "Long", "Short"), {"end": "save"})
    assert result.outputs["end"].value == 5
    assert [name for name, _ in seen] == ["Short", "Short", "Long", "Long", "Short"]
    assert [on for name, on in seen if name == "Long"] == [True, True]
    assert seen[0] == ("Short", True)
    assert gc.isenabled()


def test_a_failing_node_leaves_the_collector_on(lab: Lab) -> None:
    def run(value: int) -> tuple[int]:
        if value:
            raise ValueError("no")
        return (value + 1,)

    lab.engine.register({"Fails": node_class(run, {"value": NUMBER}, returns=("INT",))})
    with pytest.raises(Exception, match="no"):
        lab.run(chain("Fails", "Fails"), {"end": "save"})
    assert gc.isenabled()


def test_a_program_that_turned_the_collector_off_finds_it_off(lab: Lab) -> None:
    seen = watched(lab, Short=0.0)
    gc.disable()
    lab.run(chain("Short", "Short", "Short"), {"end": "save"})
    assert not gc.isenabled()
    assert [on for _, on in seen] == [False, False, False]


def test_short_then_long_of_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    states = []
    with BriefPause() as pause:
        for seconds in (0.0, 0.0, 5.0, 0.0, 0.0):
            pause.before("Either")
            states.append(gc.isenabled())
            clock[0] += seconds
    assert states == [True, False, False, True, False], "after a long one, the next is watched again"
    assert gc.isenabled()


def test_cycles_that_short_nodes_leave_are_collected_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_pause, "PATIENCE", 0.0)
    alive: set[int] = set()

    class Knot:
        def __init__(self, number: int) -> None:
            self.itself = self
            alive.add(number)
            self.number = number

        def __del__(self) -> None:
            alive.discard(self.number)

    with BriefPause() as pause:
        for number in range(20):
            pause.before("Knots")
            Knot(number)
        pause.before("Knots")
        assert alive <= {0}, "the first was made with the collector on, and may wait for it"
