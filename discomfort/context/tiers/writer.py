"""Copies a value to where it will lie and hashes it on the way, chunk by chunk while the chunk is in the cache."""

from __future__ import annotations

import mmap
from typing import Any

from discomfort.context.home.os_support import write_all
from discomfort.context.values.digest import CHUNK, chunks_at_once, hash_chunks, split_work
from discomfort.context.values.encoded import Encoded
from discomfort.context.values.tensors import Leaf


class Sink:
    """Where bytes go: a shared mapping whose pages are there, or an open file."""

    def __init__(self, fd: int, mapping: mmap.mmap | None) -> None:
        self._fd = fd
        self._target: Any = None
        if mapping is not None:
            import numpy

            self._target = numpy.frombuffer(mapping, numpy.uint8)

    def put(self, data: bytes | memoryview, offset: int) -> memoryview:
        """Store bytes; returns where they now lie, or themselves. Other threads run meanwhile."""
        if self._target is None:
            write_all(self._fd, data, offset)
            return memoryview(data)
        import numpy

        place = self._target[offset : offset + len(data)]
        numpy.copyto(place, numpy.frombuffer(data, numpy.uint8))
        return memoryview(place)


def fill(sink: Sink, encoded: Encoded, header: bytes, offsets: list[int]) -> str:
    """Write a blob and return its content digest, which is that of the bytes as stored."""
    sink.put(header, 0)
    digests = [_fill_leaf(sink, leaf, offset) for leaf, offset in zip(encoded.leaves, offsets, strict=False)]
    return encoded.digest(digests)


def _fill_leaf(sink: Sink, leaf: Leaf, offset: int) -> list[bytes]:
    if leaf.view is None:
        digests = []
        for number, chunk in enumerate(leaf.chunks()):
            digests += hash_chunks([sink.put(chunk, offset + number * CHUNK)])
        return digests
    view = leaf.view
    count = -(-leaf.nbytes // CHUNK)
    results: list[bytes] = [b""] * count
    group = chunks_at_once()

    def work(first: int, last: int) -> None:
        for index in range(first, last, group):
            stop = min(index + group, last)
            stored = [
                sink.put(view[number * CHUNK : (number + 1) * CHUNK], offset + number * CHUNK)
                for number in range(index, stop)
            ]
            results[index:stop] = hash_chunks(stored)

    split_work(work, count, leaf.nbytes)
    return results
