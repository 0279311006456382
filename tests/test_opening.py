"""Pictures with more pixels than Pillow opens: a sentence with the file, its size and the limit, wherever from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.channels.png import picture_of
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders
from discomfort.runtime.engines.protocol import NodeFailed
from discomfort.tools import WorkflowTools

SIZES = "is a picture of 100 pixels, and Pillow opens at most 8"


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "input" / "large.png"
    path.parent.mkdir()
    Image.new("RGB", (10, 10)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)  # twice as many are an error, more than it a warning
    return path


def test_opened_as_a_tensor(picture: Path) -> None:
    with pytest.raises(ValueError, match=f"{picture.name} {SIZES}.*MAX_IMAGE_PIXELS"):
        WorkflowTools().open_image_as_tensor(picture)


def test_loaded_by_a_node(picture: Path) -> None:
    engine = EmbeddedEngine(Folders(*[picture.parent] * 4))
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": picture.name}},
        "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "out", "tags": "", "input": ["1", 0]}},
    }
    with WorkflowContext(max_ram_gb=0.01) as context, pytest.raises(NodeFailed, match=f"{picture.name} {SIZES}"):
        discomfort.compile([workflow]).run(context, engine=engine)


def test_shown_by_a_server_without_our_nodes(picture: Path) -> None:
    with pytest.raises(ValueError, match=SIZES):
        picture_of([picture.read_bytes()], is_mask=False)


def test_one_that_is_small_enough_is_opened(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert torch.equal(WorkflowTools().open_image_as_tensor(picture), torch.zeros(1, 10, 10, 3))
