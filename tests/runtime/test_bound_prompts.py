"""What a plan becomes with values, as golden files: `tests/golden/bound/<case>.txt` → the bound run and its prompts.

A case says which values the context holds, which results are remembered, and which values no step delivers; no engine
runs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import discomfort
from discomfort.compiler import CompileOptions
from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.passes import PASSES
from discomfort.compiler.passes.dump import render_graph, render_input
from discomfort.context.context import WorkflowContext
from discomfort.context.snapshot import Snapshot
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Link
from discomfort.ir.graph_json import read_link
from discomfort.ir.keys import node_keys
from discomfort.ir.types.language import TypeInference
from discomfort.plan import Plan, compile
from discomfort.runtime.binding.bind import bind
from discomfort.runtime.binding.pending_values import pending_values
from discomfort.runtime.binding.prompts import BoundRun, StepWork, make_prompt, remaining_work
from discomfort.runtime.engines.protocol import Splitting
from tests.runtime.programs import reads, workflow, writes

GOLDEN = Path(__file__).parents[1] / "golden" / "bound"
INT = ["INT", {"default": 0, "min": -1000, "max": 1000}]
FLOAT = ["FLOAT", {"default": 0.0, "min": 0.0, "max": 1.0}]
TEXT = ["STRING", {}]


def described(inputs: Mapping[str, Any], *outputs: str, effect: str | None = "pure", **flags: Any) -> dict[str, Any]:
    says = {} if effect is None else {"discomfort_effect": effect}
    return {"input": {"required": dict(inputs)}, "output": list(outputs), **says, **flags}


CATALOG = default_catalog().merged(
    Catalog(
        {
            "Add": described({"a": INT, "b": INT}, "INT", "INT"),
            "Half": described({"x": FLOAT}, "FLOAT"),
            "Text": described({"text": TEXT}, "STRING"),
            "Choose": described({"how": [["one", "two"]], "flag": ["BOOLEAN", {}]}, "STRING"),
            "Any": described({"value": ["*", {}]}, "*"),
            "Paint": described({"level": FLOAT, "size": INT}, "IMAGE"),
            "Invert": described({"image": ["IMAGE"]}, "IMAGE"),
            "Load": described({"name": TEXT}, "MODEL"),
            "Patch": described({"model": ["MODEL"], "image": ["IMAGE"]}, "MODEL"),
            "Use": described({"model": ["MODEL"], "a": INT}, "IMAGE"),
            "Roll": described({"a": INT}, "INT", effect="volatile"),
            "Save": described({"image": ["IMAGE"]}, effect=None, output_node=True),
            "Say": described({"text": TEXT}, effect=None, output_node=True),
            "Act": described({"a": INT}, "INT", effect="effect"),
            "Flag": described({"a": INT}, "BOOLEAN"),
        }
    )
)
IMAGE = torch.zeros(1, 2, 2, 3)
OTHER = torch.ones(1, 2, 2, 3)


@dataclass(frozen=True)
class Case:
    """What is bound: `values` by name, `known` and `delivered` by output (what is in neither is stopped or pending)."""

    workflows: list[dict[str, Any]]
    values: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    delivered: Mapping[str, Any] = field(default_factory=dict)
    splitting: Splitting = Splitting.NEVER
    effects: bool = True
    depth: int | None = None
    pending: bool = False
    refs: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    engine: Catalog = CATALOG


def chain(length: int, last: str = "sum") -> dict[str, Any]:
    nodes: dict[str, Any] = {"n0": ("Add", {"a": 0, "b": 1})}
    nodes |= {f"n{number}": ("Add", {"a": [str(number - 1), 0], "b": 1}) for number in range(1, length)}
    return workflow(**nodes, out=writes(last, [str(length - 1), 0]))


def feeding(class_type: str, name: str, source: str = "Add", **others: Any) -> list[dict[str, Any]]:
    """Two workflows, of which the first one's result feeds one input of another class in the second."""
    sources: dict[str, dict[str, Any]] = {
        "Add": {"a": 1, "b": 2},
        "Text": {"text": "a"},
        "Flag": {"a": 1},
        "Half": {"x": 0.5},
    }
    inputs = sources[source]
    return [
        workflow(n1=(source, inputs), n2=writes("w", ["1", 0])),
        workflow(n1=reads("w"), n2=(class_type, {**others, name: ["1", 0]}), n3=writes("y", ["2", 0])),
    ]


ADDS = workflow(n1=reads("a"), n2=("Add", {"a": ["1", 0], "b": 2}), n3=writes("y", ["2", 1]))
INVERTS = workflow(n1=reads("x"), n2=("Invert", {"image": ["1", 0]}), n3=writes("y", ["2", 0]))
TWO_IMAGES = workflow(
    n1=reads("x"),
    n2=("Save", {"image": ["1", 0]}),
    n3=reads("z"),
    n4=("Invert", {"image": ["3", 0]}),
    n5=writes("y", ["4", 0]),
)
EVERY_TYPE = workflow(
    n1=reads("whole"),
    n2=reads("part"),
    n3=reads("text"),
    n4=reads("how"),
    n5=reads("flag"),
    n6=("Add", {"a": ["1", 0], "b": 2}),
    n7=("Half", {"x": ["2", 0]}),
    n8=("Say", {"text": ["3", 0]}),
    n9=("Choose", {"how": ["4", 0], "flag": ["5", 0]}),
    n10=writes("sum", ["6", 0]),
    n11=writes("half", ["7", 0]),
    n12=writes("chosen", ["9", 0]),
)
ANYTHING = workflow(
    n1=reads("x"), n2=("Any", {"value": ["1", 0]}), n3=("Any", {"value": ["2", 0]}), n4=writes("y", ["3", 0])
)
MODEL = workflow(
    n1=("Load", {"name": "m"}),
    n2=reads("x"),
    n3=("Patch", {"model": ["1", 0], "image": ["2", 0]}),
    n4=writes("model", ["3", 0]),
)
USES = workflow(n1=reads("model"), n2=("Use", {"model": ["1", 0], "a": 1}), n3=writes("y", ["2", 0]))
LOADS = workflow(n1=("Load", {"name": "m"}), n2=writes("model", ["1", 0]))
COUNTS = workflow(n1=("Add", {"a": 1, "b": 0}), n2=writes("level", ["1", 0]))
PAINTS = workflow(n1=reads("level"), n2=("Paint", {"level": ["1", 0], "size": 2}), n3=writes("image", ["2", 0]))
SAVES = workflow(n1=reads("image"), n2=("Save", {"image": ["1", 0]}), n3=("Save", {"image": ["1", 0]}))
SAYS = workflow(n1=("Text", {"text": "b"}), n2=("Say", {"text": ["1", 0]}))
ACTS = workflow(n1=("Act", {"a": 1}), n2=("Say", {"text": "b"}), n3=writes("acted", ["1", 0]))
DIAMOND = workflow(
    n1=("Roll", {"a": 1}),
    n2=("Add", {"a": ["1", 0], "b": 1}),
    n3=("Add", {"a": ["1", 0], "b": 2}),
    n4=("Add", {"a": ["2", 0], "b": ["3", 1]}),
    n5=writes("y", ["4", 0]),
    n6=writes("early", ["2", 0]),
)
LISTED = workflow(
    n1=reads("x"),
    n2=("Add", {"a": ["1", 0], "b": 1}),
    n3=("Half", {"x": ["1", 0]}),
    n4=writes("whole", ["2", 0]),
    n5=writes("part", ["3", 0]),
)
PASSED_ON = workflow(n1=reads("x"), n2=writes("y", ["1", 0]), n3=("Add", {"a": 1, "b": 2}), n4=writes("z", ["3", 0]))
WRITTEN = {"7": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "x", "tags": "", "input": 8}}}
FROM_A_LITERAL = workflow(
    n1=reads("x"),
    n2=("Any", {"value": ["1", 0]}),
    n3=("Add", {"a": ["1", 0], "b": 1}),
    n4=writes("y", ["2", 0]),
    n5=writes("z", ["3", 0]),
)
KNOWN: Mapping[str, tuple[list[dict[str, Any]], Any]] = {
    "a_number_in_range": (feeding("Add", "a", b=1), 7),
    "a_number_out_of_range": (feeding("Add", "a", b=1), 5000),
    "a_number_too_long_for_JSON": (feeding("Add", "a", b=1), 10**5000),
    "a_part_where_a_whole_number_belongs": (feeding("Add", "a", b=1), 7.0),
    "a_truth_where_a_number_belongs": (feeding("Add", "a", b=1), True),
    "a_list_where_a_number_belongs": (feeding("Add", "a", b=1), [1, 2]),
    "text": (feeding("Text", "text", "Text"), "a"),
    "a_truth": (feeding("Choose", "flag", "Flag", how="one"), False),
    "a_number_where_a_truth_belongs": (feeding("Choose", "flag", "Flag", how="one"), 1),
    "an_option": (feeding("Choose", "how", "Text", flag=True), "two"),
    "what_is_no_option": (feeding("Choose", "how", "Text", flag=True), "three"),
    "an_option_as_a_list": (feeding("Choose", "how", "Text", flag=True), ["two"]),
    "a_whole_number_as_a_part": (feeding("Half", "x", "Add"), 1),
    "a_whole_number_too_long_as_a_part": (feeding("Half", "x", "Add"), 10**5000),
    "into_anything": (feeding("Any", "value"), 7),
}
PARTS = workflow(n1=("Half", {"x": 0.5}), n2=("Half", {"x": ["1", 0]}), n3=writes("y", ["2", 0]))

CASES: Mapping[str, Case] = {
    "literals_of_every_type": Case([EVERY_TYPE], {"whole": 3, "part": 0.5, "text": "a", "how": "one", "flag": True}),
    "numbers_become_what_their_port_takes": Case([LISTED, ADDS], {"x": 1, "a": 4.0}),
    "one_value_under_two_names": Case([TWO_IMAGES], {"x": IMAGE, "z": IMAGE}),
    "two_values": Case([TWO_IMAGES], {"x": IMAGE, "z": OTHER}),
    "anything": Case([ANYTHING], {"x": 5}),
    "nothing_into_anything": Case([ANYTHING], {"x": None}),
    "a_number_that_JSON_cannot_hold": Case([ANYTHING], {"x": math.nan}),
    "a_number_too_long": Case([ANYTHING], {"x": 10**5000}),
    "missing": Case([EVERY_TYPE, USES], {"wole": 3, "text": "a"}),
    "values_that_do_not_fit": Case([EVERY_TYPE], {"whole": 5000, "part": 2.0, "text": 5, "how": "three", "flag": 1}),
    "a_reference_is_made": Case([MODEL], {"x": IMAGE}),
    "a_reference_is_read": Case([USES], {"x": IMAGE}, refs={"model": MODEL}),
    "a_reference_is_read_twice": Case([USES, {**USES, "3": USES["3"]}], refs={"model": LOADS}),
    "a_workflow_saved_as_a_reference": Case([USES], refs={"model": {"saved": LOADS}}),
    "a_reference_that_is_handed_on": Case(
        [workflow(n1=reads("model"), n2=writes("other", ["1", 0]))], refs={"model": LOADS}
    ),
    "a_list_of_values": Case([LISTED], {"x": discomfort.ValueList([1, 2])}),
    "an_input_is_a_result": Case([PASSED_ON], {"x": IMAGE}),
    "a_literal_input_is_a_result": Case([PASSED_ON], {"x": "a"}),
    "a_written_value": Case([WRITTEN, FROM_A_LITERAL]),
    "effects": Case([ACTS, SAYS, SAVES], {"image": IMAGE}),
    "effects_left_out": Case([ACTS, SAYS, SAVES], {"image": IMAGE}, effects=False),
    "effects_of_one_workflow": Case([SAVES], {"image": IMAGE}),
    "effects_of_two_workflows": Case([SAYS, workflow(n1=("Text", {"text": "c"}), n2=("Say", {"text": ["1", 0]}))]),
    "an_effect_that_the_engine_does_not_know_as_one": Case(
        [SAYS, SAVES], {"image": IMAGE}, engine=CATALOG.merged(Catalog({"Say": described({"text": TEXT}, "STRING")}))
    ),
    "a_conversion": Case([COUNTS, PAINTS], delivered={"workflow/1.0": 1}),
    "a_conversion_of_a_list": Case([COUNTS, PAINTS], delivered={"workflow/1.0": [1, 2]}),
    "a_conversion_of_what_stays": Case([COUNTS, PAINTS], delivered={"workflow/1.0": IMAGE}),
    "a_conversion_of_what_is_known": Case([COUNTS, PAINTS], known={"workflow/1.0": 1}),
    "a_conversion_to_come": Case([COUNTS, PAINTS], pending=True),
    "several_prompts": Case(
        [chain(6)], delivered={f"workflow/{n}.0": n for n in range(6)}, splitting=Splitting.FOR_SPEED, depth=3
    ),
    "several_prompts_to_come": Case([chain(6)], splitting=Splitting.FOR_SPEED, depth=3, pending=True),
    "several_prompts_of_which_one_is_stopped": Case([chain(6)], splitting=Splitting.FOR_SPEED, depth=3),
    "several_prompts_known_in_the_middle": Case(
        [chain(6)], known={"workflow/3.0": 4}, delivered={"workflow/4.0": 5}, splitting=Splitting.FOR_SPEED, depth=3
    ),
    "a_diamond": Case([DIAMOND]),
    "a_diamond_with_one_side_known": Case([DIAMOND], known={"workflow/3.1": 5}),
    "a_diamond_with_a_result_known": Case([DIAMOND], known={"workflow/2.0": 5}),
    "a_diamond_with_all_known": Case([DIAMOND], known={"workflow/2.0": 5, "workflow/4.0": 5}),
    "what_is_known_of_a_model_is_no_cut": Case([LOADS, USES], known={"workflow/1.0": 5}),
    "a_part_known": Case([PARTS], known={"workflow/1.0": 0.5}),
    "a_part_known_that_is_infinite": Case([PARTS], known={"workflow/1.0": math.inf}),
    "a_part_known_that_is_no_number": Case([PARTS], known={"workflow/1.0": math.nan}),
    **{f"known_{name}": Case(program, known={"workflow/1.0": value}) for name, (program, value) in KNOWN.items()},
}


class Bound:
    """A case, bound."""

    def __init__(self, case: Case, context: WorkflowContext) -> None:
        passes = PASSES if case.depth is None else (*PASSES[:-1], Partition(case.depth, for_speed=False))
        self.case, self.context = case, context
        self.plan: Plan = compile(case.workflows, catalog=CATALOG, options=CompileOptions(passes=passes))
        for name, value in case.values.items():
            context.save(name, value)
        for name, saved in case.refs.items():
            self._save_reference(name, saved)
        self.digests = {read_link(link): context.values.put(value) for link, value in case.known.items()}
        self.delivered = {read_link(link): context.values.put(value) for link, value in case.delivered.items()}
        snapshot = Snapshot(context, context.list_keys())
        run = bind(
            self.plan,
            snapshot,
            case.engine,
            effects=case.effects,
            digest_of=context.values.put,
            splitting=case.splitting,
        )
        self.run: BoundRun = replace(run, keys=node_keys(run.graph, run.graph.nodes, {}, EffectTable(CATALOG), {}))

    def _save_reference(self, name: str, saved: dict[str, Any]) -> None:
        if "saved" in saved:
            self.context.save(name, saved["saved"], pass_by="ref")
            return
        plan = compile([saved], catalog=CATALOG)
        run = bind(plan, Snapshot(self.context, self.context.list_keys()), CATALOG, digest_of=self.context.values.put)
        self.context.save(name, run.recipes[name].to_json(), pass_by="ref")

    def lines(self) -> list[str]:
        """Return the bound run as text."""
        run = self.run
        lines = [finding.render() for finding in run.findings] if run.findings else []
        lines += ["", *render_graph(run.graph).splitlines(), ""]
        lines += [f"wanted {name} = {render_input(link)}" for name, link in run.wanted.items()]
        lines += [f"known {name} = {digest} {self.context.values.get(digest)!r}" for name, digest in run.known.items()]
        for name, recipe in run.recipes.items():
            lines.append(f"reference {name} = {render_input(recipe.output)} {recipe.type} {recipe.key}")
            lines += [f"  {line}" for line in render_graph(recipe.graph).splitlines()]
        lines += [f"loader {node} for {', '.join(map(run.role, names))}" for node, names in run.loaded_by.items()]
        lines += [f"remembered {node}: {run.memo_key(Link(node, 1))}" for node in run.graph.nodes]
        if not run.findings:
            for work in remaining_work(run, self.digests.get):
                lines += ["", *self._prompt(work)]
        return [line[:400] for line in lines]

    def _prompt(self, work: StepWork) -> list[str]:
        run = self.run
        digests = {**self.digests, **self.delivered}
        if self.case.pending:
            pending = pending_values(work.loads, TypeInference(run.graph, run.graph.nodes, run.signatures))
            digests = {**pending, **digests}
        bound = make_prompt(run, work, digests, self.context, self.context.values.put)
        lines = [f"step {work.step.id}: {' '.join(work.nodes)}"]
        lines += [f"  loads {render_input(link)}" for link in sorted(work.loads, key=str)]
        lines += [f"  must give {render_input(link)}" for link in work.targets]
        lines += [f"  {node}: {json.dumps(entry)}" for node, entry in bound.prompt.items()]
        lines += [
            f"  delivers {name} of {render_input(bound.links[name])} by {saver}"
            for name, saver in bound.outputs.items()
        ]
        lines += [f"  place of {node}: {place}" for node, place in bound.places.items()]
        lines += [f"  key of {node}: {key}" for node, key in bound.keys.items()]
        lines += [f"  optional: {sorted(bound.optional)}"] if bound.optional else []
        lines += [f"  in sequence: {bound.sequence}"] if bound.sequence else []
        lines += [f"  undecided: {sorted(bound.undecided)}"] if bound.undecided else []
        return lines


@pytest.fixture
def context() -> Any:
    with WorkflowContext(max_ram_gb=0.05) as made:
        yield made


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_bound_as_in_the_golden(
    name: str, context: WorkflowContext, golden: Callable[[Path, str], None]
) -> None:
    golden(GOLDEN / f"{name}.txt", "\n".join(Bound(CASES[name], context).lines()).strip() + "\n")
