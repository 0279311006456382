"""Reading and writing small safetensors files, without the library.

Format: eight bytes little-endian header length, a JSON header (name → dtype, shape, byte range), the data;
https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

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
    """Read the tensors of a safetensors file. Raises ValueError when it is not one."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or end > len(data):
        raise ValueError(f"{path} is no safetensors file")
    tensors = {}
    for name, entry in json.loads(data[8:end]).items():
        if name != "__metadata__":
            start, stop = entry["data_offsets"]
            values = (
                torch.frombuffer(bytearray(data[end + start : end + stop]), dtype=torch.uint8) if stop > start else None
            )
            empty = torch.empty(entry["shape"], dtype=DTYPES[entry["dtype"]])
            tensors[name] = empty if values is None else values.view(empty.dtype).reshape(entry["shape"])
    return tensors
