"""How golden cases are found, written and read: one JSON file and one compressed NPZ file a theme."""

from __future__ import annotations

import importlib
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

HERE = Path(__file__).parent
GOLDENS = HERE / "goldens"
FILES = HERE / "files"
THEMES = ("images", "resizing", "masks", "batches", "latents", "text", "values", "files")


@dataclass(frozen=True)
class Case:
    """One use of a node: the prompt's inputs (with `$fixture` and `$node` stand-ins) and the files it finds."""

    theme: str
    name: str
    class_type: str
    inputs: dict[str, Any]
    files: dict[str, str]


def cases(theme: str) -> Iterator[Case]:
    """Yield the cases of a theme in the order they are written down."""
    table: dict[str, list[dict[str, Any]]] = importlib.import_module(f"tests.runtime.pack.cases.{theme}").CASES
    for class_type, uses in table.items():
        for number, use in enumerate(uses):
            inputs = {name: value for name, value in use.items() if name != "$files"}
            yield Case(theme, f"{class_type}-{number}", class_type, inputs, use.get("$files", {}))


class Arrays:
    """Tensors by key, each stored once however often it occurs."""

    def __init__(self, arrays: dict[str, npt.NDArray[Any]] | None = None) -> None:
        self.arrays = arrays or {}
        self._keys = {self._identity(array): key for key, array in self.arrays.items()}

    @staticmethod
    def _identity(array: npt.NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
        return str(array.dtype), array.shape, array.tobytes()

    def add(self, array: npt.NDArray[Any]) -> str:
        """Store `array` and return its key."""
        key = self._keys.setdefault(self._identity(array), f"t{len(self.arrays)}")
        self.arrays.setdefault(key, array)
        return key


def encode(value: Any, arrays: Arrays) -> Any:
    """Turn a node's value into JSON; tensors go to `arrays`, values that JSON would blur are tagged."""
    if isinstance(value, torch.Tensor):
        return {"$tensor": arrays.add(value.detach().contiguous().numpy())}
    if isinstance(value, dict):
        return {"$dict": [[key, encode(item, arrays)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"$list" if isinstance(value, list) else "$tuple": [encode(item, arrays) for item in value]}
    if isinstance(value, float) and value not in (value, float("inf"), float("-inf")):
        return {"$float": repr(value)}
    return value


def describe_file(data: bytes, suffix: str, arrays: Arrays) -> dict[str, Any]:
    """Describe what a node wrote so that equal means equal to whoever reads it: pixels, tensors, text."""
    if suffix == ".latent":
        end = 8 + int.from_bytes(data[:8], "little")
        return {
            "header": json.loads(data[8:end]),
            "payload": {"$tensor": arrays.add(np.frombuffer(data[end:], np.uint8))},
        }
    if suffix not in (".png", ".webp"):
        return {"text": data.decode()}
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        info = {key: value for key, value in image.info.items() if isinstance(value, str)}
        return {"mode": image.mode, "info": info, "pixels": {"$tensor": arrays.add(np.asarray(image))}}


def normalized(value: Any) -> Any:
    """Take out of file names what differs from run to run: a preview's five random letters, the date."""
    text = re.sub("_temp_[a-z]{5}_", "_temp_xxxxx_", json.dumps(value, ensure_ascii=False))
    return json.loads(text.replace(time.strftime("%Y%m%d") + "_", "YYYYMMDD_"))


def save(theme: str, records: dict[str, Any], arrays: Arrays) -> None:
    """Write a theme's goldens, one case a line."""
    GOLDENS.mkdir(exist_ok=True)
    lines = [f"{json.dumps(name)}: {json.dumps(record, ensure_ascii=False)}" for name, record in records.items()]
    (GOLDENS / f"{theme}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    np.savez_compressed(GOLDENS / f"{theme}.npz", allow_pickle=False, **arrays.arrays)


def load(theme: str) -> tuple[dict[str, Any], Arrays]:
    """Read a theme's goldens."""
    records = json.loads((GOLDENS / f"{theme}.json").read_text(encoding="utf-8"))
    with np.load(GOLDENS / f"{theme}.npz") as stored:
        return records, Arrays({key: stored[key] for key in stored.files})
