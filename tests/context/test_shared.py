"""Several processes and threads on one context; transactions; the index and its journal."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import ContextClosedError, ContextError, CorruptValueError, UnknownKeyError
from discomfort.context.tiers.ram_segments import Segment, Segments
from tests.context.conftest import Launch, local_store

ATTACHED = """
import json, sys, torch
from discomfort.context.context import WorkflowContext
context = WorkflowContext.attach(json.loads(sys.argv[1]))
assert context.load("number") == 7
image = context.load("image")
assert image.shape == (1, 64, 64, 3)
image.zero_()
context.save("answer", image + 1)
context.save("pid", str(__import__("os").getpid()))
context.shutdown()
print("done", flush=True)
"""


def test_another_process_reads_and_writes(context: WorkflowContext, launch: Launch) -> None:
    context.save("number", 7)
    context.save("image", torch.rand(1, 64, 64, 3))
    before = context.load("image").clone()
    process = launch(ATTACHED, json.dumps(context.handle()))
    assert process.communicate(timeout=60)[0] == "done\n"
    assert process.returncode == 0
    assert torch.equal(context.load("answer"), torch.ones(1, 64, 64, 3))
    assert torch.equal(context.load("image"), before)
    assert context.list_keys() == ["number", "image", "answer", "pid"]


def test_C5_a_value_can_be_read_as_soon_as_its_name_is_there(
    context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer may be stopped at any moment after the commit, for as long as it likes."""
    other = WorkflowContext.attach(context.handle())
    release = Segments.release
    read: list[torch.Tensor] = []

    def late(segments: Segments, segment: Segment) -> None:
        if not read:
            read.append(other.load("image"))
        release(segments, segment)

    monkeypatch.setattr(Segments, "release", late)
    context.save("image", torch.ones(1, 64, 64, 3))
    assert torch.equal(read[0], torch.ones(1, 64, 64, 3))
    other.shutdown()


def test_attached_context_removes_nothing(context: WorkflowContext) -> None:
    context.save("x", 1)
    other = WorkflowContext.attach(context.handle())
    other.save("x", 2)
    other.shutdown()
    other.shutdown()
    assert other.closed
    assert context.load("x") == 2
    with pytest.raises(ContextClosedError, match="was shut down"):
        other.load("x")


def test_attached_context_learns_that_the_run_is_over(config: Path) -> None:
    context = WorkflowContext(config)
    context.save("x", torch.arange(1000))
    other = WorkflowContext.attach(context.handle())
    value = other.load("x")
    context.shutdown()
    assert other.closed
    for attempt in (lambda: other.load("x"), lambda: other.save("x", 1), other.list_keys, other.get_usage):
        with pytest.raises(ContextClosedError, match="shut it down"):
            attempt()
    with pytest.raises(ContextClosedError, match="is over"):
        WorkflowContext.attach(context.handle())
    assert torch.equal(value, torch.arange(1000))
    other.shutdown()


def test_handle_of_an_earlier_run_of_the_same_name_is_refused(config: Path) -> None:
    with WorkflowContext(config, run_id="night") as context:
        stale = context.handle()
    with WorkflowContext(config, run_id="night"), pytest.raises(ContextClosedError, match="another one has its name"):
        WorkflowContext.attach(stale)


def test_attach_by_run_id(config: Path) -> None:
    with WorkflowContext(config, run_id="night") as context:
        context.save("x", 1)
        with WorkflowContext(config, run_id="night", create=False) as other:
            assert other.load("x") == 1
        assert context.load("x") == 1
        with pytest.raises(FileExistsError, match="create=False"):
            WorkflowContext(config, run_id="night")
        with pytest.raises(FileNotFoundError, match=r"no context with run_id 'nigth'.*there are: night"):
            WorkflowContext(config, run_id="nigth", create=False)
    with pytest.raises(ValueError, match="say which by run_id"):
        WorkflowContext(config, create=False)


@pytest.mark.parametrize("run_id", ["../../escape", "a/b", "..", "🦊" * 3000, "", "\0"])
def test_C7_a_run_id_is_just_a_name(config: Path, contexts: Path, run_id: str) -> None:
    with WorkflowContext(config, run_id=run_id) as context:
        assert context.run_id == run_id
        assert Path(context.handle()["disk"]).parent == contexts
        with WorkflowContext(config, run_id=run_id, create=False) as other:
            assert other.run_id == run_id


def test_shutdown_twice_and_use_after_it(config: Path) -> None:
    context = WorkflowContext(config, run_id="one")
    context.save("x", torch.arange(5000))
    value = context.load("x")
    handle = context.handle()
    context.shutdown()
    context.shutdown()
    assert not Path(handle["disk"]).exists()
    assert not Path(handle["ram"]).exists()
    assert torch.equal(value, torch.arange(5000))
    assert "was shut down" in repr(context)
    actions: list[Any] = [
        lambda: context.load("x"),
        lambda: context.save("x", 1),
        lambda: context.save("x", value),
        context.list_keys,
        context.get_usage,
        lambda: context.get_storage_info("x"),
        lambda: context.export_data("x", "x.pkl"),
        lambda: context.digest("x"),
        lambda: context.values.put(1),
        lambda: context.delete("x"),
    ]
    for action in actions:
        with pytest.raises(ContextClosedError, match="context 'one' was shut down"):
            action()


def test_C6_a_forgotten_context_is_cleaned_up(config: Path) -> None:
    context = WorkflowContext(config)
    handle = context.handle()
    del context
    assert not Path(handle["disk"]).exists()
    assert not Path(handle["ram"]).exists()


def test_several_contexts_side_by_side(config: Path) -> None:
    with WorkflowContext(config) as first, WorkflowContext(config) as second:
        first.save("x", 1)
        second.save("x", 2)
        assert (first.load("x"), second.load("x")) == (1, 2)
        first.shutdown()
        assert second.load("x") == 2


def test_context_travels_by_pickle(context: WorkflowContext) -> None:
    context.save("x", 1)
    other = pickle.loads(pickle.dumps(context))
    assert other.load("x") == 1
    other.shutdown()
    assert context.load("x") == 1


def _child(context: WorkflowContext, queue: Any) -> None:
    context.save("from child", context.load("x") + 1)
    context.save("tensor", context.load("large") + 1)
    context.shutdown()
    queue.put(os.getpid())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_is_attached_and_owns_nothing(context: WorkflowContext) -> None:
    torch.set_num_threads(1)  # OpenMP does not survive a fork, whoever forks
    context.save("x", 1)
    context.save("large", torch.arange(3000))
    kind = multiprocessing.get_context("fork")
    queue = kind.Queue()
    child = kind.Process(target=_child, args=(context, queue))
    child.start()
    child.join(20)
    assert queue.get(timeout=10) == child.pid
    assert context.load("from child") == 2
    assert torch.equal(context.load("tensor"), torch.arange(1, 3001))


def _file_is_open(descriptor: int, queue: Any) -> None:
    try:
        queue.put(os.fstat(descriptor).st_size)
    except OSError as error:
        queue.put(error)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_closes_nothing_of_a_context_that_was_shut_down(tmp_path: Path) -> None:
    """The number of a descriptor that was closed is soon that of another file."""
    context = WorkflowContext()
    owner = local_store(context).owner
    assert owner is not None
    context.shutdown()
    (tmp_path / "file").write_bytes(b"12345")
    spare = os.open(tmp_path / "file", os.O_RDONLY)
    os.dup2(spare, owner)
    try:
        kind = multiprocessing.get_context("fork")
        queue = kind.Queue()
        child = kind.Process(target=_file_is_open, args=(owner, queue))
        child.start()
        child.join(20)
        assert queue.get(timeout=10) == 5
    finally:
        os.close(owner)
        os.close(spare)


def test_C5_transaction_is_all_or_nothing(context: WorkflowContext) -> None:
    other = WorkflowContext.attach(context.handle())
    context.save("a", 1)
    context.save("gone", 1)
    with context.transaction():
        context.save("a", 2)
        context.save("image", torch.ones(10_000))
        context.memos.put("key", {"value": context.digest("image")})
        context.delete("gone")
        assert context.load("a") == 2
        assert torch.equal(context.load("image"), torch.ones(10_000))
        assert context.list_keys() == ["a", "image"]
        assert context.memos.get("key") == {"value": context.digest("image")}
        assert other.load("a") == 1
        assert other.list_keys() == ["a", "gone"]
        assert other.memos.get("key") is None
    assert other.load("a") == 2
    assert other.list_keys() == ["a", "image"]
    assert other.memos.get("key") == {"value": context.digest("image")}
    other.shutdown()


def fail_inside_a_transaction(context: WorkflowContext) -> None:
    with context.transaction():
        context.save("a", 2)
        context.save("image", torch.ones(100_000))
        raise ZeroDivisionError


def test_C5_failed_transaction_leaves_no_trace(context: WorkflowContext) -> None:
    context.save("a", 1)
    with pytest.raises(ZeroDivisionError):
        fail_inside_a_transaction(context)
    assert context.load("a") == 1
    assert context.list_keys() == ["a"]
    assert context.get_usage()["ram_usage_bytes"] < 100


def test_nested_transactions_are_one(context: WorkflowContext, config: Path) -> None:
    other = WorkflowContext.attach(context.handle())
    with WorkflowContext(config) as unrelated, context.transaction():
        context.save("a", 1)
        with unrelated.transaction(), context.transaction():
            context.save("b", 2)
            unrelated.save("c", 3)
        assert unrelated.list_keys() == ["c"]
        assert other.list_keys() == []
    assert other.list_keys() == ["a", "b"]
    other.shutdown()


def test_waiting_for_oneself_is_an_error_not_a_hang(context: WorkflowContext) -> None:
    import contextvars

    def second() -> None:
        with context.transaction():
            pytest.fail("entered twice")

    with context.transaction(), pytest.raises(ContextError, match="do not await inside a transaction"):
        contextvars.Context().run(second)


def test_transactions_exclude_each_other(context: WorkflowContext) -> None:
    context.save("count", 0)
    others = [WorkflowContext.attach(context.handle()) for _ in range(2)]

    def work(mine: WorkflowContext) -> None:
        for _ in range(50):
            with mine.transaction():
                mine.save("count", mine.load("count") + 1)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in (context, context, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert context.load("count") == 200
    for other in others:
        other.shutdown()


def test_journal_is_rewritten_before_it_is_all_history(
    context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = WorkflowContext.attach(context.handle())
    assert other.list_keys() == []
    context.save("kept", [1, 2])
    context.save("image", torch.ones(3000))
    digest = context.values.put("held")
    context.memos.put("memo", {"value": context.digest("image")})
    context.save("model", {"recipe": context.digest("image")}, pass_by="ref")
    local_store(context).index.rewrite_at = 10_000
    for number in range(5000):
        context.save("n", number)
    journals = list(Path(context.handle()["ram"]).glob("journal-*"))
    assert len(journals) == 1
    assert journals[0].name != "journal-0"
    local_store(context).index.rewrite_at = 10_000
    for number in range(500):
        context.save("n", number)
    for reader in (context, other):
        assert (reader.load("n"), reader.load("kept")) == (499, [1, 2])
        assert reader.list_keys() == ["kept", "image", "model", "n"]
        assert reader.values.get(digest) == "held"
        assert torch.equal(reader.load("image"), torch.ones(3000))
        assert reader.recipe("model") == {"recipe": context.digest("image")}
        assert reader.memos.get("memo") == {"value": context.digest("image")}
    other.values.release(digest)
    assert not context.values.has(digest)
    other.shutdown()


def test_C5_damaged_index_is_reported(context: WorkflowContext) -> None:
    context.save("x", "some text")
    journal = next(Path(context.handle()["ram"]).glob("journal-*"))
    data = bytearray(journal.read_bytes())
    data[-1] ^= 1
    journal.write_bytes(data)
    with pytest.raises(CorruptValueError, match=r"the index in .* is damaged at byte 0"):
        WorkflowContext.attach(context.handle()).list_keys()


def test_unknown_names_come_with_near_misses(context: WorkflowContext) -> None:
    with pytest.raises(KeyError, match="no value named 'x'; the context holds nothing yet"):
        context.load("x")
    context.save("output_image", 1)
    with pytest.raises(UnknownKeyError) as caught:
        context.load("output_imgae")
    assert str(caught.value) == "no value named 'output_imgae'; did you mean 'output_image'?"
    with pytest.raises(KeyError, match="no value named 'zzz'; the context holds 1 other value"):
        context.delete("zzz")
