"""Lists of values: kept apart from values that are lists, in every tier and over a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.context.values.value_list import ValueList
from discomfort.context.values.wire import decode_wire, encode_wire

VALUES: list[Any] = [
    [],
    [1],
    [1.5, "a", None],
    [[1, 2], [3]],
    [{"samples": 1}, ValueList([2])],
]


@pytest.mark.parametrize("items", VALUES)
def test_a_list_of_values_comes_back_as_one_and_a_list_as_a_list(items: list[Any]) -> None:
    with WorkflowContext(max_ram_gb=0.01) as context:
        context.save("values", ValueList(items))
        context.save("list", items)
        assert type(context.load("values")) is ValueList
        assert type(context.load("list")) is list
        assert context.load("values") == context.load("list") == items
        assert context.digest("values") != context.digest("list")
    for value in (ValueList(items), items):
        back = decode_wire(encode_wire(value))
        assert type(back) is type(value)
        assert back == value


@pytest.mark.parametrize("use_ram", [True, False])
def test_c3_tensors_in_a_list_of_values_are_mapped(use_ram: bool) -> None:
    images = ValueList(torch.rand(1, 64, 64, 3) for _ in range(3))
    with WorkflowContext(max_ram_gb=0.05) as context:
        context.save("images", images, use_ram=use_ram)
        loaded = context.load("images")
        assert type(loaded) is ValueList
        assert all(torch.equal(one, other) for one, other in zip(loaded, images, strict=True))
        assert context.names.describe("images").kind == "tree"
