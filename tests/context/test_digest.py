"""Digests are the same whatever is installed, and see every bit."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discomfort.context.values import digest, xxh3
from discomfort.context.values.digest import CHUNK, hash_view
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import leaf_digests

xxhash = pytest.importorskip("xxhash")


@given(st.binary(min_size=241, max_size=4000))
def test_C4_numpy_xxh3_is_xxh3(data: bytes) -> None:
    assert xxh3.digests([data]) == [xxhash.xxh3_128_digest(data)]


@pytest.mark.parametrize("size", [241, 1023, 1024, 1025, 2048, CHUNK - 1, CHUNK, CHUNK + 7])
def test_C4_numpy_xxh3_is_xxh3_for_chunks(size: int) -> None:
    chunks = [os.urandom(size) for _ in range(3)]
    assert xxh3.digests(chunks) == [xxhash.xxh3_128_digest(chunk) for chunk in chunks]


@pytest.mark.parametrize("size", [0, 1, 240, 241, CHUNK, CHUNK + 1, CHUNK + 240, 3 * CHUNK + 1000, 9 * CHUNK])
def test_C4_digest_does_not_depend_on_what_is_installed(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    data = memoryview(os.urandom(size))
    expected = hash_view(data)
    monkeypatch.setattr(digest, "_hasher", (xxh3.digests, 64))
    assert hash_view(data) == expected


def digest_of(value: object) -> str:
    encoded = encode(value)
    return encoded.digest(leaf_digests(encoded))


def test_C4_strided_and_contiguous_have_one_digest() -> None:
    tensor = torch.randn(3, 700, 900)
    assert digest_of(tensor.permute(2, 0, 1)) == digest_of(tensor.permute(2, 0, 1).contiguous())
    array = np.random.default_rng(0).random((1500, 1000))
    assert digest_of(array[::2]) == digest_of(array[::2].copy())


@given(st.integers(0, 3 * CHUNK + 99), st.integers(0, 7))
def test_C5_every_flipped_bit_changes_the_digest(position: int, bit: int) -> None:
    data = np.zeros(3 * CHUNK + 100, np.uint8)
    before = hash_view(memoryview(data.data))
    data[position] ^= 1 << bit
    assert hash_view(memoryview(data.data)) != before


def test_known_digests_never_change() -> None:
    """They travel in prompts and stay in memos: a new algorithm needs a new prefix."""
    assert digest_of(1) == "d1-77fd38da39e18f5703e38af0de9df7e6"
    assert digest_of(torch.arange(300_000).reshape(3, 100_000)) == "d1-7ce7a5ab842a866ef12432304192b03f"
