"""What other processes do between two steps of ours, at every step: nothing lost, nothing torn (C2, C5)."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from discomfort.context.tiers import blobs, ram_segments, reader, spilling
from tests.context.conftest import local_store

BUDGET = 100_000 / (1 << 30)
NAMES = "abcd"
FILLS = 5


def tensor(fill: int) -> torch.Tensor:
    """All have the same size, so that each fits into any segment: four into the budget, one of them kept when free."""
    return torch.full((6000,), fill, dtype=torch.int32)


def interrupt(monkeypatch: pytest.MonkeyPatch, ours: WorkflowContext, meanwhile: Callable[[str], None]) -> None:
    """Call `meanwhile` before and after each step of `ours` with which another process could interfere."""
    store = local_store(ours)
    busy = False

    def between(point: str) -> None:
        nonlocal busy
        if not busy and not store.index.held:  # whoever holds the index is waited for
            busy = True
            try:
                meanwhile(point)
            finally:
                busy = False

    def wrap(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def stepped(*arguments: Any, **more: Any) -> Any:
            between(f"before {name}")
            try:
                return original(*arguments, **more)
            finally:
                between(f"after {name}")

        monkeypatch.setattr(owner, name, stepped)

    for owner, name in (
        (spilling, "copy_file"),
        (spilling, "reserve"),
        (blobs, "fill"),
        (blobs, "reserve"),
        (ram_segments, "try_lock_shared"),
        (reader, "map_private"),
        (store.segments, "open_for_reading"),
        (store.segments, "release"),
        (store.index, "writing"),
        (store.index, "read"),
    ):
        wrap(owner, name)


def test_C5_a_segment_that_got_another_value_and_the_first_one_back(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value chosen to be spilled is moved, its segment used for another, and given back to it meanwhile."""
    with WorkflowContext(config, max_ram_gb=BUDGET) as ours:
        other = WorkflowContext.attach(ours.handle())
        other.save("warm", tensor(0))  # a mapped segment: writing to it changes none of the times of its file
        other.delete("warm")
        ours.save("a", tensor(1))
        chosen = local_store(ours).read().blobs[ours.digest("a")]
        happened: list[str] = []

        def meanwhile(point: str) -> None:
            if point == "before open_for_reading" and not happened:
                happened.append(point)
                local_store(other).blobs.spilling.spill([chosen])
                other.save("b", tensor(2))
            elif point == "before writing" and len(happened) == 1:
                happened.append(point)
                other.delete("b")
                assert torch.equal(other.load("a"), tensor(1))

        interrupt(monkeypatch, ours, meanwhile)
        local_store(ours).blobs.spilling.spill([chosen])
        monkeypatch.undo()
        assert happened
        assert torch.equal(ours.load("a"), tensor(1))
        assert torch.equal(other.load("a"), tensor(1))
        assert ours.verify() == other.verify() == []
        other.shutdown()


class Play:
    """Random saves, loads and deletions of two contexts of one run, checked against a dict."""

    def __init__(self, seed: int, ours: WorkflowContext, other: WorkflowContext) -> None:
        self.random = random.Random(seed)
        self.ours, self.other = ours, other
        self.model: dict[str, int] = {}
        self.changing = ""

    def meanwhile(self, point: str) -> None:
        often = point in ("before open_for_reading", "before writing")
        while self.random.random() < (0.6 if often else 0.1):
            self.step(self.other, NAMES[2:], NAMES.replace(self.changing, ""))

    def our_step(self) -> None:
        self.changing = self.random.choice(NAMES[:2])
        self.step(self.ours, self.changing, self.changing)

    def step(self, context: WorkflowContext, own: str, steady: str) -> None:
        """Save or delete a name of its own, load one that no thread changes meanwhile, or move any value to disk."""
        name, action = self.random.choice(own), self.random.random()
        if action < 0.35:
            self.model[name] = self.random.randrange(FILLS)
            context.save(name, tensor(self.model[name]), use_ram=self.random.random() < 0.9)
        elif action < 0.55:
            if self.model.pop(name, None) is not None:
                context.delete(name)
        elif action < 0.8:
            name = self.random.choice(steady)
            if name in self.model:
                assert torch.equal(context.load(name), tensor(self.model[name]))
        else:
            store = local_store(context)
            in_ram = [blob for blob in store.read().blobs.values() if blob.place == "ram"]
            store.blobs.spilling.spill(self.random.sample(in_ram, min(len(in_ram), 1)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_C5_other_processes_may_do_anything_between_two_steps(config: Path, seed: int) -> None:
    with WorkflowContext(config, max_ram_gb=BUDGET) as ours, pytest.MonkeyPatch.context() as monkeypatch:
        other = WorkflowContext.attach(ours.handle())
        play = Play(seed, ours, other)
        interrupt(monkeypatch, ours, play.meanwhile)
        for _ in range(30):
            play.our_step()
        monkeypatch.undo()
        for context in (ours, other):
            assert sorted(context.list_keys()) == sorted(play.model)
            assert all(torch.equal(context.load(name), tensor(fill)) for name, fill in play.model.items())
            assert context.verify() == []
        other.shutdown()
