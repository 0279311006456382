"""Random cases that once differed from ComfyUI give what came of them there; `fuzz.recorded` says how they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import PIL
import pytest
import torch

from discomfort.context.context import WorkflowContext
from tests.runtime.pack.fuzz import recorded
from tests.runtime.pack.fuzz.campaign import shown_inputs
from tests.runtime.pack.fuzz.compare import Outcome, differences
from tests.runtime.pack.fuzz.sides import Ours
from tests.runtime.pack.test_goldens import RECORDED_WITH_PILLOW

RESAMPLED_BY_PILLOW = ("ImageGrid", "ImageStitch", "ResizeImagesByLongerEdge", "ResizeImagesByShorterEdge")
"""Classes that always resample with Pillow, others where the method says so; versions of it give other values."""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    with WorkflowContext(max_ram_gb=0.05) as context:
        yield Ours(tmp_path_factory.mktemp("ours"), context)


@pytest.mark.parametrize("name", recorded.load()[0])
def test_what_once_differed_is_as_in_comfyui(name: str, ours: Ours) -> None:
    case = recorded.case_named(name)
    assert shown_inputs(case) == recorded.inputs_then(name), "recorded for other inputs: run --record"
    theirs, mine = recorded.outcome(name), ours.run(case)
    if _depends_on_pillow(case.class_type, case.prompt["node"]["inputs"].values()):
        theirs, mine = _without_values(theirs), _without_values(mine)
    assert differences(theirs, mine) == []


def _depends_on_pillow(class_type: str, inputs: Iterable[Any]) -> bool:
    older = int(PIL.__version__.partition(".")[0]) < RECORDED_WITH_PILLOW
    return older and (class_type in RESAMPLED_BY_PILLOW or "lanczos" in inputs)


def _without_values(outcome: Outcome) -> Outcome:
    """Return an outcome whose tensors have their shape and type only."""
    if "outputs" not in outcome:
        return outcome
    return {**outcome, "outputs": [[_blank(value) for value in values] for values in outcome["outputs"]]}


def _blank(value: object) -> object:
    return torch.zeros_like(value) if isinstance(value, torch.Tensor) else value
