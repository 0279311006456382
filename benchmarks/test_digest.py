"""How fast candidates for the content digest are on one core, next to a copy of the same bytes.

`python -m pytest benchmarks/test_digest.py -s` prints the rows of the table in docs/contributing/libraries.md.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from discomfort.context.values import xxh3
from discomfort.context.values.digest import CHUNK

MEBIBYTES = 128
ROUNDS = 7


def candidates() -> Iterator[tuple[str, Callable[[list[memoryview]], object]]]:
    """Yield hashes of 1 MiB chunks by name."""
    yield "copy", lambda chunks: [bytes(chunk) for chunk in chunks]
    xxhash = pytest.importorskip("xxhash")
    yield "XXH3-128, xxhash", lambda chunks: [xxhash.xxh3_128_digest(chunk) for chunk in chunks]
    yield "XXH3-128, numpy", xxh3.digests
    try:
        import blake3  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        pass
    else:
        yield "BLAKE3, blake3", lambda chunks: [blake3.blake3(chunk).digest() for chunk in chunks]
    yield "SHA-256, hashlib", lambda chunks: [hashlib.sha256(chunk).digest() for chunk in chunks]
    yield "BLAKE2b, hashlib", lambda chunks: [hashlib.blake2b(chunk, digest_size=16).digest() for chunk in chunks]


def gibibytes_a_second(work: Callable[[list[memoryview]], object], chunks: list[memoryview]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work(chunks)
        seconds.append(time.process_time() - start)
    return sum(map(len, chunks)) / 2**30 / min(seconds)


def test_digests_of_chunks() -> None:
    view = memoryview(np.random.default_rng(0).bytes(MEBIBYTES << 20))
    chunks = [view[start : start + CHUNK] for start in range(0, len(view), CHUNK)]
    speeds = {name: gibibytes_a_second(work, chunks) for name, work in candidates()}
    print()
    for name, speed in speeds.items():
        print(f"| {name} | {speed:.2f} | {speed / speeds['copy']:.2f} |")
    assert speeds["XXH3-128, xxhash"] > speeds["XXH3-128, numpy"]
