"""A checkpoint that draws noise but loads, encodes, samples and decodes on a real ComfyUI as any other.

The shapes are Stable Diffusion 1.5's (`sd15_shapes.json.gz`: name → dtype, shape), the weights random, 2.1 GB in fp16.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from pathlib import Path

import torch
from safetensors.torch import save_file

_SHAPES = Path(__file__).with_name("sd15_shapes.json.gz")
_DTYPES = {"F16": torch.float16, "F32": torch.float32, "I64": torch.int64}
_POOL = 2**22  # so many random numbers, taken again and again: noise enough, and quick to make


def place_checkpoint(path: Path) -> None:
    """Put a `.safetensors` checkpoint at `path`: the one that DISCOMFORT_TEST_CHECKPOINT names, or a new one."""
    if given := os.environ.get("DISCOMFORT_TEST_CHECKPOINT"):
        path.symlink_to(Path(given).resolve())
        return
    pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(0))
    shapes = json.loads(gzip.decompress(_SHAPES.read_bytes()))
    save_file({name: _weight(name, _DTYPES[kind], shape, pool) for name, (kind, shape) in shapes.items()}, path)


def _weight(name: str, dtype: torch.dtype, shape: list[int], pool: torch.Tensor) -> torch.Tensor:
    """Return a tensor whose products neither explode nor vanish: scaled by the number of inputs; norms do nothing."""
    if dtype is not torch.float16:
        return torch.zeros(shape, dtype=dtype)
    if len(shape) < 2:
        return torch.full(shape, float(name.endswith("weight")), dtype=dtype)
    scaled = (pool * 0.5 / math.sqrt(math.prod(shape[1:]))).half()
    size = math.prod(shape)
    return scaled.repeat(-(-size // _POOL))[:size].reshape(shape).clone()
