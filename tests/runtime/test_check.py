"""Law R5: a value that does not fit its port fails at bind, with port, value and expectation."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch

from discomfort.compiler.plan.model import Constraint, PlanInput
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.diagnostics import Place
from discomfort.ir.graph import Graph, Literal, Node, NodeId, Origin
from discomfort.runtime.binding.value_check import check_value, fit_value

CATALOG = Catalog({"Scaler": {"input": {"required": {"method": [["area", "bilinear", "bicubic"]]}}, "output": []}})
GRAPH = Graph({NodeId("w/1"): Node(NodeId("w/1"), "Scaler", {"method": Literal("area")}, "Scale", Origin("w", "1"))})

PLACE = Place("w.json", None, "2", "Port", "x")


def port(type_name: str, **limits: Any) -> PlanInput:
    return PlanInput("x", type_name, "val", constraints=(Constraint(type_name, **limits),))


def complaints(value: Any, wanted: PlanInput) -> list[str]:
    return [finding.message for finding in check_value(value, wanted, PLACE, GRAPH, CATALOG)]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (3, port("INT", minimum=0, maximum=3)),
        (3.5, port("FLOAT")),
        (3, port("FLOAT")),
        ("text", port("STRING")),
        (True, port("BOOLEAN")),
        (torch.rand(1, 2, 2, 3), port("IMAGE")),
        (torch.rand(2, 2), port("MASK")),
        ({"samples": torch.rand(1, 4, 2, 2)}, port("LATENT")),
        ({"waveform": torch.rand(1, 2, 9), "sample_rate": 44100}, port("AUDIO")),
        (object(), port("SOMETHING_ELSE")),
        ("text", port("STRING,INT")),
        (7, port("STRING,INT")),
        (object(), port("*")),
    ],
)
def test_R5_what_fits_passes(value: Any, wanted: PlanInput) -> None:
    assert complaints(value, wanted) == []


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        (4, port("INT", maximum=3), "input 'x' is int 4; expected at most 3"),
        (-1, port("INT", minimum=0), "input 'x' is int -1; expected at least 0"),
        (0.5, port("INT"), "input 'x' is float 0.5; expected a whole number (INT)"),
        (True, port("INT"), "input 'x' is bool True; expected a whole number (INT)"),
        (10**400, port("FLOAT"), f"input 'x' is int 1{'0' * 56}...; expected a number that a float can hold"),
        (-(10**400), port("INT", minimum=0), f"input 'x' is int -1{'0' * 55}...; expected at least 0"),
        pytest.param(
            1 << 20_000, port("INT", maximum=3), "input 'x' is an int of 20001 bits; expected at most 3", id="long"
        ),
        pytest.param(
            1 << 20_000,
            port("INT"),
            "input 'x' is an int of 20001 bits; expected a number of at most 4000 digits",
            id="too long",
        ),
        (
            [1],
            port("INT,FLOAT,BOOLEAN,STRING"),
            "input 'x' is a list; expected a value of the type INT, FLOAT, BOOLEAN or STRING",
        ),
        (True, port("INT,FLOAT"), "input 'x' is bool True; expected a value of the type INT or FLOAT"),
        (float("nan"), port("INT,FLOAT"), "input 'x' is float nan; expected a finite number"),
        (2**64, port("INT", maximum=2**63 - 1), f"input 'x' is int {2**64}; expected at most {2**63 - 1}"),
        (0, port("FLOAT", minimum=0.01), "input 'x' is int 0; expected at least 0.01"),
        (float("nan"), port("FLOAT"), "input 'x' is float nan; expected a finite number"),
        ("5", port("FLOAT"), "input 'x' is str '5'; expected a number (FLOAT)"),
        (5, port("STRING"), "input 'x' is int 5; expected text (STRING)"),
        (2, port("BOOLEAN"), "input 'x' is int 2; expected True or False (BOOLEAN)"),
        (
            torch.rand(2, 2, 3),
            port("IMAGE"),
            "input 'x' is a float32 tensor [2, 2, 3]; expected an IMAGE: a float tensor [batch, height, width, channel]"
            " with 1, 3 or 4 channels",
        ),
        (
            torch.zeros(1, 2, 2, 3, dtype=torch.uint8),
            port("IMAGE"),
            "input 'x' is a uint8 tensor [1, 2, 2, 3]; expected an IMAGE: a float tensor [batch, height, width,"
            " channel] with 1, 3 or 4 channels",
        ),
        ({"sample": 1}, port("LATENT"), "input 'x' is a dict; expected a LATENT: a dict with a tensor \"samples\""),
    ],
)
def test_R5_what_does_not_fit_is_reported(value: Any, wanted: PlanInput, expected: str) -> None:
    assert complaints(value, wanted) == [expected]


def test_R5_a_name_that_is_not_an_option_gets_near_misses() -> None:
    wanted = PlanInput("x", "COMBO", "val", uses=((NodeId("w/1"), "method"),), constraints=(Constraint("COMBO"),))
    assert complaints("bicubic", wanted) == []
    (finding,) = check_value("bicubik", wanted, PLACE, GRAPH, CATALOG)
    assert finding.message == "input 'x' is str 'bicubik'; Scaler.method takes one of ['area', 'bilinear', 'bicubic']"
    assert finding.hint == "did you mean 'bicubic'?"
    assert complaints(numpy.zeros(2), wanted) == [
        "input 'x' is a ndarray; Scaler.method takes one of ['area', 'bilinear', 'bicubic']"
    ]


@pytest.mark.parametrize(
    ("value", "wanted", "fitted"),
    [
        (4.0, port("INT"), 4),
        (4, port("FLOAT"), 4.0),
        (4.5, port("INT"), 4.5),
        (True, port("FLOAT"), True),
        (numpy.int64(4), port("INT"), 4),
        (numpy.float32(0.5), port("FLOAT"), 0.5),
    ],
)
def test_numbers_become_what_their_port_takes(value: Any, wanted: PlanInput, fitted: Any) -> None:
    result = fit_value(value, wanted)
    assert (result, type(result)) == (fitted, type(fitted))


def test_a_number_too_long_for_JSON_is_not_an_option() -> None:
    wanted = PlanInput("x", "COMBO", "val", uses=((NodeId("w/1"), "method"),), constraints=(Constraint("COMBO"),))
    (message,) = complaints(10**5000, wanted)
    assert message.startswith("input 'x' is an int of 16610 bits; Scaler.method takes one of")
