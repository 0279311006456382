"""Saving and loading IMAGE tensors: the context, and what else one could use, in one run.

``pytest benchmarks/test_context_tensors.py --benchmark-only`` times each by itself, grouped by size.
``pytest benchmarks/test_context_tensors.py -k report -s`` interleaves them and prints ratios to a warm memcpy, which
is what to compare where neighbours disturb the clock.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.context.values.digest import hash_view

SIZES = {"12MB": (1, 1024, 1024, 3), "256MB": (22, 1024, 1024, 3), "1GB": (86, 1024, 1024, 3)}
ROUNDS = {"12MB": 30, "256MB": 8, "1GB": 4}


class Rival(Protocol):
    """Something that can keep a tensor for another process."""

    def save(self, image: torch.Tensor) -> None: ...
    def load(self) -> Any: ...
    def close(self) -> None: ...


class Memcpy:
    """Into memory that was touched before, alternating two buffers as a store has to."""

    def __init__(self, image: torch.Tensor, _: Path) -> None:
        self.buffers = [np.ones_like(image.numpy()) for _ in range(2)]
        self.turn = 0

    def save(self, image: torch.Tensor) -> None:
        self.turn ^= 1
        np.copyto(self.buffers[self.turn], image.numpy())

    def load(self) -> Any:
        return self.buffers[self.turn]

    def close(self) -> None:
        self.buffers.clear()


class Context:
    """The context, digest and commit included; three saves make its pool warm."""

    def __init__(self, image: torch.Tensor, tmpfs: Path) -> None:
        self.context = WorkflowContext(max_ram_gb=4 * image.nbytes / (1 << 30) + 0.1)
        for _ in range(3):
            change(image)
            self.save(image)

    def save(self, image: torch.Tensor) -> None:
        self.context.save("image", image)

    def load(self) -> Any:
        return self.context.load("image")

    def close(self) -> None:
        self.context.shutdown()


class CloudpickleSharedMemory:
    """cloudpickle into ``multiprocessing.shared_memory``."""

    def __init__(self, image: torch.Tensor, _: Path) -> None:
        self.memory: SharedMemory | None = None

    def save(self, image: torch.Tensor) -> None:
        import cloudpickle

        self.close()
        data = cloudpickle.dumps(image)
        self.memory = SharedMemory(create=True, size=len(data))
        assert self.memory.buf is not None
        self.memory.buf[: len(data)] = data

    def load(self) -> Any:
        import cloudpickle

        assert self.memory is not None
        assert self.memory.buf is not None
        return cloudpickle.loads(bytes(self.memory.buf))

    def close(self) -> None:
        if self.memory is not None:
            self.memory.close()
            self.memory.unlink()
            self.memory = None


class Safetensors:
    """safetensors to a file on tmpfs."""

    def __init__(self, image: torch.Tensor, directory: Path) -> None:
        pytest.importorskip("safetensors", reason="safetensors is not installed")
        self.path = directory / "image.safetensors"

    def save(self, image: torch.Tensor) -> None:
        from safetensors.torch import save_file

        save_file({"image": image}, self.path)

    def load(self) -> Any:
        from safetensors.torch import load_file

        return load_file(self.path)["image"]

    def close(self) -> None:
        self.path.unlink(missing_ok=True)


class Ray:
    """Ray's object store."""

    def __init__(self, image: torch.Tensor, _: Path) -> None:
        self.ray = pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
        self.ray.init(
            num_cpus=1,
            object_store_memory=4 * image.nbytes + (200 << 20),
            include_dashboard=False,
            logging_level="error",
            log_to_driver=False,
        )
        self.reference: Any = None

    def save(self, image: torch.Tensor) -> None:
        self.reference = self.ray.put(image)

    def load(self) -> Any:
        return self.ray.get(self.reference)

    def close(self) -> None:
        self.ray.shutdown()


RIVALS: dict[str, Callable[[torch.Tensor, Path], Rival]] = {
    "memcpy": Memcpy,
    "context": Context,
    "cloudpickle": CloudpickleSharedMemory,
    "safetensors": Safetensors,
    "ray": Ray,
}


def change(image: torch.Tensor) -> None:
    """One element more: an equal value would not be stored again."""
    image.view(-1)[0] += 1


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    shared = Path("/dev/shm")
    if not shared.is_dir():
        yield tmp_path
        return
    place = shared / f"discomfort-benchmark-{time.monotonic_ns()}"
    place.mkdir(mode=0o700)
    yield place
    for path in place.iterdir():
        path.unlink()
    place.rmdir()


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(size: str) -> torch.Tensor:
    return torch.rand(*SIZES[size])


@pytest.fixture(params=RIVALS)
def rival(request: pytest.FixtureRequest, image: torch.Tensor, tmpfs: Path) -> Iterator[Rival]:
    made = RIVALS[request.param](image, tmpfs)
    yield made
    gc.collect()
    made.close()


def test_save(benchmark: Any, rival: Rival, image: torch.Tensor, size: str) -> None:
    benchmark.group = f"save {size}"

    def setup() -> tuple[tuple[torch.Tensor], dict[str, Any]]:
        change(image)
        return (image,), {}

    benchmark.pedantic(rival.save, setup=setup, rounds=ROUNDS[size], warmup_rounds=1)


def test_load(benchmark: Any, rival: Rival, image: torch.Tensor, size: str) -> None:
    benchmark.group = f"load {size}"
    rival.save(image)
    benchmark.pedantic(rival.load, rounds=ROUNDS[size], warmup_rounds=1)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def second_look(value: Any) -> float:
    """Seconds to read a value whose pages are mapped already."""
    tensor = torch.as_tensor(value)
    tensor.sum()
    return seconds(tensor.sum)


def test_report(image: torch.Tensor, size: str, tmpfs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ratios to memcpy, each the best and the median of interleaved rounds; loading right after others' copies."""
    rivals: dict[str, Rival] = {}
    lines = []
    for name, make in RIVALS.items():
        try:
            rivals[name] = make(image, tmpfs)
        except pytest.skip.Exception as skipped:
            lines.append(f"  {name:12s} {skipped}")
    saves: dict[str, list[float]] = {name: [] for name in (*rivals, "hashing")}
    loads: dict[str, list[float]] = {name: [] for name in rivals}
    reads: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(ROUNDS[size]):
        for name, rival in rivals.items():
            change(image)
            saves[name].append(seconds(lambda rival=rival: rival.save(image)))  # type: ignore[misc]
            loads[name].append(seconds(lambda rival=rival: rival.load()))  # type: ignore[misc]
            reads[name].append(second_look(rival.load()))
        saves["hashing"].append(seconds(lambda: hash_view(image.numpy().reshape(-1).view(np.uint8).data)))
    gc.collect()
    for rival in rivals.values():
        rival.close()
    best, middle = min(saves["memcpy"]), statistics.median(saves["memcpy"])
    for name, times in saves.items():
        load = "part of what the context does"
        if name in loads:
            read = min(reads[name]) / min(reads["memcpy"])
            load = f"load {min(loads[name]) * 1e3:8.3f} ms, read {read:5.2f} x"
        ratio = f"{min(times) / best:6.2f} x (median {statistics.median(times) / middle:6.2f} x)"
        lines.append(f"  {name:12s} save {min(times) * 1e3:8.2f} ms = {ratio}, {load}")
    with capsys.disabled():
        print(f"\n{size}:", *lines, sep="\n")
