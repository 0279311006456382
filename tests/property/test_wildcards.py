"""Law L4 for scalars on their way to inputs of every declared kind: they arrive as along links, however they are sent.

Random programs take scalars from ports, primitive nodes, values written into ports and switches, through PASSTHRU ports
and other workflows, to consumers whose types are wildcards of either kind, unions, match types and plain types. What
each consumer gets is worked out by hand and compared, with all passes and with none.
"""

from __future__ import annotations

import asyncio
import math
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler import CompileOptions
from discomfort.compiler.passes import PASSES, Pass
from discomfort.context.context import WorkflowContext
from discomfort.ir.catalog.catalog import Catalog
from discomfort.plan import compile
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine

Workflow = dict[str, Any]
PRIMITIVES = {int: "PrimitiveInt", float: "PrimitiveFloat", bool: "PrimitiveBoolean", str: "PrimitiveString"}


class Wildcard(str):
    """A type that equals every type."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


class Describer:
    """Describes the type and the text of what arrives."""

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    DISCOMFORT_EFFECT = "pure"
    KIND: Any = Wildcard("*")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"optional": {"value": (cls.KIND,)}}

    def run(self, value: Any = "absent") -> tuple[str]:
        return (described(value),)


KINDS: dict[str, Any] = {
    "Wild": Wildcard("*"),
    "WildUnion": Wildcard("IMAGE,*"),
    "Any": "*",
    "AnyOrImage": "IMAGE,*",
    "Match": "COMFY_MATCHTYPE_V3",
    "Scalar": "INT,FLOAT,BOOLEAN,STRING",
}
DESCRIBERS = {name: type(name, (Describer,), {"KIND": kind}) for name, kind in KINDS.items()}


def described(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


@lru_cache(maxsize=1)
def engine() -> EmbeddedEngine:
    made = EmbeddedEngine()
    made.register(DESCRIBERS)
    return made


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return asyncio.run(engine().catalog())


scalars: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-(2.0**62), max_value=2.0**62),
    st.text(max_size=8),
)
port_scalars: st.SearchStrategy[Any] = st.one_of(
    scalars, st.none(), st.integers(), st.floats(), st.sampled_from([10**30, math.nan])
)


class Draft:
    """A program that is being made, the inputs it needs, and what its outputs must be."""

    def __init__(self) -> None:
        self.workflows: list[Workflow] = [{}]
        self.inputs: dict[str, Any] = {}
        self.expected: dict[str, str] = {}
        self._count = 0

    def node(self, class_type: str, **inputs: Any) -> list[Any]:
        """Add a node to the last workflow; return the link to it."""
        self._count += 1
        self.workflows[-1][str(self._count)] = {"class_type": class_type, "inputs": inputs}
        return [str(self._count), 0]

    def port(self, name: str, **inputs: Any) -> list[Any]:
        return self.node("DiscomfortPort", unique_id=name, tags="", **inputs)

    def name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"


def source(draw: st.DrawFn, draft: Draft) -> tuple[Any, list[Any]]:
    """Add what gives a scalar; return the scalar and the link."""
    how = draw(st.sampled_from(["port", "primitive", "written", "switch"]))
    if how == "port":
        value, name = draw(port_scalars), draft.name("in")
        draft.inputs[name] = value
        return value, draft.port(name)
    value = draw(scalars)
    if how == "written":
        return value, draft.port(draft.name("written"), input=value)
    primitive = draft.node(PRIMITIVES[type(value)], value=value)
    if how == "switch":
        other = draft.node(PRIMITIVES[type(value)], value=type(value)())
        return value, draft.node("ComfySwitchNode", switch=True, on_true=primitive, on_false=other)
    return value, primitive


def is_number_or_text(value: Any) -> bool:
    """Return whether an input that takes numbers, booleans and text takes a value; bind refuses any other."""
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


@st.composite
def programs(draw: st.DrawFn) -> Draft:
    """A few scalars, each on its way to a consumer or two."""
    draft = Draft()
    for _ in range(draw(st.integers(1, 4))):
        value, link = source(draw, draft)
        for step in draw(st.lists(st.sampled_from(["pass", "carry"]), max_size=2)):
            name = draft.name(step)
            link = draft.port(name, input=link)
            if step == "carry":
                draft.expected[name] = described(value)
                draft.workflows.append({})
                link = draft.port(name)
        kinds = sorted(DESCRIBERS if is_number_or_text(value) else DESCRIBERS.keys() - {"Scalar"})
        for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2)):
            name = draft.name("described")
            draft.port(name, input=draft.node(kind, value=link))
            draft.expected[name] = described(described(value))
    return draft


@pytest.mark.parametrize("passes", [PASSES, ()], ids=["all passes", "no passes"])
@given(draft=programs())
def test_L4_scalars_arrive_as_along_links(passes: tuple[Pass, ...], draft: Draft) -> None:
    plan = compile(draft.workflows, catalog=catalog(), options=CompileOptions(passes=passes))
    with WorkflowContext(max_ram_gb=0.01) as context:
        results = plan.run(context, inputs=draft.inputs, engine=engine())
    assert {name: described(value) for name, value in results.items()} == draft.expected
