"""Values as files of their own, and back."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import CorruptValueError, EncodingError
from tests.context.test_values import same


def test_C1_export_leaves_the_context(context: WorkflowContext, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "params.pkl"
    context.save("params", {"seed": 1, "image": torch.ones(5000)})
    context.export_data("params", path)
    assert same(pickle.loads(path.read_bytes()), {"seed": 1, "image": torch.ones(5000)})
    assert context.list_keys() == []
    assert context.get_usage()["ram_usage_bytes"] == 0
    assert [found.name for found in path.parent.iterdir()] == ["params.pkl"]
    with pytest.raises(KeyError):
        context.export_data("params", path)


def test_C1_export_refuses_refs_and_existing_files(context: WorkflowContext, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    context.save("model", {"1": {}}, pass_by="ref")
    with pytest.raises(TypeError, match="passed by reference and has no value to export"):
        context.export_data("model", path)
    context.save("x", 1)
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        context.export_data("x", path)
    assert path.read_bytes() == b"precious"
    assert context.load("x") == 1
    context.export_data("x", str(path), overwrite=True)
    assert pickle.loads(path.read_bytes()) == 1


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"a": (1, 2.5)}, "x.pkl"),
        (torch.randn(2, 3).to(torch.bfloat16), "x.safetensors"),
        ({"a": torch.ones(2), "b": torch.zeros(3, dtype=torch.int8)}, "x.safetensors"),
        ({"value": torch.ones(2)}, "x.safetensors"),
        (np.arange(6).reshape(2, 3), "x.npy"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_export_and_import(context: WorkflowContext, tmp_path: Path, value: Any, name: str) -> None:
    path = tmp_path / name
    context.save("x", value)
    context.export_data("x", path, format=path.suffix[1:])
    context.import_data("again", path)
    assert same(context.load("again"), value)


def test_export_of_an_image(context: WorkflowContext, tmp_path: Path) -> None:
    image = torch.tensor([[[-1.0, 0.5, 2.0], [0.0, 1.0, float("nan")]]])
    for number, value in enumerate((image, image[None])):
        context.save("image", value)
        context.export_data("image", tmp_path / f"{number}.png", format="png")
        context.import_data("again", tmp_path / f"{number}.png")
        loaded = context.load("again")
        assert loaded.shape == (1, 1, 2, 3)
        assert torch.equal((loaded[0] * 255).round(), torch.tensor([[[0.0, 127.0, 255.0], [0.0, 255.0, 0.0]]]))


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("text", "png", "png holds an array"),
        (torch.ones(2, 4, 4, 3), "png", "alone or in a batch of one"),
        (torch.ones(4, 4, 3, dtype=torch.int32), "png", "png holds one image"),
        (torch.ones(2, dtype=torch.bfloat16), "npy", "a tensor of a dtype numpy has"),
        ([torch.ones(2)], "safetensors", "a dict of tensors by name, not list of 1; use format='pkl'"),
        (1, "docx", "unknown format 'docx'; there are pkl, safetensors, npy, png"),
    ],
)
def test_format_that_does_not_fit(
    context: WorkflowContext, tmp_path: Path, value: Any, kind: str, message: str
) -> None:
    context.save("x", value)
    with pytest.raises(EncodingError, match=message):
        context.export_data("x", tmp_path / "x", format=kind)
    assert {path.name for path in tmp_path.iterdir()} == {"workflow_context.json", "contexts"}
    assert context.list_keys() == ["x"]


def test_npy_with_objects_is_not_imported(context: WorkflowContext, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        context.import_data("x", tmp_path / "x.npy")


@pytest.mark.parametrize("kind", ["pkl", "npy", "png", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"\xddjunk, " * 40])
def test_a_file_that_is_something_else_is_named(
    context: WorkflowContext, tmp_path: Path, kind: str, content: bytes
) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(content)
    with pytest.raises(CorruptValueError, match=rf"x\.{kind} cannot be read as {kind}"):
        context.import_data("x", path)
    with pytest.raises(FileNotFoundError):
        context.import_data("x", tmp_path / f"absent.{kind}")
    assert context.list_keys() == []
