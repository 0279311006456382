"""Scalars in inputs that take anything: they arrive as when they are linked by hand, whatever class the type is of.

ComfyUI converts a literal in an input whose type compares equal to INT, FLOAT, STRING and BOOLEAN, by each of them in
turn, and never converts what comes along a link.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from discomfort.compiler import CompileOptions
from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.protocol import PromptRejected
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.programs import reads, workflow, writes

DESCRIBER = workflow(n1=reads("given"), n2=("BehaviourShowType", {"value": ["1", 0]}), n3=writes("seen", ["2", 0]))
SCALARS: dict[str, Any] = {
    "int": 5,
    "float": 2.75,
    "bool": False,
    "str": "hello",
    "number in a string": "7",
    "empty": "",
    "none": None,
    "nan": math.nan,
    "infinity": -math.inf,
    "minus zero": -0.0,
    "large": 10**30,
    "lines": "a\nb “c” \U0001f600",
}


def seen(value: Any) -> str:
    """Return what a node says of a value that reached it unchanged."""
    return f"{type(value).__name__} {value!r}"


@pytest.mark.parametrize("name", SCALARS)
def test_R4_a_ports_scalar_reaches_a_wildcard_unchanged(rig: Rig, context: WorkflowContext, name: str) -> None:
    results = rig.compile(DESCRIBER).run(context, inputs={"given": SCALARS[name]}, engine=rig.engine)
    assert results == {"seen": seen(SCALARS[name])}


def test_R4_two_kinds_of_wildcard_and_an_absent_input(rig: Rig, context: WorkflowContext) -> None:
    two = workflow(
        n1=reads("one"),
        n2=reads("other"),
        n3=("BehaviourShowTypes", {"first": ["1", 0], "rest": ["2", 0]}),
        n4=writes("seen", ["3", 0]),
    )
    results = rig.compile(two).run(context, inputs={"one": False, "other": 2.75}, engine=rig.engine)
    assert results == {"seen": "bool False, float 2.75"}


def test_R4_one_port_feeds_a_wildcard_and_a_number(rig: Rig, context: WorkflowContext) -> None:
    both = workflow(
        n1=reads("given"),
        n2=("BehaviourShowType", {"value": ["1", 0]}),
        n3=("BehaviourAdd", {"a": ["1", 0], "b": 1}),
        n4=writes("seen", ["2", 0]),
        n5=writes("sum", ["3", 0]),
    )
    results = rig.compile(both).run(context, inputs={"given": 5}, engine=rig.engine)
    assert results == {"seen": "int 5", "sum": 6}


def test_R4_a_carried_value_reaches_a_wildcard_in_each_iteration(rig: Rig, context: WorkflowContext) -> None:
    loop = workflow(
        n1=reads("count"),
        n2=("BehaviourAdd", {"a": ["1", 0], "b": 1}),
        n3=writes("count", ["2", 0]),
        n4=("BehaviourShowType", {"value": ["1", 0]}),
        n5=writes("seen", ["4", 0]),
    )
    results = rig.compile(loop).run(context, inputs={"count": 5}, iterations=3, engine=rig.engine)
    assert results == {"count": 8, "seen": "int 7"}


def test_R4_points_of_a_sweep_reach_a_wildcard(rig: Rig, context: WorkflowContext) -> None:
    points = rig.compile(DESCRIBER).sweep(context, {"given": [5, 2.75, False, "hello", None]}, engine=rig.engine)
    assert [point.results["seen"] for point in points] == [seen(value) for value in (5, 2.75, False, "hello", None)]


def test_R4_a_value_that_one_workflow_makes_reaches_a_wildcard_of_the_next(rig: Rig, context: WorkflowContext) -> None:
    adder = workflow(n1=reads("x"), n2=("BehaviourAdd", {"a": ["1", 0], "b": 1}), n3=writes("given", ["2", 0]))
    results = rig.compile(adder, DESCRIBER).run(context, inputs={"x": 4}, engine=rig.engine)
    assert results == {"given": 5, "seen": "int 5"}


@pytest.mark.parametrize("value", [5, 2.75, False, "hello"])
def test_R4_a_scalar_written_into_a_port_reaches_a_wildcard(rig: Rig, context: WorkflowContext, value: Any) -> None:
    """ComfyUI runs a port as a node, which hands its input on."""
    passing = workflow(
        n1=("DiscomfortPort", {"unique_id": "given", "tags": "", "input": value}),
        n2=("BehaviourShowType", {"value": ["1", 0]}),
        n3=writes("seen", ["2", 0]),
    )
    writing = workflow(n1=("DiscomfortPort", {"unique_id": "given", "tags": "", "input": value}))
    forwarding = workflow(n1=reads("given"), n2=writes("again", ["1", 0]))
    reading = workflow(n1=reads("again"), n2=("BehaviourShowType", {"value": ["1", 0]}), n3=writes("seen", ["2", 0]))
    assert rig.compile(passing).run(context, engine=rig.engine)["seen"] == seen(value)
    results = rig.compile(writing, forwarding, reading).run(context, engine=rig.engine)
    assert results == {"given": value, "again": value, "seen": seen(value)}


def test_R4_a_recipe_holds_a_scalar_as_it_was(rig: Rig, context: WorkflowContext) -> None:
    making = workflow(n1=reads("given"), n2=("BehaviourKeep", {"value": ["1", 0]}), n3=writes("model", ["2", 0]))
    using = workflow(n1=reads("model"), n2=("BehaviourKept", {"model": ["1", 0]}), n3=writes("seen", ["2", 0]))
    for value in (5, 2.75, False, "hello", None):
        rig.compile(making).run(context, inputs={"given": value}, engine=rig.engine)
        assert rig.compile(using).run(context, engine=rig.engine) == {"seen": seen(value)}


PRIMITIVES = {"PrimitiveInt": 5, "PrimitiveFloat": 2.75, "PrimitiveBoolean": False, "PrimitiveString": "hello"}


@pytest.mark.parametrize("options", [None, CompileOptions(passes=())], ids=["optimised", "as it is"])
@pytest.mark.parametrize("kind", PRIMITIVES)
def test_L4_a_primitives_value_reaches_a_wildcard_optimised_or_not(
    rig: Rig, context: WorkflowContext, kind: str, options: CompileOptions | None
) -> None:
    feeding = workflow(
        n1=(kind, {"value": PRIMITIVES[kind]}),
        n2=("BehaviourShowType", {"value": ["1", 0]}),
        n3=writes("seen", ["2", 0]),
    )
    results = rig.compile(feeding, options=options).run(context, engine=rig.engine)
    assert results == {"seen": seen(PRIMITIVES[kind])}


def test_R2_a_remembered_scalar_reaches_a_wildcard_of_another_plan(rig: Rig, context: WorkflowContext) -> None:
    making = workflow(n1=reads("x"), n2=("BehaviourAdd", {"a": ["1", 0], "b": 1}), n3=writes("sum", ["2", 0]))
    rig.compile(making).run(context, inputs={"x": 4}, engine=rig.engine)
    describing = workflow(
        n1=reads("x"),
        n2=("BehaviourAdd", {"a": ["1", 0], "b": 1}),
        n3=("BehaviourShowType", {"value": ["2", 0]}),
        n4=writes("seen", ["3", 0]),
    )
    assert rig.compile(describing).run(context, engine=rig.engine) == {"seen": "int 5"}


def inner_workflow(rig: Rig, folder: Path, inner: dict[str, Any]) -> str:
    """Write a workflow that a node is to run; return what the node is to call it."""
    on_server = rig.name in ("managed", "attached")  # which take names below their own folders only
    path = (rig.journal.parents[1] / "input" if on_server else folder) / "inner.json"
    path.write_text(json.dumps(inner), encoding="utf-8")
    return path.name if on_server else str(path)


@pytest.mark.parametrize("value", [5, 2.75, False, "hello", None])
def test_R4_a_workflow_that_runs_as_a_node_hands_scalars_to_a_wildcard(
    rig: Rig, context: WorkflowContext, tmp_path: Path, value: Any
) -> None:
    name = inner_workflow(rig, tmp_path, DESCRIBER)
    given = workflow(
        n1=reads("outer"),
        n2=("DiscomfortTestRunner", {"workflow": name, "given": ["1", 0]}),
        n3=("BehaviourPass", {"value": ["2", 0]}),
        n4=writes("seen", ["3", 0]),
    )
    assert rig.compile(given).run(context, inputs={"outer": value}, engine=rig.engine) == {"seen": seen(value)}


def test_a_primitive_in_a_workflow_that_runs_as_a_node_reaches_a_wildcard(
    rig: Rig, context: WorkflowContext, tmp_path: Path
) -> None:
    inner = workflow(
        n1=("PrimitiveFloat", {"value": 2.75}),
        n2=("BehaviourShowType", {"value": ["1", 0]}),
        n3=writes("seen", ["2", 0]),
    )
    outer = workflow(
        n1=("DiscomfortTestRunner", {"workflow": inner_workflow(rig, tmp_path, inner)}),
        n2=("BehaviourPass", {"value": ["1", 0]}),
        n3=writes("seen", ["2", 0]),
    )
    assert rig.compile(outer).run(context, engine=rig.engine) == {"seen": "float 2.75"}


WRITTEN: dict[str, Any] = {}
"""What became of each literal on the first engine with ComfyUI's rules; it must be so on the others."""


@pytest.mark.parametrize("value", [5, 2.75, False, "hello", "7", None, {"__value__": [1, 2]}], ids=repr)
def test_a_literal_in_the_file_is_sent_as_the_editor_sends_it(rig: Rig, context: WorkflowContext, value: Any) -> None:
    """What ComfyUI makes of it depends on its version: 0.3.64 turns numbers into True, 0.33.0 refuses."""
    writing = workflow(n1=("BehaviourShowType", {"value": value}), n2=writes("seen", ["1", 0]))
    try:
        ended: Any = rig.compile(writing).run(context, engine=rig.engine)
    except PromptRejected as error:
        ended = [finding.where.input for finding in error.diagnostics]
    if rig.name == "embedded" and rig.real:
        assert ended == ["value"]  # as the newest ComfyUI, whichever is given
    else:
        assert WRITTEN.setdefault(repr(value), ended) == ended
    assert ended in (["value"], {"seen": "bool True"})
