"""What a killed process leaves goes while the run lives: its unfinished files, and what it held (C6)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import ContextClosedError, ContextError
from discomfort.context.holds import Holds
from discomfort.context.tiers import housekeeping
from tests.context.conftest import Launch, local_store

MIB = 1 << 20


def tensor(fill: int, megabytes: float = 1) -> torch.Tensor:
    return torch.full((int(megabytes * MIB) // 4,), fill, dtype=torch.int32)


def blob_files(context: WorkflowContext) -> list[Path]:
    return list((Path(context.handle()["disk"]) / "blobs").iterdir())


def member_files(context: WorkflowContext) -> list[Path]:
    return list((Path(context.handle()["disk"]) / "members").iterdir())


START = """
import json, sys, time, torch
from discomfort.context.tiers import blobs, spilling
from discomfort.context.context import WorkflowContext
context = WorkflowContext.attach(json.loads(sys.argv[1]))

def stop(*arguments):
    print("ready", flush=True)
    time.sleep(600)
"""
SAVES = "blobs.fill = stop; context.save('x', torch.ones(1 << 18), use_ram=False)"
SPILLS = """
context.save('x', torch.ones(1 << 19))
spilling.copy_file = stop
context.save('y', torch.zeros(1 << 19))
"""
HOLDS = """
context.values.put(torch.ones(1 << 18))
context.values.put(torch.ones(1 << 18))
context.values.hold(context.digest('named'))
context.save('model', {'captured': context.values.put([1, 2])}, pass_by='ref')
with context.transaction():
    context.save('in a transaction', torch.zeros(1 << 18))
    context.save('a reference', {'captured': context.digest('named')}, pass_by='ref')
    stop()
"""


def killed(context: WorkflowContext, launch: Launch, source: str) -> None:
    process = launch(START + source, json.dumps(context.handle()))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()


@pytest.fixture
def small(config: Path) -> Any:
    """A context with 3 MiB of RAM."""
    with WorkflowContext(config, max_ram_gb=3 / 1024) as context:
        yield context


def attach(context: WorkflowContext) -> None:
    WorkflowContext.attach(context.handle()).shutdown()


def store_something(context: WorkflowContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discomfort.context.tiers.housekeeping.time.monotonic", lambda: 1e12)
    context.save("something", tensor(1, 0.01))
    context.delete("something")


FINDERS: dict[str, Callable[[WorkflowContext, pytest.MonkeyPatch], None]] = {
    "a second later": store_something,
    "another process attaches": lambda context, _: attach(context),
}
finders = pytest.mark.parametrize("find", FINDERS.values(), ids=FINDERS)


@finders
@pytest.mark.parametrize("source", [SAVES, SPILLS], ids=["saves", "spills"])
def test_C6_files_of_a_killed_writer_are_counted_and_then_removed(
    small: WorkflowContext, launch: Launch, monkeypatch: pytest.MonkeyPatch, source: str, find: Any
) -> None:
    small.save("kept", tensor(3, 0.1), use_ram=False)
    before = small.get_usage()
    assert before["unfinished_disk_bytes"] == 0
    killed(small, launch, source)
    assert len(blob_files(small)) == 2
    usage = small.get_usage()
    assert MIB <= usage["unfinished_disk_bytes"] <= 2.1 * MIB
    assert usage["temp_disk_usage_bytes"] == before["temp_disk_usage_bytes"] + usage["unfinished_disk_bytes"]
    assert usage["temp_disk_usage_mb"] == usage["temp_disk_usage_bytes"] / MIB
    find(small, monkeypatch)
    assert len(blob_files(small)) == 1
    usage = small.get_usage()
    assert usage["unfinished_disk_bytes"] == 0
    assert usage["temp_disk_usage_bytes"] == before["temp_disk_usage_bytes"]
    assert torch.equal(small.load("kept"), tensor(3, 0.1))
    assert small.verify() == []


def test_C6_a_file_that_a_living_process_writes_stays(
    small: WorkflowContext, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = launch(START + SAVES_LATER, json.dumps(small.handle()))
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    for find in FINDERS.values():
        find(small, monkeypatch)
    assert len(blob_files(small)) == 1
    assert small.get_usage()["unfinished_disk_bytes"] >= MIB
    process.stdin.write("go on\n")
    process.stdin.flush()
    assert process.wait(60) == 0
    assert torch.equal(small.load("x"), torch.ones(1 << 18))


SAVES_LATER = """
fill = blobs.fill
def later(*arguments):
    print("ready", flush=True)
    sys.stdin.readline()
    return fill(*arguments)
blobs.fill = later
context.save('x', torch.ones(1 << 18), use_ram=False)
"""


@finders
def test_C6_what_a_killed_process_held_goes(
    context: WorkflowContext, launch: Launch, monkeypatch: pytest.MonkeyPatch, find: Any
) -> None:
    context.save("named", tensor(7))
    mine = context.values.put(tensor(8))
    killed(context, launch, HOLDS)
    assert context.get_usage()["held_values_count"] >= 4
    find(context, monkeypatch)
    assert context.get_usage()["held_values_count"] == 1
    assert context.list_keys() == ["named", "model"]
    assert torch.equal(context.values.get(mine), tensor(8))
    assert context.values.get(context.recipe("model")["captured"]) == [1, 2]
    context.values.release(mine)
    context.delete("named")
    context.delete("model")
    assert len(context.store.read().blobs) == 0
    assert len(member_files(context)) == 1


def test_what_was_put_for_another_process_outlives_the_one_that_put_it(context: WorkflowContext) -> None:
    other = WorkflowContext.attach(context.handle())
    digest = other.values.put(tensor(1))
    other.values.hold(digest)
    other.shutdown()
    attach(context)
    assert torch.equal(context.values.get(digest), tensor(1))
    context.values.release(digest)
    context.names.save_digest("named", digest)
    assert context.get_usage()["held_values_count"] == 0
    context.delete("named")
    assert not context.values.has(digest)


LETTERBOX = "context.values.put(torch.ones(1 << 18), letterbox=sys.argv[2]); stop()"


def test_what_another_process_put_into_a_letterbox_outlives_it(context: WorkflowContext, launch: Launch) -> None:
    work = Holds(context.store)
    process = launch(START + LETTERBOX, json.dumps(context.handle()), work.letterbox())
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()
    attach(context)
    (digest,) = context.store.read().blobs
    work.hand_over([digest])
    attach(context)
    assert torch.equal(context.values.get(digest), torch.ones(1 << 18))
    context.values.release(digest)
    assert context.get_usage()["held_values_count"] == 0
    assert not context.values.has(digest)


def test_nothing_comes_into_a_letterbox_that_no_run_empties(context: WorkflowContext) -> None:
    other = WorkflowContext.attach(context.handle())
    work = Holds(context.store)
    name = work.letterbox()
    digest = other.values.put(tensor(1), letterbox=name)
    assert other.values.hold(digest, letterbox=name)
    assert context.get_usage()["held_values_count"] == 1
    work.release()
    assert not context.values.has(digest)
    for late in (name, ""):
        with pytest.raises(LookupError, match="the run that requested this value has ended"):
            other.values.put(tensor(1), letterbox=late)
    assert len(context.store.read().blobs) == 0
    assert blob_files(context) == []
    other.shutdown()


def test_C6_full_disk_first_takes_back_what_killed_processes_left(
    small: WorkflowContext, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.memos.put("key", {"value": small.values.put([1])})
    killed(small, launch, SAVES)
    local_store(small).blobs.housekeeping.due = float("inf")  # it is the full disk that makes it look
    free = [0]
    monkeypatch.setattr("discomfort.context.tiers.blobs.free_bytes", lambda _: 0 if len(blob_files(small)) else 1 << 40)
    reserve = housekeeping.Housekeeping.new_file

    def full(self: housekeeping.Housekeeping) -> str:
        if not free[0]:
            free[0] = 1
            raise OSError(28, "No space left on device")
        return reserve(self)

    monkeypatch.setattr(housekeeping.Housekeeping, "new_file", full)
    small.save("x", tensor(1), use_ram=False)
    assert torch.equal(small.load("x"), tensor(1))
    assert small.memos.get("key") is not None
    assert len(blob_files(small)) == 1


def test_R11_attaching_again_and_again_leaves_nothing(context: WorkflowContext) -> None:
    context.save("x", tensor(1, 0.01))
    for _ in range(100):
        other = WorkflowContext.attach(context.handle())
        assert torch.equal(other.load("x"), tensor(1, 0.01))
        other.values.put(1)
        other.shutdown()
    context.values.release(context.values.put(2))
    assert len(member_files(context)) == 1
    assert list(local_store(context).read().holders.holds) == []


FORKS = """
import json, os, sys, torch
from discomfort.context.context import WorkflowContext
context = WorkflowContext.attach(json.loads(sys.argv[1]))
held = context.values.put(torch.ones(1 << 16))
child = os.fork()
if child == 0:
    context.save("child", context.values.put([1]))
    os._exit(0)
os.waitpid(child, 0)
context.save("something", 2)
print("ready", flush=True)
sys.stdin.readline()
assert context.values.has(held)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_C6_a_forked_child_holds_for_itself(context: WorkflowContext, launch: Launch) -> None:
    process = launch(FORKS, json.dumps(context.handle()))
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    attach(context)  # by which the dead child is found, and its parent is not taken for dead
    assert context.get_usage()["held_values_count"] == 1
    process.stdin.write("go on\n")
    process.stdin.flush()
    process.wait(60)
    attach(context)
    assert context.get_usage()["held_values_count"] == 0


def delete_at_once(folder: Path) -> None:
    shutil.rmtree(folder)


def delete_from_outside(folder: Path) -> None:
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def save_in_a_transaction(context: WorkflowContext) -> None:
    with context.transaction():
        context.save("small", 3)


@pytest.mark.parametrize("delete", [delete_at_once, delete_from_outside])
@pytest.mark.parametrize("which", ["disk", "ram"])
def test_a_deleted_context_folder_is_a_clear_error(config: Path, which: str, delete: Callable[[Path], None]) -> None:
    context = WorkflowContext(config, max_ram_gb=3 / 1024)
    other = WorkflowContext.attach(context.handle())
    context.save("small", 1)
    context.save("ram", tensor(1))
    context.save("disk", tensor(2), use_ram=False)
    handle = context.handle()
    delete(Path(handle[which]))
    message = f"the folder of this context was deleted: {handle[which]}"
    actions: list[Callable[[], object]] = [
        lambda: context.save("new", tensor(3), use_ram=which == "ram"),
        lambda: context.save("new", tensor(3, 4)) if which == "disk" else context.load("ram"),
        lambda: context.load(which),
        lambda: other.load(which),
        lambda: other.values.put(tensor(5), use_ram=which == "ram"),
    ]
    if which == "disk":
        actions += [
            lambda: context.save("small", 2),
            lambda: context.save("new", [1, 2]),
            lambda: context.delete("small"),
            lambda: context.memos.put("key", {}),
            lambda: save_in_a_transaction(context),
            context.get_usage,
            lambda: context.save("new", {"1": {"class_type": "A", "inputs": {}}}, pass_by="ref"),
        ]
    for action in actions:
        with pytest.raises(ContextClosedError, match=message):
            action()
    with pytest.raises(ContextError):
        WorkflowContext.attach(handle)
    other.shutdown()
    context.shutdown()
    assert not Path(handle["disk"]).exists()
    assert not Path(handle["ram"]).exists()


def test_collecting_an_attached_context_does_not_wait_for_another_of_the_same_thread(context: WorkflowContext) -> None:
    other = WorkflowContext.attach(context.handle())
    digest = other.values.put(tensor(1))
    with context.store.writing():
        del other
    assert context.values.has(digest)
    attach(context)
    assert not context.values.has(digest)
