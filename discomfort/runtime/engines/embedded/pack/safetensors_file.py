"""Reading and writing small safetensors files, without the library.

Format: eight bytes little-endian header length, a JSON header (name → dtype, shape, byte range), the data;
https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from discomfort.runtime.engines.embedded.pack.sizes import require_tensor

LARGEST_HEADER = 100 * 1024 * 1024
"""Bytes of the largest header, as in the safetensors library."""
_LARGEST_NUMBER = 2**48

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def _to_bytes(tensor: Tensor) -> bytes:
    if sys.byteorder != "little":
        raise OSError("safetensors files are little-endian; this machine is not")
    return bytes(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text metadata to `path`."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    payload = b""
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):  # as the library does
        data = _to_bytes(tensors[name])
        shape, end = list(tensors[name].shape), len(payload) + len(data)
        header[name] = {"dtype": NAMES[tensors[name].dtype], "shape": shape, "data_offsets": [len(payload), end]}
        payload += data
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + payload)


def read(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file.

    Every number in the file is compared with the bytes that are there before anything is made of it.

    Raises:
        ValueError: it is not a safetensors file, or damaged.
        MemoryError: its tensors do not fit into memory.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        start = 8 + length
        if size < 8 or length > LARGEST_HEADER or start > size:
            raise ValueError(f"{path} is not a safetensors file")
        try:
            entries = json.loads(file.read(length))
            places = {name: _place(entry, size - start) for name, entry in entries.items() if name != "__metadata__"}
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not a safetensors file: {error}") from error
        require_tensor((sum(place.stop - place.start for place in places.values()),), 1, str(path))
        return {name: _read(file, start, place) for name, place in places.items()}


class _Place(NamedTuple):
    """Where a tensor's bytes are behind the header, and what they are."""

    start: int
    stop: int
    dtype: torch.dtype
    shape: list[int]


def _place(entry: Mapping[str, Any], available: int) -> _Place:
    """Return the place that an entry of the header names.

    Raises:
        KeyError, TypeError, ValueError: it makes no sense.
    """
    start, stop = entry["data_offsets"]
    shape = entry["shape"]
    if not all(type(number) is int and 0 <= number <= _LARGEST_NUMBER for number in (start, stop, *shape)):
        raise ValueError("sizes and places are natural numbers")
    dtype = DTYPES[entry["dtype"]]
    if not start <= stop <= available or math.prod(shape) * dtype.itemsize != stop - start:
        raise ValueError(f"{stop - start} bytes for a tensor {shape} of type {entry['dtype']}")
    return _Place(start, stop, dtype, shape)


def _read(file: BinaryIO, start: int, place: _Place) -> Tensor:
    if place.stop == place.start:
        return torch.empty(place.shape, dtype=place.dtype)
    file.seek(start + place.start)
    content = bytearray(file.read(place.stop - place.start))
    return torch.frombuffer(content, dtype=torch.uint8).view(place.dtype).reshape(place.shape)
