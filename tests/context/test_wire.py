"""What comes over a network is decoded without pickle, whatever it says (C7)."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discomfort.context.errors import EncodingError, WireError
from discomfort.context.values.encode import encode
from discomfort.context.values.wire import decode_wire, encode_wire
from tests.context.test_values import Holder, same, values


class Exploit:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def forge(structure: Any, leaves: list[bytes], occurrences: Any = None, sizes: Any = None) -> bytes:
    """A blob with a valid checksum and whatever content."""
    fields = {
        "s": structure if isinstance(structure, str) else json.dumps(structure),
        "o": list(range(len(leaves))) if occurrences is None else occurrences,
        "b": [len(leaf) for leaf in leaves] if sizes is None else sizes,
        "t": "?",
    }
    body = json.dumps(fields).encode()
    blob = struct.pack("<8sII", b"DSCBLOB1", len(body), zlib.crc32(body)) + body
    blob += bytes(-len(blob) % 64)
    for leaf in leaves:
        blob += leaf + bytes(-len(leaf) % 64)
    return blob


@given(values)
def test_C7_plain_values_travel(value: Any) -> None:
    assert same(decode_wire(encode_wire(value)), value)


def test_C7_latents_and_audio_travel() -> None:
    latent = {"samples": torch.randn(1, 4, 8, 8), "noise_mask": np.ones((8, 8), np.float16)}
    audio = {"waveform": torch.randn(1, 2, 4410).to(torch.bfloat16), "sample_rate": 44100}
    received = decode_wire(encode_wire([latent, audio]))
    assert same(received, [latent, audio])
    received[0]["samples"] += 1  # ours to change


@pytest.mark.parametrize(
    "value",
    [{1, 2}, Holder("x", torch.ones(1), None), lambda: 1, np.array([None])],
    ids=lambda value: type(value).__name__,
)
def test_C7_what_needs_pickle_is_not_sent(value: Any) -> None:
    with pytest.raises(EncodingError, match="is not made of JSON values, tensors and arrays"):
        encode_wire([value])


def test_C7_hostile_pickles_are_not_opened(tmp_path: Path) -> None:
    target = tmp_path / "exploited"
    payload = pickle.dumps(Exploit(target))
    hostile = [
        payload,
        encode(Exploit(target)).to_bytes(),
        forge({"$": "pickle", "n": 0, "parts": []}, [payload]),
        forge([{"a": {"$": "tuple", "v": [{"$": "pickle", "n": 0, "parts": []}]}}], [payload]),
        forge({"$": "dict", "v": [[{"$": "pickle", "n": 0, "parts": []}, 1]]}, [payload]),
        forge({"$": "array", "n": 0, "dtype": "|O", "shape": [1]}, [payload[:8]]),
        forge({"$": "array", "n": 0, "dtype": [["a", "|O"]], "shape": [1]}, [payload[:8]]),
        forge({"$": "scalar", "dtype": "|O", "v": payload[:8].hex()}, []),
        forge({"$": "array", "n": 0, "dtype": "object", "shape": [1]}, [payload[:8]]),
    ]
    for data in hostile:
        with pytest.raises(WireError):
            decode_wire(data)
    assert not target.exists()
    pickle.loads(payload)
    assert target.exists()  # the exploit would have worked


F4 = {"$": "tensor", "n": 0, "dtype": "float32"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"DSCBLOB1",
        forge({**F4, "shape": [2]}, [bytes(4)]),
        forge({**F4, "shape": [1 << 40, 1 << 40]}, [bytes(4)]),
        forge({**F4, "shape": [-1]}, [bytes(4)]),
        forge({**F4, "shape": ["1"]}, [bytes(4)]),
        forge({**F4, "shape": 1}, [bytes(4)]),
        forge({**F4, "shape": [0, 1 << 70]}, [b""]),
        forge({**F4, "dtype": "load", "shape": [1]}, [bytes(4)]),
        forge({**F4, "dtype": "__name__", "shape": [1]}, [bytes(4)]),
        forge({**F4, "dtype": ["float32"], "shape": [1]}, [bytes(4)]),
        forge({**F4, "n": 1, "shape": [1]}, [bytes(4)]),
        forge({**F4, "n": -1, "shape": [1]}, [bytes(4)]),
        forge({**F4, "n": "0", "shape": [1]}, [bytes(4)]),
        forge({**F4, "shape": [1]}, [bytes(4)], occurrences=[5]),
        forge({**F4, "shape": [1]}, [bytes(4)], sizes=[-4]),
        forge({**F4, "shape": [1]}, [bytes(4)], sizes=[1 << 60]),
        forge({**F4, "shape": [1]}, [bytes(4)], sizes=["4"]),
        forge({**F4, "shape": [1]}, [bytes(4)], sizes=4),
        forge({"$": "array", "n": 0, "dtype": "<f4, |O", "shape": [1]}, [bytes(4)]),
        forge({"$": "array", "n": 0, "dtype": "x" * 99, "shape": [1]}, [bytes(4)]),
        forge({"$": "array", "n": 0, "shape": [1]}, [bytes(4)]),
        forge({"$": "scalar", "dtype": "<i4", "v": "zz"}, []),
        forge({"$": "int", "v": 5}, []),
        forge({"$": "complex", "v": ["a"]}, []),
        forge({"$": "tuple"}, []),
        forge({"$": "dict", "v": [[[], 1]]}, []),
        forge({"$": ["tuple"], "v": []}, []),
        forge({"$": "unknown"}, []),
        forge("[" * 100_000, []),
        forge("[" * 500 + "]" * 500, []),
        forge("{", []),
    ],
)
def test_C7_forged_values_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_wire(data)


@given(st.binary(max_size=300), st.integers(0, 400), values)
def test_C7_noise_is_refused_or_harmless(noise: bytes, position: int, value: Any) -> None:
    data = bytearray(encode_wire(value))
    data[position : position + len(noise)] = noise
    with contextlib.suppress(WireError):  # any other exception fails the test
        decode_wire(bytes(data))
