"""Laws L2 to L8 on small programs written as API prompts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from discomfort.compiler import CompileError, CompileOptions
from discomfort.compiler.plan.json_form import dumps
from discomfort.ir.catalog.catalog import Catalog, InputSpec, default_catalog
from discomfort.ir.codes import CODES
from discomfort.ir.graph import Link, Literal, NodeId, Param
from discomfort.ir.recipe import Recipe, slice_recipe
from discomfort.ir.types.literal_rules import literal_problem
from discomfort.plan import Plan, compile

Prompt = dict[str, Any]


def port(name: str, source: Any = None, tags: str = "") -> Prompt:
    inputs = {"unique_id": name, "tags": tags}
    return {"class_type": "DiscomfortPort", "inputs": inputs if source is None else {**inputs, "input": source}}


def image(size: int = 8) -> Prompt:
    inputs = {"width": size, "height": size, "batch_size": 1, "color": 0}
    return {"class_type": "EmptyImage", "inputs": inputs}


def invert(source: Any) -> Prompt:
    return {"class_type": "ImageInvert", "inputs": {"image": source}}


WRITER = {"1": image(), "2": port("x", ["1", 0], "debug, first")}
CHANGER = {"1": port("x"), "2": invert(["1", 0]), "3": port("x", ["2", 0])}
READER = {"1": port("x"), "2": invert(["1", 0]), "3": port("y", ["2", 0])}


def codes(sources: list[Prompt], **options: Any) -> set[str]:
    with pytest.raises(CompileError) as caught:
        compile(sources, **options)
    return {finding.code for finding in caught.value.diagnostics}


def test_L2_a_read_binds_to_the_nearest_earlier_write() -> None:
    plan = compile([WRITER, CHANGER, READER])
    assert list(plan.inputs) == []
    assert [(binding.reader, binding.writer) for binding in plan.bindings] == [
        ("workflow#2", "workflow"),
        ("workflow#3", "workflow#2"),
    ]
    assert plan.outputs["y"].source == Link(plan.graph.nodes["workflow#3/2"].id, 0)  # type: ignore[index]


def test_L2_a_write_after_the_read_is_carried_to_the_next_iteration() -> None:
    plan = compile([READER, WRITER])
    assert plan.carried == ("x",)
    assert plan.graph.nodes["workflow/2"].inputs["image"] == Param("x")  # type: ignore[index]


def test_L2_read_modify_write_in_one_workflow() -> None:
    assert compile([CHANGER]).carried == ("x",)


def test_L2_several_input_ports_of_one_name_are_one_parameter() -> None:
    plan = compile([{"1": port("x"), "2": port("x"), "3": invert(["1", 0]), "4": invert(["2", 0]),
                     "5": port("a", ["3", 0]), "6": port("b", ["4", 0])}])  # fmt: skip
    assert list(plan.inputs) == ["x"]
    assert len(plan.graph.nodes) == 1


def test_L2_a_tap_is_read_later_and_is_not_a_result_unless_requested() -> None:
    tapped = {"1": image(), "2": port("x", ["1", 0]), "3": invert(["2", 0]), "4": port("z", ["3", 0])}
    plan = compile([tapped, READER])
    assert set(plan.outputs) == {"z", "y"}
    assert plan.bindings[0].kind == "passthru"
    assert set(compile([tapped], outputs=["x"]).outputs) == {"x"}


def test_L2_order_auto_sorts_and_names_a_cycle() -> None:
    plan = compile([READER, WRITER], order="auto")
    assert [workflow.name for workflow in plan.workflows] == ["workflow#2", "workflow"]
    assert not plan.inputs
    back = {"1": port("y"), "2": invert(["1", 0]), "3": port("x", ["2", 0])}
    assert codes([READER, back], order="auto") == {"DF208"}


@pytest.mark.parametrize(
    ("sources", "code"),
    [
        ([], "DF209"),
        ([{"1": image(), "2": port("", ["1", 0])}], "DF201"),
        ([{"1": image(), "2": port("x", ["1", 0]), "3": port("x", ["1", 0])}], "DF203"),
        ([{"1": image(-1), "2": port("x", ["1", 0])}], "DF309"),
        ([{"1": image(10**9), "2": port("x", ["1", 0])}], "DF310"),
        ([{"1": {"class_type": "EmptyImage", "inputs": {}}, "2": port("x", ["1", 0])}], "DF307"),
        ([{"1": image(), "2": {"class_type": "VAELoader", "inputs": {"vae_name": ["1", 0]}},
           "3": port("x", ["2", 0])}], "DF306"),
        ([{"1": invert(["2", 0]), "2": invert(["1", 0]), "3": port("x", ["1", 0])}], "DF301"),
    ],
)  # fmt: skip
def test_L8_what_is_wrong_has_its_code(sources: list[Prompt], code: str) -> None:
    assert code in codes(sources)
    assert code in CODES


def test_L8_all_findings_come_at_once() -> None:
    broken = {"1": image(-1), "2": port("x", ["1", 0]), "3": image(10**9), "4": port("y", ["3", 0])}
    assert codes([broken]) == {"DF309", "DF310"}


def test_L8_asking_for_an_unknown_output() -> None:
    assert codes([WRITER], outputs=["nothing"]) == {"DF207"}


def test_errors_in_nodes_that_nothing_needs_are_warnings() -> None:
    plan = compile([{**WRITER, "9": invert(["1", 0]), "10": image(-1)}])
    assert [finding.severity.value for finding in plan.diagnostics] == ["warning", "warning"]  # width and height


def test_L5_minimal_plans_and_recipes() -> None:
    plan = compile([{**WRITER, "7": image(16), "8": invert(["7", 0])}])
    assert list(plan.graph.nodes) == ["workflow/1"]
    recipe = slice_recipe(compile([WRITER, READER]).graph, Link(plan.graph.nodes["workflow/1"].id, 0), "IMAGE")  # type: ignore[index]
    assert len(recipe.graph.nodes) == 1
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_equal_recipes_share_their_key_whichever_workflow_they_came_from() -> None:
    first, second = compile([WRITER]), compile([{"70": image(), "71": port("other", ["70", 0])}])
    links = [plan.outputs[name].source for plan, name in ((first, "x"), (second, "other"))]
    assert isinstance(links[0], Link)
    assert isinstance(links[1], Link)
    one, two = slice_recipe(first.graph, links[0], "IMAGE"), slice_recipe(second.graph, links[1], "IMAGE")
    assert (one.key, list(one.graph.nodes)) == (two.key, list(two.graph.nodes))


def test_fold_keeps_a_primitive_where_the_server_would_refuse_its_literal() -> None:
    def program(value: int) -> Prompt:
        made = image()
        made["inputs"]["width"] = ["1", 0]
        return {"1": {"class_type": "PrimitiveInt", "inputs": {"value": value}}, "2": made, "3": port("x", ["2", 0])}

    assert compile([program(64)]).graph.nodes["workflow/2"].inputs["width"] == Literal(64)  # type: ignore[index]
    assert len(compile([program(10**9)]).graph.nodes) == 2


@pytest.mark.parametrize("kind", ["*", "IMAGE,*", None])
def test_L4_fold_keeps_a_primitive_where_an_input_takes_anything(kind: str | None) -> None:
    """ComfyUI may convert a literal there; in an input that is not declared (None) it does not arrive."""
    declared = {"optional": {"value": [kind]}} if kind is not None else {}
    known = default_catalog().merged(Catalog({"Taker": {"input": declared, "output": ["INT"], "output_node": True}}))
    program = {
        "1": {"class_type": "PrimitiveInt", "inputs": {"value": 5}},
        "2": {"class_type": "Taker", "inputs": {"value": ["1", 0]}},
    }
    plan = compile([program], catalog=known)
    assert plan.graph.nodes[NodeId("workflow/2")].inputs["value"] == Link(NodeId("workflow/1"), 0)


@pytest.mark.parametrize(
    ("value", "code"), [(2**64 - 1, None), (2**64, "DF310"), ("18446744073709551615", None), (0, None), (-1, "DF309")]
)
def test_L3_whole_numbers_are_compared_with_their_limits_exactly(value: Any, code: str | None) -> None:
    problem = literal_problem(InputSpec("seed", "INT", "required", {"min": 0, "max": 2**64 - 1}), value)
    assert (problem.code if problem else None) == code


def test_fold_takes_the_written_side_of_a_switch() -> None:
    switch = {"class_type": "ComfySwitchNode", "inputs": {"switch": True, "on_false": ["1", 0], "on_true": ["2", 0]}}
    plan = compile([{"1": image(8), "2": image(16), "3": switch, "4": port("x", ["3", 0])}])
    assert list(plan.graph.nodes) == ["workflow/2"]


def test_dedup_merges_across_workflows_and_leaves_effects_and_unknown_classes() -> None:
    odd = {"class_type": "SomebodysNode", "inputs": {"image": ["1", 0]}}
    saved = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    program = {
        "1": image(),
        "2": odd,
        "3": odd,
        "4": port("a", ["2", 0]),
        "5": port("b", ["3", 0]),
        "6": saved,
        "7": saved,
    }
    plan = compile([WRITER, program])
    kinds = sorted(str(node.class_type) for node in plan.graph.nodes.values())
    assert kinds == ["EmptyImage", "PreviewImage", "PreviewImage", "SomebodysNode", "SomebodysNode"]
    assert len(plan.effects) == 2


def test_L4_passes_run_twice_change_nothing_and_none_of_them_changes_the_interface() -> None:
    from discomfort.compiler.passes import PASSES, run_passes
    from discomfort.ir.catalog.catalog import default_catalog
    from discomfort.ir.catalog.effects import EffectTable

    plan, plain = (
        compile([WRITER, CHANGER, READER]),
        compile([WRITER, CHANGER, READER], options=CompileOptions(passes=())),
    )
    assert run_passes(plan.graph, EffectTable(default_catalog()), PASSES) == plan.graph
    assert set(plain.outputs) == set(plan.outputs)


def test_plan_json_round_trip_and_select_by_tag() -> None:
    plan = compile([WRITER, READER])
    assert Plan.from_json(plan.to_json()) == plan
    assert set(plan.select(tags="debug").outputs) == {"x"}
    assert plan.diff(plan) == ""
    assert plan.diff(compile([WRITER])) != ""
    with pytest.raises(ValueError, match="version"):
        Plan.from_json({**plan.to_json(), "version": 99})


def test_L6_the_same_bytes_under_three_hash_seeds() -> None:
    script = (
        "import json,sys; from discomfort.plan import compile;"
        "from discomfort.compiler.plan.json_form import dumps;"
        "sys.stdout.write(dumps(compile(json.loads(sys.argv[1])).to_json()))"
    )
    import json

    argument = json.dumps([WRITER, CHANGER, READER])
    texts = {
        subprocess.run(
            [sys.executable, "-c", script, argument], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(texts) == 1
    assert texts.pop().decode() == dumps(compile([WRITER, CHANGER, READER]).to_json())


def test_L7_a_chain_of_20000_nodes_compiles() -> None:
    chain = {"0": image()} | {str(n): invert([str(n - 1), 0]) for n in range(1, 20_000)}
    plan = compile([{**chain, "p": port("x", ["19999", 0])}])
    assert len(plan.graph.nodes) == 20_000


def test_L5_a_recipe_that_reads_a_parameter_is_refused() -> None:
    node = {"class": "ImageInvert", "title": "", "origin": ["w", "1"], "inputs": {"image": {"param": "photo"}}}
    stored = {"type": "IMAGE", "key": "k.0", "output": ["r", 0], "nodes": {"r": node}, "cuts": [], "conversions": []}
    with pytest.raises(ValueError, match="reads the parameter 'photo'; a recipe is closed"):
        Recipe.from_json(stored)
    with pytest.raises(ValueError, match="this is not a recipe"):
        Recipe.from_json({**stored, "nodes": {"r": {**node, "inputs": {"image": {}}}}})
