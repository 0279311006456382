"""Every class of the pack against a real ComfyUI: what comes of random inputs is the same, failures too.

`DISCOMFORT_FUZZ_CASES` says how many cases a class (10), `DISCOMFORT_FUZZ_FIRST_SEED` where they begin (0). A failure
names class and seed; `python -m tests.runtime.pack.fuzz --comfyui PATH --only CLASS:SEED` runs that case again.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.embedded.pack import NODE_CLASS_MAPPINGS
from tests.runtime.pack.fuzz.campaign import compare_class
from tests.runtime.pack.fuzz.cases import make_case
from tests.runtime.pack.fuzz.sides import Ours, RealComfyUI, real_comfyui

REFERENCE = "0.33.0"
CASES = int(os.environ.get("DISCOMFORT_FUZZ_CASES", "10"))
FIRST_SEED = int(os.environ.get("DISCOMFORT_FUZZ_FIRST_SEED", "0"))
SECONDS_A_CASE = 6


@pytest.fixture(scope="module")
def sides(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RealComfyUI, Ours]]:
    checkout = Path(str(request.config.getoption("--comfyui"))).resolve()
    version = re.search(r'__version__ = "([^"]+)"', (checkout / "comfyui_version.py").read_text(encoding="utf-8"))
    if version is None or version[1] != REFERENCE:
        pytest.skip(f"the pack is what ComfyUI {REFERENCE} has; this checkout is another version")
    python = str(request.config.getoption("--comfyui-python") or sys.executable)
    with WorkflowContext(max_ram_gb=0.05) as context, real_comfyui(checkout, python) as real:
        yield real, Ours(tmp_path_factory.mktemp("ours"), context)


@pytest.mark.comfyui
@pytest.mark.timeout(120 + SECONDS_A_CASE * CASES)
@pytest.mark.parametrize("class_type", sorted(NODE_CLASS_MAPPINGS))
def test_random_inputs_give_what_comfyui_gives(class_type: str, sides: tuple[RealComfyUI, Ours]) -> None:
    verdict = compare_class(class_type, range(FIRST_SEED, FIRST_SEED + CASES), *sides)
    assert not verdict.differences, "\n".join(verdict.differences)


@pytest.mark.parametrize("class_type", sorted(NODE_CLASS_MAPPINGS))
def test_a_seed_gives_the_same_case_each_time(class_type: str) -> None:
    for seed in range(3):
        first, again = make_case(class_type, seed), make_case(class_type, seed)
        assert (first.prompt, first.files) == (again.prompt, again.files)
        assert repr(first.values) == repr(again.values)
