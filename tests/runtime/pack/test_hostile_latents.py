"""Safetensors files that claim what they do not hold."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discomfort.runtime.engines.embedded.pack import safetensors_file, sizes

GOOD = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def made(entries: Any, data: bytes = bytes(16), length: int | None = None) -> bytes:
    header = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


WRONG: dict[str, bytes] = {
    "empty": b"",
    "short": b"\0" * 7,
    "a header beyond the end": made({}, length=10**6),
    "a header of exabytes": made({}, length=2**63),
    "no JSON": made(b"{"),
    "deep JSON": made(b"[" * 100_000),
    "a list": made([]),
    "a number": made(3),
    "an entry that is a list": made({"x": []}),
    "memory that was never written": made({"x": {**GOOD, "shape": [10**9], "data_offsets": [0, 0]}}),
    "a shape of petabytes": made({"x": {**GOOD, "shape": [10**9, 10**9]}}),
    "a shape with a negative side": made({"x": {**GOOD, "shape": [-2, -2]}}),
    "a shape with a fraction": made({"x": {**GOOD, "shape": [2.0, 2]}}),
    "a shape that is text": made({"x": {**GOOD, "shape": "22"}}),
    "a shape that is true": made({"x": {**GOOD, "shape": [True, 4]}}),
    "places beyond the end": made({"x": {**GOOD, "data_offsets": [16, 32]}}),
    "places before the beginning": made({"x": {**GOOD, "data_offsets": [-16, 0]}}),
    "places the wrong way": made({"x": {**GOOD, "data_offsets": [16, 0]}}),
    "one place": made({"x": {**GOOD, "data_offsets": [16]}}),
    "an unknown type": made({"x": {**GOOD, "dtype": "F999"}}),
    "a type that is a list": made({"x": {**GOOD, "dtype": []}}),
    "a huge number": made({"x": {**GOOD, "shape": [10**400]}}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_makes_no_sense_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.latent"
    path.write_bytes(WRONG[what])
    tracemalloc.start()
    with pytest.raises(ValueError, match="not a safetensors file"):
        safetensors_file.read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_what_does_not_fit_into_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.latent"
    with path.open("wb") as file:
        file.write(made({"x": {**GOOD, "shape": [1 << 28], "data_offsets": [0, 1 << 30]}}, b""))
        file.truncate(file.tell() + (1 << 30))
    monkeypatch.setattr(sizes, "available_ram", lambda: 1 << 29)
    with pytest.raises(MemoryError, match=r"1\.0 GiB"):
        safetensors_file.read(path)


@given(st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("x") / "x"
    safetensors_file.write(path, {"a": torch.ones(2, 3), "b": torch.tensor([])}, {"k": "v"})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        assert all(isinstance(tensor, torch.Tensor) for tensor in safetensors_file.read(path).values())
