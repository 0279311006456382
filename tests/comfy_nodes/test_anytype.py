"""Types of values that are not there yet, as both forms of ComfyUI's combos compare them."""

from __future__ import annotations

from operator import ne
from typing import Any

import pytest

from discomfort_nodes.nodes.anytype import ANY, PendingType

CHOICES = ["nearest-exact", "bilinear"]
"""The type of a combo in ComfyUI 0.3.64; 0.33.0 has the text COMBO."""


@pytest.mark.parametrize("other", ["IMAGE", "COMBO", "INT,FLOAT", "*", CHOICES])
def test_any_type_and_a_pending_value_of_any_type_differ_from_nothing(other: Any) -> None:
    assert not ne(ANY, other)
    assert not ne(PendingType("*"), other)


@pytest.mark.parametrize(("own", "other"), [("INT", "INT,FLOAT"), ("INT,FLOAT", "FLOAT"), ("IMAGE", "*")])
def test_a_pending_value_does_not_differ_from_a_type_that_it_may_have(own: str, other: str) -> None:
    assert not ne(PendingType(own), other)


@pytest.mark.parametrize(("own", "other"), [("INT", "FLOAT"), ("STRING", CHOICES), ("IMAGE", "IMAGES")])
def test_a_pending_value_differs_from_other_types(own: str, other: Any) -> None:
    assert ne(PendingType(own), other)
