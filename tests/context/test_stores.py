"""The store of this machine and one in memory keep the same promises, and a context works on both alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.context.errors import ContextError
from discomfort.context.holds import Holds
from discomfort.context.local_store import attach_run, open_run
from discomfort.context.snapshot import Snapshot
from discomfort.context.store.protocol import Store
from tests.context.memory_store import MemoryStore
from tests.context.store_conformance import Rig, StoreConformance

ROOT = Path(__file__).parents[2]
MIB_IN_GIB = 1 / 1024


class TestLocalStore(StoreConformance):
    ram_gb = 0.5

    @pytest.fixture
    def rig(self, config: Path) -> Iterator[Rig]:
        store = open_run(config, self.ram_gb, None, True, MIB_IN_GIB)

        def damage(digest: str) -> None:
            path = Path(store.location(digest))
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)

        yield Rig(store, lambda: attach_run(store.handle()), damage)
        store.shutdown()


class TestLocalStoreWithLittleRam(TestLocalStore):
    """What is not small lies on disk most of the time."""

    ram_gb = 40_000 / (1 << 30)


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        store = MemoryStore(memo_capacity=1 << 20)
        yield Rig(store, store.attach, store.damage)
        store.shutdown()


@pytest.fixture(params=["local", "memory"])
def context(request: pytest.FixtureRequest, config: Path) -> Iterator[WorkflowContext]:
    store: Store = MemoryStore() if request.param == "memory" else open_run(config, 0.5, None, True, None)
    with WorkflowContext.over(store) as opened:
        yield opened
    assert store.closed


def test_a_context_over_any_store(context: WorkflowContext) -> None:
    context.save("seed", 7)
    context.save("image", torch.ones(1, 8, 8, 3))
    with context.transaction():
        context.save("seed", context.load("seed") + 1)
        context.save("latent", {"samples": torch.zeros(1, 4, 8, 8)})
        context.save("copy", context.load("image"))
    assert context.list_keys() == ["seed", "image", "latent", "copy"]
    assert context.load("seed") == 8
    assert context.digest("copy") == context.digest("image")
    assert context.digest("seed") == context.values.put(8)
    with pytest.raises(KeyError, match="did you mean 'image'"):
        context.load("imag")
    assert context.verify() == []
    assert "torch.float32 [1, 8, 8, 3]" in context.summary()
    assert context.get_storage_info("image") is not None
    assert context.get_usage()["stored_keys_count"] == 4
    context.delete("copy")
    assert "copy" not in context


def fail_inside_a_transaction(context: WorkflowContext) -> None:
    with context.transaction():
        context.save("image", torch.ones(3000))
        context.memos.put("key", {"value": context.digest("image")})
        raise ZeroDivisionError


def test_a_failed_transaction_leaves_nothing(context: WorkflowContext) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_inside_a_transaction(context)
    assert context.list_keys() == context.memos.list_keys() == []
    assert not context.store.read().blobs


def test_a_snapshot_and_holds_over_any_store(context: WorkflowContext) -> None:
    context.save("image", torch.ones(3000))
    with Snapshot(context, ["image"]) as run:
        context.save("image", torch.zeros(3000))
        assert torch.equal(run.load("image"), torch.ones(3000))
        run.save("out", torch.full((3000,), 2.0))
        assert "out" not in context
        run.commit({})
    assert torch.equal(context.load("out"), torch.full((3000,), 2.0))
    work = Holds(context.store)
    digest = context.values.put([1, 2], letterbox=work.letterbox())
    assert context.values.get(digest) == [1, 2]
    work.release()
    assert not context.values.has(digest)
    assert context.get_usage()["held_values_count"] == 0


def test_a_program_runs_over_any_store(context: WorkflowContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine needs of a context goes through the protocol: results, memo and side effects are the same."""
    prompt: dict[str, Any] = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 255}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "picture", "tags": "", "input": ["2", 0]}},
    }
    plan = discomfort.compile([prompt])
    first = plan.run(context, engine="embedded")
    assert torch.equal(context.load("picture"), first["picture"])
    assert context.memos.list_keys()
    assert torch.equal(plan.run(context, engine="embedded")["picture"], first["picture"])
    assert context.get_usage()["held_values_count"] == 0


def test_a_store_in_memory_has_no_handle() -> None:
    with WorkflowContext.over(MemoryStore()) as context, pytest.raises(ContextError, match="another process"):
        context.handle()
