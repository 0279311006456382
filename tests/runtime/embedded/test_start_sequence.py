"""Output nodes start in the order of the prompt (pass `order`: effects kept in sequence)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from discomfort.runtime.engines.embedded.execution.effect_queue import StartSequence
from discomfort.runtime.engines.embedded.for_node_authors.expansion import GraphBuilder
from tests.runtime.embedded.lab import ANYTHING, NUMBER, Lab, Prompt, prompt


def saving(lab: Lab) -> list[str]:
    """Register `Save`, an output node that also gives its value, and return the names it was called with."""
    saved: list[str] = []

    def save(value: Any, name: str) -> dict[str, Any]:
        saved.append(name)
        return {"result": (value,), "ui": {"saved": [name]}}

    lab.add("Save", save, {"value": ANYTHING, "name": ("STRING", {})}, returns=("*",), OUTPUT_NODE=True)
    return saved


def chain(length: int) -> Prompt:
    return prompt(
        **{f"n{index}": ("Add", {"a": [f"n{index - 1}", 0] if index else 1, "b": 1}) for index in range(length)}
    )


def test_a_deep_effect_comes_before_a_shallow_one_that_comes_behind_it(lab: Lab) -> None:
    saved = saving(lab)
    lab.run(
        {**chain(20), **prompt(s1=("Save", {"value": ["n19", 0], "name": "deep"}))}
        | prompt(
            s2=("Save", {"value": 1, "name": "shallow"}),
            s3=("Save", {"value": ["n3", 0], "name": "middle"}),
        )
    )
    assert saved == ["deep", "shallow", "middle"]


def test_an_effect_that_feeds_an_earlier_one_comes_first(lab: Lab) -> None:
    saved = saving(lab)
    lab.run(prompt(s1=("Save", {"value": ["s2", 0], "name": "one"}), s2=("Save", {"value": 1, "name": "two"})))
    assert saved == ["two", "one"]


def test_known_results_hold_nothing_up(lab: Lab) -> None:
    saved = saving(lab)
    nodes = prompt(s1=("Save", {"value": 1, "name": "one"}), s2=("Save", {"value": 2, "name": "two"}))
    lab.run(nodes)
    lab.run({**nodes, **prompt(s3=("Save", {"value": 3, "name": "three"}))})
    assert saved == ["one", "two", "three"]


def test_asynchronous_effects_still_run_together(lab: Lab) -> None:
    both = threading.Barrier(2)

    async def meet(value: int) -> dict[str, Any]:
        await asyncio.to_thread(both.wait, 10)
        return {"ui": {"shown": [value]}}

    lab.add("Meet", meet, {"value": NUMBER}, returns=(), OUTPUT_NODE=True)
    result = lab.run(prompt(a=("Meet", {"value": 1}), b=("Meet", {"value": 2})))
    assert result.ui == {"a": {"shown": [1]}, "b": {"shown": [2]}}


def test_an_expansion_that_links_to_a_later_effect_gets_it_out_of_turn(lab: Lab) -> None:
    saved = saving(lab)

    def reach(value: int) -> dict[str, Any]:
        graph = GraphBuilder()
        return graph.expand(graph.node("Add", a=["s2", 0], b=value).out(0))

    lab.add("Reach", reach, {"value": NUMBER})
    nodes = prompt(
        r=("Reach", {"value": 5}),
        s1=("Save", {"value": ["r", 0], "name": "one"}),
        s2=("Save", {"value": 2, "name": "two"}),
    )
    lab.run(nodes)
    assert saved == ["two", "one"]


@given(st.permutations(range(8)), st.integers(0, 8))
def test_nodes_start_in_sequence_in_whatever_order_they_get_ready(ready: list[int], sequenced: int) -> None:
    sequence = StartSequence(map(str, range(sequenced)))
    started: list[int] = []
    for number in ready:
        waiting: str | None = str(number)
        while waiting is not None and sequence.admits(waiting):
            started.append(int(waiting))
            waiting = sequence.follower()
    assert sorted(started) == list(range(8))
    assert [number for number in started if number < sequenced] == list(range(sequenced))
