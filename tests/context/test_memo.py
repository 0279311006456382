"""The memo keeps what was used last, within its bound; what a name, a hold or a put needs is never forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from tests.context.conftest import Launch

MIB = 1 << 20


def tensor(fill: int, megabytes: float = 1) -> torch.Tensor:
    return torch.full((int(megabytes * MIB) // 4,), fill, dtype=torch.int32)


def remember(context: WorkflowContext, fill: int, megabytes: float = 1) -> str:
    """Store a value that only the memo keeps, under the key of its fill."""
    digest = context.values.put(tensor(fill, megabytes))
    context.memos.put(f"k{fill}", {"value": digest})
    context.values.release(digest)
    return digest


@pytest.fixture
def ten(config: Path) -> Any:
    """A context that may remember 10 MiB."""
    with WorkflowContext(config, max_memo_gb=10 / 1024) as context:
        yield context


def test_the_memo_stays_within_its_bound(ten: WorkflowContext) -> None:
    digests = [remember(ten, fill) for fill in range(40)]
    usage = ten.get_usage()
    assert 8 * MIB < usage["memo_usage_bytes"] <= usage["memo_capacity_bytes"] == 10 * MIB
    assert usage["memo_usage_gb"] == usage["memo_usage_bytes"] / (1 << 30)
    kept = ten.memos.list_keys()
    assert kept == [f"k{fill}" for fill in range(40 - len(kept), 40)]
    assert len(kept) == usage["memo_keys_count"] >= 8
    assert [ten.values.has(digest) for digest in digests] == [f"k{fill}" in kept for fill in range(40)]
    assert ten.memos.get("k0") is None
    assert usage["ram_usage_bytes"] < 11 * MIB


def test_small_results_count_with_all_that_they_take(config: Path) -> None:
    with WorkflowContext(config, max_memo_gb=1 / 1024) as context:
        for number in range(2000):
            digest = context.values.put(number)
            context.memos.put(f"key {number}", {"value": digest})
            context.values.release(digest)
        assert 300 < len(context.memos.list_keys()) < 700
        assert len(context.store.read().blobs) == len(context.memos.list_keys())
        journals = [path.stat().st_size for path in Path(context.handle()["ram"]).glob("journal-*")]
        assert sum(journals) < 20 * MIB


def test_what_was_used_last_is_kept(ten: WorkflowContext) -> None:
    other = WorkflowContext.attach(ten.handle())
    for fill in range(9):
        remember(ten, fill)
    assert ten.memos.get("k0") is not None
    assert other.memos.get("k1") is not None  # whichever process uses it
    assert ten.memos.list_keys() == [*(f"k{fill}" for fill in range(2, 9)), "k0", "k1"]
    for fill in range(9, 16):
        remember(other, fill)
        other.memos.get("k1")
    assert "k1" in ten.memos.list_keys()
    assert ten.memos.get("k2") is None
    other.shutdown()


def test_what_a_name_or_a_live_reference_needs_is_never_forgotten(ten: WorkflowContext) -> None:
    digests = [remember(ten, fill) for fill in range(4)]
    ten.names.save_digest("named", digests[0])
    assert ten.values.hold(digests[1])
    put = ten.values.put(tensor(2))
    ten.save("model", {"captured": digests[3]}, pass_by="ref")
    for fill in range(10, 40):
        remember(ten, fill)
    assert torch.equal(ten.load("named"), tensor(0))
    for digest, fill in ((digests[1], 1), (put, 2), (ten.recipe("model")["captured"], 3)):
        assert torch.equal(ten.values.get(digest), tensor(fill))
    assert [ten.memos.get(f"k{fill}") for fill in range(4)] == [{"value": digest} for digest in digests]
    ten.delete("named")
    ten.delete("model")
    ten.values.release(digests[1])
    ten.values.release(put)
    for fill in range(40, 60):
        remember(ten, fill)
    assert not any(map(ten.values.has, digests))
    assert ten.get_usage()["memo_usage_bytes"] <= 10 * MIB


def test_a_value_that_loses_its_name_counts_from_then_on(ten: WorkflowContext) -> None:
    """As in a loop: each result has a name until the next one takes it, and the memo keeps it afterwards."""
    for fill in range(40):
        digest = ten.values.put(tensor(fill))
        with ten.transaction():
            ten.memos.put(f"k{fill}", {"value": digest})
            ten.names.save_digest("out", digest)
        usage = ten.get_usage()
        assert usage["memo_usage_bytes"] <= 10 * MIB
        assert usage["ram_usage_bytes"] < 12 * MIB
    assert torch.equal(ten.load("out"), tensor(39))
    ten.save("out", 1)  # a small value, which is saved the short way
    assert ten.get_usage()["memo_usage_bytes"] <= 10 * MIB


def test_memos_of_one_value_free_it_with_the_last_of_them(config: Path) -> None:
    with WorkflowContext(config, max_memo_gb=2.5 / 1024) as context:
        digest = remember(context, 1)
        for number in range(5):
            context.memos.put(f"also {number}", {"value": digest, "number": number})
        remember(context, 2)
        assert context.values.has(digest)
        assert len(context.memos.list_keys()) == 7
        remember(context, 3)
        assert not context.values.has(digest)
        assert context.memos.list_keys() == ["k2", "k3"]


def test_many_memos_of_a_value_that_has_a_name_are_bounded_too(config: Path) -> None:
    with WorkflowContext(config, max_memo_gb=0.1 / 1024) as context:
        context.names.save_digest("named", remember(context, 1, 0.01))
        for number in range(1000):
            context.memos.put(f"{number}", {"value": context.digest("named")})
        assert 0 < len(context.memos.list_keys()) < 200
        assert context.memos.list_keys()[-1] == "999"
        assert context.get_usage()["memo_usage_bytes"] <= 0.1 * MIB
        assert torch.equal(context.load("named"), tensor(1, 0.01))


@pytest.mark.parametrize("gigabytes", [0, 0.5 / 1024])
def test_a_result_beyond_the_bound_is_not_remembered(config: Path, gigabytes: float) -> None:
    with WorkflowContext(config, max_memo_gb=gigabytes) as context:
        digest = context.values.put(tensor(1))
        context.memos.put("key", {"value": digest})
        context.names.save_digest("named", digest)
        context.delete("named")
        assert context.memos.list_keys() == []
        assert not context.values.has(digest)


def test_a_memo_whose_value_went_before_the_commit_is_not_remembered(ten: WorkflowContext) -> None:
    other = WorkflowContext.attach(ten.handle())
    digest = remember(ten, 1)
    with ten.transaction():
        ten.memos.put("again", {"value": digest})
        ten.save("saved", 1)
        for fill in range(2, 30):
            remember(other, fill)
    assert ten.load("saved") == 1
    assert ten.memos.get("again") is None
    other.shutdown()


ATTACHED = """
import json, sys, torch
from discomfort.context.context import WorkflowContext
context = WorkflowContext.attach(json.loads(sys.argv[1]))
for number in range(60):
    digest = context.values.put(torch.full((65536,), number, dtype=torch.int32))
    context.memos.put(f"{sys.argv[2]} {number}", {"value": digest})
    context.values.release(digest)
context.shutdown()
"""


def test_the_bound_is_that_of_all_processes_together(config: Path, launch: Launch) -> None:
    with WorkflowContext(config, max_ram_gb=2 / 1024, max_memo_gb=4 / 1024) as context:
        processes = [launch(ATTACHED, json.dumps(context.handle()), name) for name in ("one", "two")]
        assert [process.wait(60) for process in processes] == [0, 0]
        usage = context.get_usage()
        assert 3 * MIB < usage["memo_usage_bytes"] <= 4 * MIB
        assert usage["ram_usage_bytes"] + usage["temp_disk_usage_bytes"] <= 4.1 * MIB
        assert usage["held_values_count"] == 0
        assert context.verify() == []


operations = st.lists(
    st.tuples(
        st.sampled_from(["remember", "remember", "use", "name", "unname", "hold", "release"]), st.integers(0, 11)
    ),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(operations)
def test_the_least_recently_used_go_first(config: Path, steps: list[tuple[str, int]]) -> None:
    """Against a list in the order of use: a memo that goes was used before all that stay and could have gone."""
    with WorkflowContext(config, max_memo_gb=5 * 45_000 / (1 << 30)) as context:
        reader = WorkflowContext.attach(context.handle())
        order: list[int] = []
        digests: dict[int, str] = {}
        held: list[int] = []
        for action, fill in steps:
            key = f"k{fill}"
            if action == "remember":
                digests[fill] = remember(context, fill, 40_000 / MIB)
                order = [*(other for other in order if other != fill), fill]
            elif action == "use" and reader.memos.get(key) is not None:
                order = [*(other for other in order if other != fill), fill]
            elif action == "name" and fill in digests and context.values.has(digests[fill]):
                context.names.save_digest(str(fill), digests[fill])
            elif action == "unname" and str(fill) in context:
                context.delete(str(fill))
            elif action == "hold" and fill in digests and context.values.hold(digests[fill]):
                held.append(fill)
            elif action == "release" and fill in held:
                held.remove(fill)
                context.values.release(digests[fill])
            kept = [int(key[1:]) for key in reader.memos.list_keys()]
            assert kept == [other for other in order if other in kept]
            needed = {int(name) for name in context.list_keys()} | set(held)
            assert all(context.values.has(digests[other]) for other in {*needed, *kept})
            assert context.get_usage()["memo_usage_bytes"] <= 5 * 45_000
            gone = [order.index(other) for other in order if other not in kept]
            could_go = [order.index(other) for other in kept if other not in needed]
            assert not gone or not could_go or max(gone) < min(could_go)
            order = kept
        reader.shutdown()
