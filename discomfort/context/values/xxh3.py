"""XXH3-128 in numpy, for a Python that has no ``xxhash`` (a ComfyUI server's own, for one).

The algorithm and its constants are those of the published specification
(github.com/Cyan4973/xxHash, doc/xxhash_spec.md, "XXH3 long inputs", default secret, seed 0).
Inputs shorter than 241 bytes follow other rules, which nothing here needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Lanes = npt.NDArray[np.uint64]

_STRIPE, _BLOCK, _STRIPES = 64, 1024, 16
_BATCH = 64  # chunks folded together: enough to make the sequential step cheap, few enough to stay in cache
_MASK64 = (1 << 64) - 1
_PRIME32_1, _PRIME32_2, _PRIME32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
_PRIME64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def _keys(offset: int, count: int) -> Lanes:
    return np.frombuffer(_SECRET, "<u8", count, offset).astype(np.uint64)


_STRIPE_KEYS = np.stack([_keys(8 * stripe, 8) for stripe in range(_STRIPES)])
_SCRAMBLE_KEY = _keys(192 - _STRIPE, 8)
_LAST_KEY = _keys(192 - _STRIPE - 7, 8)
_START = np.array(
    [_PRIME32_3, _PRIME64[0], _PRIME64[1], _PRIME64[2], _PRIME64[3], _PRIME32_2, _PRIME64[4], _PRIME32_1], np.uint64
)
_SWAP = [1, 0, 3, 2, 5, 4, 7, 6]
_LOW32, _SHIFT32, _SHIFT47, _PRIME = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(47), np.uint64(_PRIME32_1)


def digests(chunks: Sequence[Any]) -> list[bytes]:
    """XXH3-128 (seed 0, big-endian) of buffers that are all of one length of at least 241 bytes."""
    results: list[bytes] = []
    for start in range(0, len(chunks), _BATCH):
        batch = [np.frombuffer(chunk, np.uint8) for chunk in chunks[start : start + _BATCH]]
        results += _digest_batch(batch, len(batch[0]))
    return results


def _digest_batch(batch: list[npt.NDArray[np.uint8]], length: int) -> list[bytes]:
    blocks = (length - 1) // _BLOCK
    accumulators = np.tile(_START, (len(batch), 1))
    if blocks:
        folded = np.stack([_fold(data[: blocks * _BLOCK].reshape(blocks, _BLOCK)) for data in batch])
        for block in range(blocks):
            accumulators += folded[:, block]
            accumulators ^= accumulators >> _SHIFT47
            accumulators ^= _SCRAMBLE_KEY
            accumulators *= _PRIME
    stripes = (length - 1 - blocks * _BLOCK) // _STRIPE
    for row, data in enumerate(batch):
        tail = data[blocks * _BLOCK : blocks * _BLOCK + stripes * _STRIPE]
        if stripes:
            accumulators[row] += _accumulate(tail.view("<u8").reshape(1, stripes, 8), _STRIPE_KEYS[:stripes])[0]
        last = np.ascontiguousarray(data[length - _STRIPE :]).view("<u8").reshape(1, 1, 8)
        accumulators[row] += _accumulate(last, _LAST_KEY[None])[0]
    return [_finish(row.tolist(), length) for row in accumulators]


def _fold(blocks: npt.NDArray[np.uint8]) -> Lanes:
    return _accumulate(np.ascontiguousarray(blocks).view("<u8").reshape(len(blocks), _STRIPES, 8), _STRIPE_KEYS)


def _accumulate(words: Lanes, keys: Lanes) -> Lanes:
    """What the stripes of each block add to the eight lanes; independent of the lanes, hence vectorised."""
    lanes: Lanes = words.sum(axis=1, dtype=np.uint64)[:, _SWAP]
    keyed = words ^ keys
    high = keyed >> _SHIFT32
    keyed &= _LOW32
    keyed *= high
    lanes += keyed.sum(axis=1, dtype=np.uint64)
    return lanes


def _finish(lanes: list[int], length: int) -> bytes:
    low = _merge(lanes, 11, length * _PRIME64[0])
    high = _merge(lanes, 192 - _STRIPE - 11, ~(length * _PRIME64[1]))
    return high.to_bytes(8, "big") + low.to_bytes(8, "big")


def _merge(lanes: list[int], offset: int, start: int) -> int:
    keys = _keys(offset, 8).tolist()
    total = start & _MASK64
    for pair in range(0, 8, 2):
        product = (lanes[pair] ^ keys[pair]) * (lanes[pair + 1] ^ keys[pair + 1])
        total += (product & _MASK64) ^ (product >> 64)
    total &= _MASK64
    total ^= total >> 37
    total = total * 0x165667919E3779F9 & _MASK64
    return total ^ (total >> 32)
