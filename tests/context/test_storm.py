"""Two processes with eight threads each on a budget far too small for what they save: contents are checked (C2, C5)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from discomfort.context.context import WorkflowContext
from tests.context.conftest import Launch

BUDGET = 4 / 1024
"""GiB. The values of one process alone take several times as much."""

STORM = """
import collections, json, random, sys, threading, time
import torch
torch.set_num_threads(1)
from discomfort.context.context import WorkflowContext
context = WorkflowContext.attach(json.loads(sys.argv[1]))
me, seconds, seed = sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
end = time.monotonic() + seconds
done, failures, kept = collections.Counter(), [], {}
SIZES = 15_000, 180_000, 200_000
FILLS, OWN = 12, 4

def tensor(fill, size):
    return torch.full((size,), fill, dtype=torch.int32)

def whole(value):
    return len(value) in SIZES and bool((value == value[0]).all())

class Thread:
    def __init__(self, number):
        self.number, self.random, self.model = number, random.Random(seed * 100 + number), {}

    def name(self):
        return f"{me}-{self.number}-{self.random.randrange(OWN)}"

    def value(self):
        return self.random.randrange(FILLS), self.random.choice(SIZES)

    def save(self):
        name = self.name()
        self.model[name] = self.value()
        context.save(name, tensor(*self.model[name]), use_ram=self.random.random() < 0.9)

    def load(self):
        name = self.name()
        if name in self.model:
            assert torch.equal(context.load(name), tensor(*self.model[name])), name
        else:
            assert name not in context

    def peek(self):
        names = [name for name in context.list_keys() if not name.endswith("-ref")]
        try:
            assert whole(context.load(self.random.choice(names)))
        except KeyError:
            done["gone"] += 1

    def delete(self):
        name = self.name()
        if self.model.pop(name, None):
            context.delete(name)

    def pair(self):
        fill, size = self.value()
        with context.transaction():
            left, right = context.load("left"), context.load("right")
            assert torch.equal(left, right) and whole(left)
            context.save("left", tensor(fill, size))
            context.save("right", tensor(fill, size))

    def put(self):
        fill, size = self.value()
        digest = context.values.put(tensor(fill, size))
        assert torch.equal(context.values.get(digest), tensor(fill, size))
        context.memos.put(f"{fill} {size}", {"value": digest})
        if self.random.random() < 0.5:
            name = self.name()
            context.names.save_digest(name, digest)
            self.model[name] = fill, size  # the name took it over
        else:
            context.values.release(digest)

    def recall(self):
        fill, size = self.value()
        memo = context.memos.get(f"{fill} {size}")
        if memo is not None and context.values.hold(memo["value"]):
            assert torch.equal(context.values.get(memo["value"]), tensor(fill, size))
            context.values.release(memo["value"])

    def reference(self):
        fill, size = self.value()
        digest = context.values.put(tensor(fill, size))
        context.save(f"{me}-{self.number}-ref", {"captured": digest}, pass_by="ref")  # which takes it over
        recipe = context.recipe(f"{me}-{self.number}-ref")
        assert torch.equal(context.values.get(recipe["captured"]), tensor(fill, size))
        context.delete(f"{me}-{self.number}-ref")

    def work(self):
        actions = [self.save] * 6 + [self.load] * 6 + [self.peek] * 2
        actions += [self.delete, self.pair, self.put, self.recall, self.reference]
        try:
            while time.monotonic() < end and not failures:
                action = self.random.choice(actions)
                done[action.__name__] += 1
                action()
        except BaseException as error:
            failures.append(repr(error))
            raise
        finally:
            kept.update(self.model)

workers = [Thread(number) for number in range(8)]
threads = [threading.Thread(target=worker.work) for worker in workers]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps({"done": done, "kept": kept, "failures": failures}), flush=True)
context.shutdown()
"""


def storm(config: Path, launch: Launch, seconds: float) -> dict[str, int]:
    """Returns how often what was done."""
    with WorkflowContext(config, max_ram_gb=BUDGET, max_memo_gb=BUDGET) as context:
        context.save("left", torch.zeros(15_000, dtype=torch.int32))
        context.save("right", torch.zeros(15_000, dtype=torch.int32))
        handle = json.dumps(context.handle())
        processes = [launch(STORM, handle, name, seconds, seed) for seed, name in enumerate(("one", "two"))]
        reports = [json.loads(process.communicate(timeout=seconds + 120)[0]) for process in processes]
        assert [report["failures"] for report in reports] == [[], []]
        assert context.verify() == []
        expected = {name: value for report in reports for name, value in report["kept"].items()}
        assert sorted(context.list_keys()) == sorted([*expected, "left", "right"])
        for name, (fill, size) in expected.items():
            assert torch.equal(context.load(name), torch.full((size,), fill, dtype=torch.int32)), name
        usage = context.get_usage()
        assert usage["ram_usage_bytes"] <= usage["ram_capacity_bytes"]
        assert usage["memo_usage_bytes"] <= usage["memo_capacity_bytes"]
        assert usage["held_values_count"] == usage["unfinished_disk_bytes"] == 0
        counts = [report["done"] for report in reports]
        return {action: sum(count.get(action, 0) for count in counts) for action in counts[0]}


def test_C5_two_processes_with_eight_threads_corrupt_nothing(config: Path, launch: Launch) -> None:
    assert storm(config, launch, 5)["save"] > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_C5_two_processes_with_eight_threads_corrupt_nothing_in_five_minutes(
    config: Path, launch: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = storm(config, launch, 300)
    with capsys.disabled():
        print(f"\n{sum(done.values())} operations without a fault: {done}")
