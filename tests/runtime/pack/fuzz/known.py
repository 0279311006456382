"""The differences from ComfyUI 0.33.0 that stay, each with its reason; docs/embedded-nodes.md lists them."""

from __future__ import annotations

import posixpath
from typing import Any

import torch

from tests.runtime.pack.fuzz.cases import Case
from tests.runtime.pack.fuzz.compare import Outcome, differences, failed


def reason_to_differ(case: Case, theirs: Outcome, mine: Outcome) -> str | None:
    """Return why what came of a case may differ, None where it may not."""
    inputs = case.prompt["node"]["inputs"]
    if "lanczos" in inputs.values() and _lost_a_dimension(case, theirs, mine):
        return "lanczos keeps the dimensions of images with one channel and of masks of one row"
    if case.class_type == "VAEDecodeTiled" and failed(mine) and _value(case, inputs["tile_size"]) < 1:
        return "a tile has at least one pixel"
    if case.class_type == "PreviewImage" and not differences(_unnamed(theirs), _unnamed(mine)):
        return "previews of each item of a list have random letters of their own, and are numbered from 1"
    if case.class_type in ("SaveImage", "SaveLatent", "SaveText") and _overwrites(case):
        only_files = not differences({**theirs, "ui": None, "files": {}}, {**mine, "ui": None, "files": {}})
        return "earlier files are not overwritten where the prefix ends in a folder" if only_files else None
    if case.class_type == "StringFormat" and "tensor(" in str(theirs.get("outputs")) and not failed(mine):
        return "in ComfyUI the text of a tensor depends on whether PreviewAny ran before in the same process"
    return None


def _overwrites(case: Case) -> bool:
    """Return whether ComfyUI finds no earlier file: it compares names with the prefix as it was written."""
    prefix = case.prompt["node"]["inputs"]["filename_prefix"]
    return bool(prefix.rpartition("/")[2] != posixpath.normpath(prefix).rpartition("/")[2])


def _unnamed(outcome: Outcome) -> Outcome:
    """Return an outcome without the names of its files."""
    if failed(outcome):
        return outcome
    files = {f"{number}.png": content for number, content in enumerate(sorted(outcome["files"].values()))}
    return {**outcome, "ui": {"images": len(outcome["ui"]["images"])}, "files": files}


def _value(case: Case, given: Any) -> Any:
    """Return the least value of an input, whether it is a literal or arrives over a link."""
    return min(case.values[given[0]]) if isinstance(given, list) else given


def _lost_a_dimension(case: Case, theirs: Outcome, mine: Outcome) -> bool:
    if failed(mine):
        return False
    if failed(theirs):  # what is left of images with one channel does not go into the padded one
        images = [image for given in case.values.values() for image in given if isinstance(image, torch.Tensor)]
        return case.class_type == "ResizeAndPadImage" and any(image.shape[-1] == 1 for image in images)
    pairs = zip(theirs["outputs"][0], mine["outputs"][0], strict=False)
    return any(real.ndim < ours.ndim for real, ours in pairs)
