"""Law L2: what each name is bound to, as golden files: `tests/golden/bindings/<case>.txt` → the stitched program.

The golden has the bindings, what each parameter is read by and what each result is written by, which inputs a name
feeds, and the stitched graph before any pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import networkx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discomfort.compiler.frontend import FrontendOptions
from discomfort.compiler.passes.dump import render_graph, render_input
from discomfort.compiler.program.stitch import Program, link_written_values, order_units, stitch
from discomfort.compiler.program.workflows import LoadedWorkflow, load_units
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.findings import Findings
from discomfort.ir.types.language import Signatures
from tests.runtime.programs import reads, workflow, writes

GOLDEN = Path(__file__).parents[1] / "golden" / "bindings"
ANY = {"input": {"required": {"value": ["*"]}, "optional": {"other": ["INT"]}}, "output": ["*"], "output_node": False}
CATALOG = default_catalog().merged(Catalog({"Any": ANY, "ShowAny": {**ANY, "output_node": True}}))

MAKE = {"width": 8, "height": 8, "batch_size": 1, "color": 0}


def make(name: str) -> dict[str, Any]:
    return workflow(n1=("EmptyImage", MAKE), n2=writes(name, ["1", 0]))


def change(name: str, into: str) -> dict[str, Any]:
    return workflow(n1=reads(name), n2=("ImageInvert", {"image": ["1", 0]}), n3=writes(into, ["2", 0]))


def passing(name: str, into: str) -> dict[str, Any]:
    """A workflow that makes an image and hands it on by a PASSTHRU port."""
    return workflow(
        n1=("EmptyImage", MAKE),
        n2=writes(name, ["1", 0]),
        n3=("ImageInvert", {"image": ["2", 0]}),
        n4=("ImageInvert", {"image": ["2", 0]}),
        n5=writes(into, ["3", 0]),
    )


def written(name: str, value: Any) -> dict[str, Any]:
    """A workflow that writes a value into a port."""
    return {"7": {"class_type": "DiscomfortPort", "inputs": {"unique_id": name, "tags": "a", "input": value}}}


def written_and_passed(name: str, value: Any) -> dict[str, Any]:
    return {**written(name, value), "8": {"class_type": "ShowAny", "inputs": {"value": ["7", 0]}}}


SHOWN = workflow(n1=reads("x"), n2=("ShowAny", {"value": ["1", 0]}), n3=("Any", {"value": ["1", 0], "other": 1}))
SIZED = workflow(n1=reads("x"), n2=("EmptyImage", {**MAKE, "width": ["1", 0]}), n3=writes("image", ["2", 0]))
UNKNOWN = workflow(n1=reads("x"), n2=("SomebodysNode", {"value": ["1", 0]}))

CASES: Mapping[str, list[dict[str, Any]]] = {
    "from_the_context": [change("x", "y")],
    "from_the_context_to_two_workflows": [change("x", "y"), change("x", "z")],
    "from_an_earlier_workflow": [make("x"), change("x", "y")],
    "from_the_nearest_of_two": [make("x"), change("x", "x"), change("x", "y")],
    "from_a_passthru": [passing("x", "y"), change("x", "z")],
    "from_an_output_before_a_passthru": [make("x"), passing("x", "y"), change("x", "z")],
    "from_the_nearest_of_two_passthrus": [passing("x", "y"), passing("x", "z"), change("x", "w")],
    "carried": [change("x", "y"), make("x")],
    "carried_within_one_workflow": [change("x", "x")],
    "carried_and_from_an_output": [change("x", "y"), change("x", "x"), change("x", "z")],
    "one_carried_and_one_not": [change("x", "y"), change("y", "x"), change("w", "z")],
    "two_ports_of_one_name": [
        workflow(
            n1=reads("x"),
            n2=reads("x"),
            n3=("ImageInvert", {"image": ["1", 0]}),
            n4=("ImageInvert", {"image": ["2", 0]}),
            n5=writes("y", ["3", 0]),
            n6=writes("z", ["4", 0]),
        )
    ],
    "a_port_hands_its_input_to_a_port": [workflow(n1=reads("x"), n2=writes("y", ["1", 0])), change("y", "z")],
    "a_written_value_where_it_may_stay": [written("x", 8), SIZED],
    "a_written_value_where_it_may_not_stay": [written("x", 8), SHOWN, SIZED],
    "a_written_value_through_a_passthru": [written_and_passed("x", 8), SHOWN],
    "a_written_value_into_an_unknown_class": [written("x", 8), UNKNOWN],
    "a_link_into_anything": [make("x"), SHOWN],
    "a_parameter_into_anything": [workflow(n1=reads("z"), n2=writes("x", ["1", 0])), SHOWN],
    "a_written_value_as_a_result": [written("x", 8)],
}


def units_of(sources: list[dict[str, Any]]) -> list[LoadedWorkflow]:
    findings = Findings()
    options = FrontendOptions()
    return load_units(sources, CATALOG, options, EffectTable(CATALOG), findings)


def render(program: Program) -> str:
    lines = [f"{each.name}: {each.reader} <- {each.writer} ({each.kind})" for each in program.bindings]
    for name, ports in program.reads.items():
        lines.append(f"read {name}: {', '.join(f'{unit}/{port.node.id}' for unit, port in ports)}")
    for kind, table in (("write", program.writes), ("passthru", program.taps)):
        for name, each in table.items():
            lines.append(f"{kind} {name}: {each.writer}/{each.port.node.id} = {render_input(each.value)}")
    for (node_id, name), (crossing, writer) in program.crossings.items():
        lines.append(f"{node_id} {name} gets {crossing} of {writer}")
    return "\n".join([*lines, "", render_graph(program.graph)])


@pytest.mark.parametrize("name", CASES)
def test_L2_each_name_is_bound_as_in_the_golden(name: str, golden: Callable[[Path, str], None]) -> None:
    units = units_of(CASES[name])
    golden(GOLDEN / f"{name}.txt", render(link_written_values(stitch(units), units, Signatures(CATALOG))))


def test_L2_a_program_is_not_copied_where_nothing_is_written_into_ports() -> None:
    units = units_of(CASES["from_the_context"])
    program = stitch(units)
    assert link_written_values(program, units, Signatures(CATALOG)) is program


# --- order="auto"

NAMES = st.sets(st.sampled_from("abcde"), max_size=3)


def unit(number: int, reading: set[str], writing: set[str]) -> LoadedWorkflow:
    ports = SimpleNamespace(reads=dict.fromkeys(sorted(reading)), writes=dict.fromkeys(sorted(writing)))
    made = SimpleNamespace(name=f"w{number}", ports=ports, workflow=SimpleNamespace(source=f"{number}.json"))
    return cast(LoadedWorkflow, made)


def oracle(program: list[tuple[set[str], set[str]]]) -> networkx.DiGraph:
    """Return which workflow comes before which, written as the law says it: pair by pair, for each name."""
    made = networkx.DiGraph()
    made.add_nodes_from(range(len(program)))
    for name in "abcde":
        for first, (first_reads, first_writes) in enumerate(program):
            for second, (second_reads, second_writes) in enumerate(program):
                ranks = [
                    None if name not in reading | writing else 0 if name not in reading else 2 - (name in writing)
                    for reading, writing in ((first_reads, first_writes), (second_reads, second_writes))
                ]
                one, other = ranks
                if one is not None and other is not None and (one < other or (one == other == 1 and first < second)):
                    made.add_edge(first, second)
    return made


@given(st.lists(st.tuples(NAMES, NAMES), max_size=6))
@example([({"a"}, {"b"}), ({"b"}, {"c"}), ({"c"}, {"a"})])
@example([({"d"}, set()), ({"e"}, {"d"}), ({"a"}, {"b"}), ({"b"}, {"c"}), ({"c"}, {"a", "e"})])  # two come behind it
def test_L2_order_auto_is_the_first_order_that_networkx_has(program: list[tuple[set[str], set[str]]]) -> None:
    units = [unit(number, *names) for number, names in enumerate(program)]
    findings = Findings()
    ordered = order_units(units, findings)
    rival = oracle(program)
    if networkx.is_directed_acyclic_graph(rival):
        assert not findings
        assert [units.index(each) for each in ordered] == list(networkx.lexicographical_topological_sort(rival))
        return
    assert ordered == units
    (finding,) = findings
    assert finding.code == "DF208"
    steps = finding.message.removeprefix("the workflows need each other: ").split("; ")
    ring = []
    for step in steps:
        first, _, name, _, second = step.split(" ")
        one, other = int(first[1:]), int(second[1:])
        assert rival.has_edge(one, other)
        assert name.strip("'") in program[one][1] & program[other][0]
        ring.append((one, other))
    assert all(before[1] == after[0] for before, after in zip(ring, [*ring[1:], ring[0]], strict=True))
    assert len({one for one, _ in ring}) == len(ring)
    assert finding.where.file == f"{ring[0][0]}.json"
