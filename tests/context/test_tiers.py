"""RAM, then disk; nothing refused while there is room; equal values share one blob (C2, C4)."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import CorruptValueError
from discomfort.context.home.os_support import copy_file
from discomfort.context.tiers import spilling

MIB = 1 << 20
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="a file there has no time of its last change of state")


def tensor(megabytes: float, fill: int) -> torch.Tensor:
    return torch.full((int(megabytes * MIB) // 4,), fill, dtype=torch.int32)


def tier(context: WorkflowContext, name: str) -> str:
    info = context.get_storage_info(name)
    assert info is not None
    return str(info["storage_type"])


@pytest.fixture
def small(config: Path) -> Any:
    """A context with 8 MiB of RAM."""
    with WorkflowContext(config, max_ram_gb=8 / 1024) as context:
        yield context


def test_C1_documented_keys(context: WorkflowContext) -> None:
    context.save("small", 1)
    context.save("large", tensor(1, 1))
    context.save("forced", tensor(1, 2), use_ram=False)
    usage = context.get_usage()
    assert set(usage) == {
        "ram_usage_bytes",
        "ram_capacity_bytes",
        "ram_usage_gb",
        "ram_capacity_gb",
        "temp_disk_usage_bytes",
        "temp_disk_usage_mb",
        "unfinished_disk_bytes",
        "memo_usage_bytes",
        "memo_capacity_bytes",
        "memo_usage_gb",
        "memo_capacity_gb",
        "memo_keys_count",
        "stored_keys_count",
        "held_values_count",
    }
    assert usage["ram_capacity_bytes"] == 1 << 30
    assert usage["ram_capacity_gb"] == 1.0
    assert MIB < usage["ram_usage_bytes"] < 1.1 * MIB
    assert MIB < usage["temp_disk_usage_bytes"] < 1.1 * MIB
    assert usage["temp_disk_usage_mb"] == usage["temp_disk_usage_bytes"] / MIB
    assert usage["stored_keys_count"] == 3
    assert usage["memo_usage_gb"] == usage["memo_usage_bytes"] == usage["memo_keys_count"] == 0
    assert usage["memo_capacity_gb"] == usage["memo_capacity_bytes"] / (1 << 30)
    assert usage["unfinished_disk_bytes"] == usage["held_values_count"] == 0
    large, forced, small = map(context.get_storage_info, ("large", "forced", "small"))
    assert large is not None
    assert forced is not None
    assert small is not None
    assert set(large) == {"storage_type", "size", "pass_by", "shm_name"}
    assert set(forced) == {"storage_type", "size", "pass_by", "path"}
    assert (large["storage_type"], forced["storage_type"], small["storage_type"]) == ("ram", "disk", "ram")
    assert Path(large["shm_name"]).stat().st_size >= MIB
    assert Path(forced["path"]).stat().st_size >= MIB
    assert context.get_storage_info("unknown") is None


def test_C2_least_recently_used_values_spill_and_come_back(small: WorkflowContext) -> None:
    for number in range(6):
        small.save(f"v{number}", tensor(2, number))
        small.load("v0")  # keeps it in use
        assert small.get_usage()["ram_usage_bytes"] <= 8 * MIB
    tiers = [tier(small, f"v{number}") for number in range(6)]
    assert tiers == ["ram", "disk", "disk", "disk", "ram", "ram"]
    assert torch.equal(small.load("v1"), tensor(2, 1))
    assert tier(small, "v1") == "ram"  # promoted, something else spilled
    assert all(torch.equal(small.load(f"v{number}"), tensor(2, number)) for number in range(6))


def test_C2_a_value_beyond_the_budget_goes_to_disk(small: WorkflowContext) -> None:
    small.save("kept", tensor(1, 7))
    small.save("huge", tensor(20, 1))
    assert tier(small, "huge") == "disk"
    assert tier(small, "kept") == "ram"
    loaded = small.load("huge")
    loaded += 1
    assert torch.equal(small.load("huge"), tensor(20, 1))


def test_C2_no_ram_at_all(config: Path) -> None:
    with WorkflowContext(config, max_ram_gb=0) as context:
        context.save("number", 1)
        context.save("tensor", tensor(1, 1))
        assert (context.load("number"), tier(context, "number"), tier(context, "tensor")) == (1, "disk", "disk")
        assert context.get_usage()["ram_usage_bytes"] == 0


def test_C2_many_small_values_stay_within_the_budget(config: Path) -> None:
    with WorkflowContext(config, max_ram_gb=1 / 1024) as context:
        for number in range(3000):
            context.save(f"n{number}", f"{number}" * 100)
        assert context.get_usage()["ram_usage_bytes"] <= MIB
        assert context.get_usage()["temp_disk_usage_bytes"] > 0
        assert [context.load(f"n{number}") for number in range(3000)] == [f"{number}" * 100 for number in range(3000)]


def test_C2_forced_to_disk_stays_there(context: WorkflowContext) -> None:
    context.save("forced", tensor(1, 1), use_ram=False)
    context.load("forced")
    assert tier(context, "forced") == "disk"
    context.save("again", tensor(1, 1))
    assert tier(context, "forced") == tier(context, "again") == "ram"  # one blob, and now RAM is wanted for it
    context.save("third", tensor(1, 1), use_ram=False)
    assert [tier(context, name) for name in ("forced", "again", "third")] == ["disk"] * 3
    assert context.get_usage()["ram_usage_bytes"] == 0
    assert all(torch.equal(context.load(name), tensor(1, 1)) for name in context.list_keys())


def test_C2_others_save_while_a_value_is_spilled(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WorkflowContext(config, max_ram_gb=4 / 1024) as context:
        context.save("old", tensor(3, 1))
        other = WorkflowContext.attach(context.handle())
        copied: list[int] = []

        def slow_copy(source: int, target: int, size: int) -> None:
            saver = threading.Thread(target=other.save, args=("other", 7))
            saver.start()
            saver.join(30)
            copied.append(size)
            copy_file(source, target, size)

        monkeypatch.setattr(spilling, "copy_file", slow_copy)
        context.save("new", tensor(3, 2))
        assert copied
        assert (context.load("other"), tier(context, "old"), tier(context, "new")) == (7, "disk", "ram")
        assert torch.equal(context.load("old"), tensor(3, 1))
        other.shutdown()


def test_C2_a_value_that_changes_while_it_is_spilled_is_not_lost(
    config: Path, contexts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WorkflowContext(config, max_ram_gb=4 / 1024) as context:
        context.save("old", tensor(3, 1))

        def replaced_meanwhile(source: int, target: int, size: int) -> None:
            monkeypatch.setattr(spilling, "copy_file", copy_file)
            copy_file(source, target, size)
            context.save("old", tensor(1, 5))

        monkeypatch.setattr(spilling, "copy_file", replaced_meanwhile)
        context.save("new", tensor(3, 2))
        assert torch.equal(context.load("old"), tensor(1, 5))
        assert torch.equal(context.load("new"), tensor(3, 2))
        blobs = [path for path in contexts.rglob("blob-*") if path.is_file()]
        assert len(blobs) == sum(tier(context, name) == "disk" for name in ("old", "new"))


def test_C4_equal_values_share_one_blob(context: WorkflowContext) -> None:
    context.save("a", tensor(4, 1))
    used = context.get_usage()["ram_usage_bytes"]
    context.save("b", tensor(4, 1))
    context.save("c", {"x": tensor(4, 1)})
    assert context.digest("a") == context.digest("b") != context.digest("c")
    assert context.get_usage()["ram_usage_bytes"] < 2.1 * used
    context.save("a", 0)
    assert torch.equal(context.load("b"), tensor(4, 1))
    context.delete("b")
    context.delete("c")
    assert context.get_usage()["ram_usage_bytes"] < 100


def test_C6_space_of_values_that_are_gone_is_free(context: WorkflowContext, contexts: Path) -> None:
    for number in range(50):
        context.save("ram", tensor(1, number))
        context.save("disk", tensor(1, number + 100), use_ram=False)
    assert len(list(contexts.rglob("blob-*"))) == 1
    info = context.get_storage_info("ram")
    assert info is not None
    assert len(list(Path(info["shm_name"]).parent.glob("segment-*"))) <= 3


def test_pool_keeps_no_more_than_a_quarter_of_the_budget(small: WorkflowContext) -> None:
    for number in range(4):
        small.save(f"v{number}", tensor(1.5, number))
    for number in range(4):
        small.save(f"v{number}", number)
    info = small.get_storage_info("v0")
    assert info is not None
    segments = Path(info["shm_name"]).parent.glob("segment-*")
    assert sum(path.stat().st_size for path in segments) <= 2 * MIB


def test_segment_in_use_is_not_written_again(context: WorkflowContext) -> None:
    context.save("x", tensor(1, 1))
    mapped = context.load("x")
    for number in range(2, 6):
        context.save("x", tensor(1, number))
    assert torch.equal(mapped, tensor(1, 1))


def test_many_mappings_at_once(context: WorkflowContext) -> None:
    """More live mappings than a process may have open files: the rest are copies."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        context.save("x", tensor(0.1, 3))
        held = [context.load("x") for _ in range(400)]
        assert all(int(value[0]) == 3 for value in held)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("use_ram", [True, False], ids=["ram", "disk"])
@pytest.mark.parametrize(
    "damage",
    [
        "flip",
        pytest.param("flip with its time put back", marks=posix_only),
        "truncate",
        "empty",
        "header",
        "delete",
    ],
)
def test_C5_damaged_blob_is_named_and_not_returned(context: WorkflowContext, use_ram: bool, damage: str) -> None:
    context.save("good", tensor(1, 5), use_ram=use_ram)
    context.save("bad", tensor(1, 9), use_ram=use_ram)
    info = context.get_storage_info("bad")
    assert info is not None
    path = Path(info["shm_name" if use_ram else "path"])
    data = path.read_bytes()
    changed = {
        "flip": data[:500_000] + bytes([data[500_000] ^ 1]) + data[500_001:],
        "truncate": data[: len(data) // 2],
        "empty": b"",
        "header": b"\0" * 16 + data[16:],
        "flip with its time put back": data[:500_000] + bytes([data[500_000] ^ 1]) + data[500_001:],
    }
    times = path.stat()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(changed[damage])
    if damage.endswith("put back"):
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    other = WorkflowContext.attach(context.handle())
    for reader in (context, other):
        with pytest.raises(CorruptValueError, match=r"'bad': .*(damaged|cut short|missing)"):
            reader.load("bad")
        assert torch.equal(reader.load("good"), tensor(1, 5))
        assert reader.verify() == ["bad"]
    other.shutdown()
    context.save("bad", tensor(1, 9), use_ram=use_ram)  # saving it again fixes it
    assert torch.equal(context.load("bad"), tensor(1, 9))
    assert context.verify() == []


def test_C5_damage_is_found_when_a_value_is_promoted(small: WorkflowContext) -> None:
    for number in range(6):
        small.save(f"v{number}", tensor(2, number))
    info = small.get_storage_info("v0")
    assert info is not None
    with Path(info["path"]).open("r+b") as stream:
        stream.seek(1_000_000)
        stream.write(b"\xff")
    with pytest.raises(CorruptValueError, match=r"'v0': value d1-.* \(torch\.int32 \[524288\]\) in .* is damaged"):
        small.load("v0")
    assert torch.equal(small.load("v1"), tensor(2, 1))


operations = st.lists(
    st.tuples(
        st.sampled_from(["save", "save", "save", "forced", "load", "delete", "small"]),
        st.sampled_from("abcdef"),
        st.integers(0, 3),
        st.sampled_from([0.3, 0.5, 1.1]),
    ),
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(operations)
def test_C2_C4_store_behaves_like_a_dict_within_its_budget(
    config: Path, steps: list[tuple[str, str, int, float]]
) -> None:
    with WorkflowContext(config, max_ram_gb=2 / 1024) as context:
        reader = WorkflowContext.attach(json.loads(json.dumps(context.handle())))
        model: dict[str, Any] = {}
        for action, name, fill, size in steps:
            if action == "delete" and name in model:
                del model[name]
                context.delete(name)
            elif action == "load" and name in model:
                assert torch.equal(torch.as_tensor(reader.load(name)), torch.as_tensor(model[name]))
            elif action in ("save", "forced", "small"):
                model[name] = fill if action == "small" else tensor(size, fill)
                context.save(name, model[name], use_ram=action != "forced")
            assert context.get_usage()["ram_usage_bytes"] <= 2 * MIB
            assert sorted(reader.list_keys()) == sorted(model)
        for name, value in model.items():
            assert torch.equal(torch.as_tensor(context.load(name)), torch.as_tensor(value))
        assert context.verify() == []
        reader.shutdown()
