"""Reading and writing small safetensors files with the safetensors library, within limits of our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from discomfort.runtime.engines.embedded.pack.sizes import require_tensor


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text metadata to `path`.

    Raises:
        OSError: the file cannot be written.
        ValueError: a tensor's type cannot be stored.
    """
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        content = safetensors.torch.save(contiguous, dict(metadata) or None)
    except (KeyError, safetensors.SafetensorError) as error:
        kinds = ", ".join(f"{name}: {tensor.dtype}" for name, tensor in tensors.items())
        raise ValueError(f"these tensors cannot be stored as safetensors ({kinds}): {error}") from error
    path.write_bytes(content)


def read(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file.

    The header is checked against the size of the file before anything is read into memory. The content is read and not
    mapped: a program that shortens the file meanwhile would end this process.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a safetensors file, or damaged.
        MemoryError: its tensors do not fit into memory.
    """
    with path.open("rb") as file:
        try:
            with safetensors.safe_open(path, framework="pt"):
                pass
            require_tensor((path.stat().st_size,), 1, str(path))
            return safetensors.torch.load(file.read())
        except (KeyError, TypeError, safetensors.SafetensorError) as error:
            raise ValueError(f"{path} is not a safetensors file: {error}") from error
