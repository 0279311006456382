"""What a process holds, for tests of law R11: a thousand runs hold no more than ten."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Footprint:
    """Descriptors (handles on Windows), memory mappings, threads, bytes of memory; files and bytes below `places`."""

    descriptors: int
    mappings: int
    threads: int
    memory: int
    files: int
    stored: int

    def beyond(self, other: Footprint) -> Footprint:
        """Return how much more this is than `other`."""
        return Footprint(
            *(mine - theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True))
        )


def footprint(places: Iterable[Path] = (), process_id: int | None = None) -> Footprint:
    """Return what this process holds, or another one, and what lies below `places`."""
    process = psutil.Process(process_id)
    descriptors = process.num_handles() if sys.platform == "win32" else process.num_fds()
    mappings = 0 if sys.platform == "darwin" else len(process.memory_maps(grouped=False))
    sizes = [size for place in places for size in _sizes(place)]
    return Footprint(descriptors, mappings, process.num_threads(), process.memory_info().rss, len(sizes), sum(sizes))


def _sizes(place: Path) -> Iterator[int]:
    """Yield what each file below a folder takes."""
    for path in place.rglob("*"):
        try:
            if path.is_file():
                yield path.stat().st_size
        except FileNotFoundError:
            continue


def assert_flat(before: Footprint, after: Footprint, runs: int, where: str = "here") -> None:
    """Fail where `runs` runs left something each: descriptors, mappings, threads, memory or files.

    A pool may fill meanwhile and an allocator keep some room, which is far less than one of each a run.
    """
    grown = after.beyond(before)
    few = max(24, runs // 20)
    assert grown.descriptors < few, (where, grown)
    assert grown.mappings < few, (where, grown)
    assert grown.threads < 8, (where, grown)
    assert grown.files < few, (where, grown)
    assert grown.memory < max(24 << 20, runs * 4096), (where, grown)
    assert grown.stored < max(24 << 20, runs * 2048), (where, grown)


@contextmanager
def no_collector() -> Iterator[None]:
    """Turn the garbage collector off: what is freed inside was freed because nothing referred to it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def values_in_cycles(work: Callable[[], object]) -> list[Any]:
    """Return the tensors, arrays and mappings that `work` left to the collector, because something leads to itself."""
    with no_collector():
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            work()
            gc.collect()
            return [
                found for found in gc.garbage if type(found).__name__ in ("Tensor", "ndarray", "mmap", "memoryview")
            ]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()


def in_a_thread(work: Callable[[], object]) -> None:
    """Do `work` in a thread of its own, and wait for it."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
