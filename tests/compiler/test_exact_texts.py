"""What `explain()` and `repr` print of numbers: plurals that fit, whole numbers with all of their digits."""

from __future__ import annotations

import pytest

import discomfort
from discomfort.printable import counted, exact_number

SEED = {"class_type": "DiscomfortPort", "inputs": {"unique_id": "seed", "tags": ""}}


@pytest.mark.parametrize(("number", "text"), [(0, "0 effects"), (1, "1 effect"), (2, "2 effects")])
def test_a_noun_is_in_the_plural_where_there_is_not_one(number: int, text: str) -> None:
    assert counted(number, "effect") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(18446744073709551615, "18446744073709551615"), (1.0, "1"), (-0.5, "-0.5"), (1e300, "1e+300"), (16384, "16384")],
)
def test_whole_numbers_have_all_of_their_digits(number: float, text: str) -> None:
    assert exact_number(number) == text


def test_a_plan_prints_its_numbers_so() -> None:
    workflow = {
        "1": SEED,
        "2": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    plan = discomfort.compile([workflow])
    assert "seed: INT, by value, 0..16777215" in plan.explain()
    assert "1 input, 0 outputs, 1 effect, 2 nodes, 1 step>" in repr(plan)


def test_the_range_of_a_seed_is_exact() -> None:
    workflow = {
        "1": SEED,
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": ["1", 0]}},
        "3": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "noise", "tags": "", "input": ["2", 0]}},
    }
    assert "seed: INT, by value, 0..18446744073709551615\n" in discomfort.compile([workflow]).explain()
