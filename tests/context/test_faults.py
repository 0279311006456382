"""Whatever dies, whenever it dies: nothing lost, nothing torn, nothing left (C2, C5, C6). All with real processes."""

from __future__ import annotations

import contextlib
import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from discomfort.context.context import WorkflowContext
from tests.context.conftest import Launch

MIB = 1 << 20
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def check_whole(context: WorkflowContext, acknowledged: int) -> int:
    """Every visible value is whole, and at least as new as what the dead process had seen saved."""
    large, medium, small = context.load("large"), context.load("medium"), context.load("small")
    left, right = context.load("left"), context.load("right")
    assert bool((large == large[0]).all())
    assert bool((medium["t"] == medium["n"]).all())
    assert bool((left == right).all())
    found = (int(large[0]), int(medium["n"]), int(small), int(right))
    assert min(found) >= acknowledged
    return max(found)


# One import of torch for many kills: a server forks a victim, lets it save for a while, and kills it. A victim reports
# a count only after its saves have returned: from then on they must survive it. Every other victim gets its time from
# when it has saved once, so that victims get somewhere however busy the machine is.
FORK_SERVER = """
import json, os, random, select, signal, sys, time
import torch
torch.set_num_threads(1)
from discomfort.context.context import WorkflowContext
handle, rounds, seed = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
delays = random.Random(seed)

def victim(count, out):
    context = WorkflowContext.attach(handle)
    os.write(out, b"0 ")
    while True:
        count += 1
        context.save("large", torch.full((400_000,), count, dtype=torch.int32), use_ram=count % 3 > 0)
        context.save("medium", {"n": count, "t": torch.full((5000,), count, dtype=torch.int32)})
        context.save("small", count)
        with context.transaction():
            context.save("left", torch.full((3000,), count, dtype=torch.int32))
            context.save("right", count)
        os.write(out, b"%d " % count)

for number in range(rounds):
    count = int(sys.stdin.readline())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        victim(count, writer)
        os._exit(1)
    os.close(writer)
    data = b""
    while number % 2 and data.count(b" ") < 2:
        part = os.read(reader, 1 << 16)
        if not part:
            break  # it failed, which its output shows
        data += part
    time.sleep(0.004 + delays.random() ** 2 * 0.08)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while True:
        part = os.read(reader, 1 << 16)
        if not part:
            break
        data += part
    os.close(reader)
    done = data.rsplit(b" ", 1)[0].split() if b" " in data else []
    print(int(done[-1]) if done else 0, flush=True)
"""


def run_kills(context: WorkflowContext, launch: Launch, kills: int, seed: int) -> None:
    blank = torch.zeros(3000, dtype=torch.int32)
    for name, value in {"large": blank, "medium": {"n": 0, "t": blank}, "small": 0, "left": blank, "right": 0}.items():
        context.save(name, value)
    server = launch(FORK_SERVER, json.dumps(context.handle()), kills, seed)
    assert server.stdin is not None
    assert server.stdout is not None
    count = acknowledged = 0
    for _ in range(kills):
        server.stdin.write(f"{count}\n")
        server.stdin.flush()
        line = server.stdout.readline()
        assert line, "the server of victims died"
        acknowledged = max(int(line), acknowledged)
        count = max(check_whole(context, acknowledged), count)
    assert context.verify() == []
    assert count > kills // 10  # the victims did get somewhere
    other = WorkflowContext.attach(context.handle())
    assert check_whole(other, acknowledged) <= count
    other.shutdown()


@posix_only
def test_C5_sixty_kills_at_random_moments(context: WorkflowContext, launch: Launch) -> None:
    run_kills(context, launch, 60, seed=1)


@posix_only
@pytest.mark.slow
def test_C5_five_hundred_kills_at_random_moments(context: WorkflowContext, launch: Launch) -> None:
    run_kills(context, launch, 500, seed=2)


OWNER = """
import sys, time, torch
from discomfort.context.context import WorkflowContext
context = WorkflowContext(sys.argv[1], run_id="owner")
context.save("ram", torch.ones(500_000))
context.save("disk", torch.zeros(500_000), use_ram=False)
context.save("number", 7)
print("ready", flush=True)
time.sleep(600)
"""


def killed_owner(config: Path, launch: Launch) -> None:
    process = launch(OWNER, config)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()


def test_C6_next_context_reclaims_what_a_killed_owner_left(config: Path, contexts: Path, launch: Launch) -> None:
    killed_owner(config, launch)
    assert (contexts / "owner").is_dir()
    with WorkflowContext(config) as context:
        ram = Path(context.handle()["ram"]).parent
        assert not (contexts / "owner").exists()
        assert [path.name for path in ram.iterdir()] == [context.run_id]
    assert [path for path in contexts.iterdir() if path.is_dir()] == []
    assert list(ram.iterdir()) == []


def test_C5_run_of_a_killed_owner_can_be_adopted(config: Path, contexts: Path, launch: Launch) -> None:
    killed_owner(config, launch)
    (contexts / "owner" / "blobs" / "blob-unfinished").write_bytes(b"x" * 1000)
    with WorkflowContext(config, run_id="owner", create=False) as context:
        assert torch.equal(context.load("ram"), torch.ones(500_000))
        assert torch.equal(context.load("disk"), torch.zeros(500_000))
        assert context.load("number") == 7
        assert not (contexts / "owner" / "blobs" / "blob-unfinished").exists()
        with WorkflowContext(config):
            assert context.load("number") == 7  # it has an owner again: not reclaimed
    assert not (contexts / "owner").exists()


def test_C6_reclaiming_leaves_alone_what_is_not_a_run(config: Path, contexts: Path) -> None:
    with WorkflowContext(config):
        pass
    (contexts / "holiday").mkdir()
    (contexts / "holiday" / "photo.png").write_bytes(b"mine")
    (contexts / "link").symlink_to(contexts / "holiday")
    with WorkflowContext(config, run_id="alive") as alive, WorkflowContext(config):
        alive.save("x", 1)
    assert (contexts / "holiday" / "photo.png").read_bytes() == b"mine"
    assert (contexts / "link").exists()


OPENS_AND_CLOSES = """
import sys
from discomfort.context.context import WorkflowContext
for _ in range(int(sys.argv[2])):
    with WorkflowContext(sys.argv[1]):
        pass
print("done", flush=True)
"""


def test_C6_contexts_open_while_others_end(config: Path, contexts: Path, launch: Launch) -> None:
    processes = [launch(OPENS_AND_CLOSES, config, 300) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n", "a context that ended meanwhile was taken for an orphan"
        assert process.wait(30) == 0
    assert [path for path in contexts.iterdir() if path.is_dir()] == []


def test_C6_attached_process_does_not_keep_an_orphan(config: Path, contexts: Path, launch: Launch) -> None:
    process = launch(OWNER, config)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    attached = WorkflowContext(config, run_id="owner", create=False)
    value = attached.load("ram")
    process.kill()
    process.wait()
    with WorkflowContext(config):
        assert not (contexts / "owner").exists()
    assert attached.closed
    assert torch.equal(value, torch.ones(500_000))
    attached.shutdown()


WORKER = """
import json, sys, threading, time
import torch
from discomfort.context.context import WorkflowContext
context = WorkflowContext.attach(json.loads(sys.argv[1]))
me, seconds = sys.argv[2], float(sys.argv[3])
end = time.monotonic() + seconds
mine = {}
failures = []

def work(thread):
    count = 0
    while time.monotonic() < end:
        count += 1
        try:
            small, large = f"{me}-{thread}-small", f"{me}-{thread}-large"
            context.save(small, count)
            assert context.load(small) == count
            if count % 5 == 0:
                context.save(large, torch.full((3000 + thread,), count, dtype=torch.int32), use_ram=count % 10 > 0)
                loaded = context.load(large)
                assert len(loaded) == 3000 + thread and bool((loaded == count).all())
            if count % 20 == 0:
                with context.transaction():
                    context.save("total", context.load("total") + 1)
                    mine[thread] = mine.get(thread, 0) + 1
        except BaseException as error:
            failures.append(repr(error))
            raise
    mine[thread, "last"] = count

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
increments = sum(value for key, value in mine.items() if not isinstance(key, tuple))
last = {str(key[0]): value for key, value in mine.items() if isinstance(key, tuple)}
print(json.dumps({"increments": increments, "last": last, "failures": failures}), flush=True)
"""


def hammer(context: WorkflowContext, launch: Launch, seconds: float) -> None:
    context.save("total", 0)
    processes = [launch(WORKER, json.dumps(context.handle()), name, seconds) for name in ("one", "two")]
    reports = [json.loads(process.communicate(timeout=seconds + 60)[0]) for process in processes]
    assert [report["failures"] for report in reports] == [[], []]
    assert context.load("total") == sum(report["increments"] for report in reports) > 0
    for name, report in zip(("one", "two"), reports, strict=True):
        assert len(report["last"]) == 8
        for thread, count in report["last"].items():
            assert context.load(f"{name}-{thread}-small") == count
    assert context.verify() == []


def test_C5_two_processes_and_eight_threads_lose_no_update(context: WorkflowContext, launch: Launch) -> None:
    hammer(context, launch, 4)


@pytest.mark.slow
def test_C5_two_processes_and_eight_threads_for_a_minute(context: WorkflowContext, launch: Launch) -> None:
    hammer(context, launch, 60)


@pytest.fixture
def tiny_file_system(tmp_path: Path) -> Iterator[Path]:
    """A file system of 10 MB, where we may mount one."""
    point = tmp_path / "tiny"
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=10m,mode=700", "tmpfs", str(point)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a tmpfs")
    yield point
    subprocess.run(["umount", "--lazy", str(point)], check=True)


def fill_up(hog: Path) -> None:
    with hog.open("wb", buffering=0) as stream:
        for block in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(block))


def save_twenty(context: WorkflowContext) -> None:
    for number in range(20):
        context.save(f"v{number}", torch.full((2 * MIB // 4,), number, dtype=torch.int32))


def test_C2_full_ram_tier_spills_and_never_dies(
    config: Path, tiny_file_system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget says 1 GB, the file system behind it 10 MB."""
    monkeypatch.setattr("discomfort.context.home.ownership.ram_root", lambda: tiny_file_system)
    with WorkflowContext(config) as context:
        for number in range(12):
            context.save(f"v{number}", torch.full((2 * MIB // 4,), number, dtype=torch.int32))
        context.save("huge", torch.ones(20 * MIB // 4))
        tiers = [str((context.get_storage_info(f"v{number}") or {})["storage_type"]) for number in range(12)]
        assert "ram" in tiers
        assert "disk" in tiers
        for number in range(12):
            assert bool((context.load(f"v{number}") == number).all())
        assert bool((context.load("huge") == 1).all())
        # Another program takes the rest, while we write.
        hog = tiny_file_system / "hog"
        fill_up(hog)
        for number in range(3000):
            context.save(f"small{number}", f"{number}" * 50)
        context.save("late", torch.full((MIB // 4,), 3.0))
        assert bool((context.load("late") == 3).all())
        assert all(context.load(f"small{number}") == f"{number}" * 50 for number in range(3000))
        assert context.verify() == []
        hog.unlink()
    assert [path for path in tiny_file_system.rglob("*") if path.is_file()] == []


def test_C2_memory_taken_between_the_check_and_the_copy(
    config: Path, tiny_file_system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discomfort.context.home.ownership.ram_root", lambda: tiny_file_system)
    monkeypatch.setattr("discomfort.context.tiers.ram_segments.free_bytes", lambda _: 1 << 40)
    with WorkflowContext(config) as context:
        for number in range(8):
            context.save(f"v{number}", torch.full((3 * MIB // 4,), number, dtype=torch.int32))
        assert all(bool((context.load(f"v{number}") == number).all()) for number in range(8))


def test_C2_full_disk_is_a_clear_error_and_earlier_values_are_intact(tmp_path: Path, tiny_file_system: Path) -> None:
    path = tmp_path / "full.json"
    place = str(tiny_file_system / "contexts")
    path.write_text(json.dumps({"MAX_RAM_GB": 4 / 1024, "CONTEXTS_DIR_NAME": place}), encoding="utf-8")
    with WorkflowContext(path) as context:
        with pytest.raises(OSError, match=r"room for a value of .* bytes.* earlier values are intact") as caught:
            save_twenty(context)
        assert caught.value.errno == errno.ENOSPC
        saved = len(context.list_keys())
        assert 3 <= saved < 10
        assert context.list_keys() == [f"v{number}" for number in range(saved)]
        assert all(bool((context.load(f"v{number}") == number).all()) for number in range(saved))
        with pytest.raises(OSError, match="the disk has not the room"):
            context.save("forced", torch.ones(20 * MIB // 4), use_ram=False)
        assert context.verify() == []
        context.delete("v0")
        context.delete("v1")
        context.save("again", torch.ones(2 * MIB // 4))
        assert bool((context.load("again") == 1).all())


def test_C2_the_oldest_memos_give_way_to_a_value(tmp_path: Path, tiny_file_system: Path) -> None:
    def value(megabytes: int, number: int) -> torch.Tensor:
        return torch.full((megabytes * MIB // 4,), number, dtype=torch.int32)

    path = tmp_path / "full.json"
    place = str(tiny_file_system / "contexts")
    path.write_text(json.dumps({"MAX_RAM_GB": 1 / 1024, "CONTEXTS_DIR_NAME": place}), encoding="utf-8")
    with WorkflowContext(path, max_memo_gb=1) as context:
        digests = [context.values.put(value(2, number)) for number in range(4)]
        for number, digest in enumerate(digests):
            context.memos.put(f"k{number}", {"value": digest})
            context.values.release(digest)
        context.names.save_digest("named", digests[0])
        assert context.values.hold(digests[1])
        context.save("large", value(3, 9))
        assert context.memos.list_keys() == ["k0", "k1", "k3"]
        assert not context.values.hold(digests[2])
        assert torch.equal(context.load("named"), value(2, 0))
        assert torch.equal(context.values.get(digests[1]), value(2, 1))
        assert torch.equal(context.load("large"), value(3, 9))
        with pytest.raises(OSError, match="earlier values are intact"):
            context.save("huge", value(20, 9))
        assert context.memos.list_keys() == ["k0", "k1", "k3"]  # forgetting all would not have been enough


LIMITED = """
import resource, signal, sys, torch
from discomfort.context.context import WorkflowContext
context = WorkflowContext(sys.argv[1], max_ram_gb=0)
context.save("kept", torch.ones(1000))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    context.save("large", torch.ones(1 << 20))
except OSError as error:
    print(error.strerror, flush=True)
assert torch.equal(context.load("kept"), torch.ones(1000)) and context.list_keys() == ["kept"]
context.shutdown()
"""


@posix_only
def test_C2_disk_quota_is_a_clear_error(config: Path, launch: Launch) -> None:
    """The same without the right to mount: a limit on the size of files."""
    process = launch(LIMITED, config)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "neither RAM nor disk has room for a value of" in output


PEAK = """
import json, resource, sys, torch
from discomfort.context.context import WorkflowContext
torch.set_num_threads(1)

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

import threading
def peak(action):
    highest, stop = [anonymous()], threading.Event()
    def watch():
        while not stop.wait(0.0005):
            highest[0] = max(highest[0], anonymous())
    before = anonymous()
    thread = threading.Thread(target=watch)
    thread.start()
    kept = action()
    stop.set(); thread.join()
    return max(highest[0], anonymous()) - before

size = 128 << 20
with WorkflowContext(sys.argv[1]) as context:
    value = torch.ones(1, 1024, size // 4 // 1024)
    context.save("warm", torch.ones(9 << 20)); context.load("warm").sum()
    report = {"save": peak(lambda: context.save("x", value)) / size}
    report["strided"] = peak(lambda: context.save("y", value.transpose(1, 2))) / size
    report["load"] = peak(lambda: float(context.load("x").sum())) / size
print(json.dumps(report), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_of_save_and_load_is_that_of_the_value(config: Path, launch: Launch) -> None:
    process = launch(PEAK, config)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    extra = json.loads(output)
    assert extra["save"] < 0.05
    assert extra["strided"] < 0.05
    assert extra["load"] < 0.05
