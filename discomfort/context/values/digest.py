"""Content digests: equal content, equal digest, on every machine and whatever is installed.

Bulk bytes are cut into chunks of 1 MiB. A chunk of more than 240 bytes is hashed with XXH3-128, a shorter one with
BLAKE2b-128; the digest of a value is BLAKE2b-128 over its structure and its chunk digests. XXH3 is not a cryptographic
hash: it guards against accidents, as one process's memory does, and it is the only one that keeps up with memcpy.
See docs/contributing/libraries.md for what was measured.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Protocol

from discomfort.server_access.protocol import DIGEST

CHUNK = 1 << 20
DIGEST_PATTERN = re.compile(DIGEST)
_XXH3_MINIMUM = 241
_PARALLEL_BYTES = 4 << 20
_MAX_THREADS = 4
_CORES = os.cpu_count() or 1


class _ChunkHasher(Protocol):
    def __call__(self, chunks: Sequence[Any]) -> list[bytes]: ...


def _select_hasher() -> tuple[_ChunkHasher, int]:
    """The fastest XXH3 there is, and how many chunks it likes to be given at a time."""
    try:
        from xxhash import xxh3_128_digest
    except ImportError:
        from discomfort.context.values import xxh3

        return xxh3.digests, 64
    return (lambda chunks: [xxh3_128_digest(chunk) for chunk in chunks]), 1


_hasher: tuple[_ChunkHasher, int] | None = None


def hash_chunks(chunks: Sequence[Any]) -> list[bytes]:
    """Digest each chunk of bytes (16 bytes a digest); all but the last are of one length."""
    global _hasher
    if _hasher is None:
        _hasher = _select_hasher()
    if not chunks:
        return []
    *body, last = chunks
    digests = _hasher[0](body) if body else []
    if len(last) < _XXH3_MINIMUM:
        digests.append(hashlib.blake2b(last, digest_size=16).digest())
    else:
        digests += _hasher[0]([last])
    return digests


def chunks_at_once() -> int:
    """How many chunks should be handed to `hash_chunks` together."""
    hash_chunks([b""])
    assert _hasher is not None
    return _hasher[1]


def value_digest(structure: bytes, leaves: Iterable[tuple[int, Sequence[bytes]]]) -> str:
    """Combine a structure and, in order of occurrence, the size and chunk digests of its leaves."""
    state = hashlib.blake2b(structure, digest_size=16, person=b"discomfort-d1")
    for size, digests in leaves:
        state.update(b"%d:" % size)
        state.update(b"".join(digests))
    return "d1-" + state.hexdigest()


def hash_view(view: memoryview) -> list[bytes]:
    """Digest contiguous bytes chunk by chunk, on several threads where that pays."""
    starts = range(0, len(view), CHUNK)
    digests: list[bytes] = [b""] * len(starts)
    group = chunks_at_once()

    def work(first: int, last: int) -> None:
        for index in range(first, last, group):
            stop = min(index + group, last)
            digests[index:stop] = hash_chunks([view[starts[i] : starts[i] + CHUNK] for i in range(index, stop)])

    split_work(work, len(starts), len(view))
    return digests


def split_work(work: Callable[[int, int], None], count: int, size: int) -> None:
    """Call ``work(first, last)`` over ranges that cover ``range(count)``, on threads when `size` bytes justify it."""
    threads = min(_MAX_THREADS, _CORES, count) if size >= _PARALLEL_BYTES else 1
    if threads <= 1:
        work(0, count)
        return
    bounds = [count * part // threads for part in range(threads + 1)]
    helpers = _workers()
    try:
        others = [helpers.submit(work, bounds[part], bounds[part + 1]) for part in range(1, threads)]
    except RuntimeError:  # the interpreter is shutting down
        work(0, count)
        return
    try:
        work(bounds[0], bounds[1])
    finally:
        wait(others)
    for other in others:
        other.result()


_executor: ThreadPoolExecutor | None = None


def _workers() -> ThreadPoolExecutor:
    global _executor
    if _executor is None:
        _executor = ThreadPoolExecutor(_MAX_THREADS, "discomfort-copy")
    return _executor


def _forget_workers() -> None:
    """Threads do not survive a fork."""
    global _executor
    _executor = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
