"""The list of passes and what runs between them: verification, timing, dumps (law L4)."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from discomfort.compiler import CompileError, CompileOptions
from discomfort.compiler.passes import PASSES, run_passes
from discomfort.compiler.passes.cut import Cut, cut_under
from discomfort.compiler.passes.dedup import Dedup, merge_equal_nodes
from discomfort.compiler.passes.fold import Fold
from discomfort.compiler.passes.observers import Timings, verifying_hook
from discomfort.compiler.passes.verify import verify
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph, Link, Literal, Node, NodeId, Note, Origin, Param, Step
from discomfort.plan import compile
from discomfort.settings.pass_by import PassByRules


def node(name: str, class_type: str = "ImageInvert", **inputs: Any) -> Node:
    return Node(NodeId(name), class_type, inputs, class_type, Origin("main", name))


def link(name: str, slot: int = 0) -> Link:
    return Link(NodeId(name), slot)


def graph(*nodes: Node, **options: Any) -> Graph:
    return Graph({each.id: each for each in nodes}, **options)


IMAGE = node("1", "EmptyImage", width=Literal(8), height=Literal(8), batch_size=Literal(1), color=Literal(0))
SOUND = graph(IMAGE, node("2", image=link("1")), outputs={"x": link("2")})
PROGRAM: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
    "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "x", "tags": "", "input": ["1", 0]}},
}


def test_every_pass_is_a_frozen_value_with_a_name_and_typed_options() -> None:
    assert [each.name for each in PASSES] == list(dict.fromkeys(each.name for each in PASSES))
    for each in PASSES:
        options = fields(each)  # type: ignore[arg-type]
        assert all(option.type in ("bool", "int", "float", "str") for option in options)
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            each.name = "other"  # type: ignore[misc]


def test_options_of_a_pass_change_what_it_does() -> None:
    primitive = {"class_type": "PrimitiveInt", "inputs": {"value": 16}}
    wide = {**PROGRAM, "1": {**PROGRAM["1"], "inputs": {**PROGRAM["1"]["inputs"], "width": ["3", 0]}}, "3": primitive}
    assert len(compile([wide], options=CompileOptions(passes=(Fold(),))).graph.nodes) == 1
    assert len(compile([wide], options=CompileOptions(passes=(Fold(primitives=False),))).graph.nodes) == 2
    behind = {**wide, "4": {"class_type": "Reroute", "inputs": {"x": ["1", 0]}}}
    behind["2"] = {"class_type": "DiscomfortPort", "inputs": {"unique_id": "x", "tags": "", "input": ["4", 0]}}
    assert len(compile([behind], options=CompileOptions(passes=(Fold(primitives=False),))).graph.nodes) == 2
    loads = {
        str(number): {"class_type": "LoadImage", "inputs": {"image": "coffee.png"}, "_meta": {"title": "load"}}
        for number in (1, 2)
    }
    ports = {
        f"p{key}": {"class_type": "DiscomfortPort", "inputs": {"unique_id": f"p{key}", "tags": "", "input": [key, 0]}}
        for key in loads
    }
    assert len(compile([{**loads, **ports}], options=CompileOptions(passes=(Dedup(),))).graph.nodes) == 1
    assert len(compile([{**loads, **ports}], options=CompileOptions(passes=(Dedup(files=False),))).graph.nodes) == 2


def test_a_switch_stays_where_switches_are_to_stay() -> None:
    switch = node("3", "ComfySwitchNode", switch=Literal(True), on_true=link("1"), on_false=link("1"))
    before = graph(IMAGE, switch, outputs={"x": link("3")})
    effects = EffectTable(default_catalog())
    assert Fold()(before, effects).outputs == {"x": link("1")}
    assert Fold(switches=False)(before, effects) is before


@pytest.mark.parametrize("name", ["PrimitiveInt", "Reroute", "ComfySwitchNode"])
def test_a_custom_node_that_is_called_as_a_class_of_ComfyUI_is_not_folded(name: str) -> None:
    """What it does is its own affair."""
    forwards: dict[str, dict[str, Any]] = {"PrimitiveInt": {"value": Literal(5)}, "Reroute": {"x": link("1")}}
    inputs = forwards.get(name, {"switch": Literal(True), "on_true": link("1"), "on_false": link("1")})
    before = graph(IMAGE, node("3", name, **inputs), outputs={"x": link("3")})
    custom = {"input": {}, "output": ["*"], "python_module": "custom_nodes.pack"}
    for catalog, folded in ((default_catalog(), True), (default_catalog().merged(Catalog({name: custom})), False)):
        assert (Fold()(before, EffectTable(catalog)) is not before) is folded


def test_a_graph_with_nothing_to_do_is_returned_as_it_is() -> None:
    switch = node("3", "ComfySwitchNode", switch=link("4"), on_true=link("1"), on_false=link("1"))
    flag = node("4", "StringContains", string=Literal("a"), substring=Literal("a"), case_sensitive=Literal(True))
    before = graph(IMAGE, flag, switch, outputs={"x": link("3")}, taps={"t": link("1")})
    large = node("5", "PrimitiveInt", value=Literal(10**9))  # beyond the limits of the input, so that it stays a link
    refused = graph(large, replace(IMAGE, inputs={**IMAGE.inputs, "width": link("5")}), outputs={"x": link("1")})
    for each in (Fold(), Dedup()):
        assert each(before, EffectTable(default_catalog())) is before
        assert each(refused, EffectTable(default_catalog())) is refused


def test_what_earlier_passes_did_stays_on_record() -> None:
    earlier = Note("removed", (NodeId("9"),), "a test")
    again = replace(IMAGE, id=NodeId("3"))
    reroute = node("2", "Reroute", x=link("3"))
    before = graph(IMAGE, again, reroute, outputs={"x": link("2")}, notes=(earlier,))
    effects = EffectTable(default_catalog())
    folded = Fold()(before, effects)
    merged = Dedup()(folded, effects)
    assert [note.kind for note in merged.notes] == ["removed", "folded", "merged"]
    assert merged.notes[0] is earlier


def test_without_files_only_readers_of_files_are_left_alone() -> None:
    reader = node("4", "LoadImage", image=Literal("a.png"))
    twice = graph(IMAGE, replace(IMAGE, id=NodeId("2")), reader, replace(reader, id=NodeId("5")))
    effects = EffectTable(default_catalog())
    assert list(Dedup()(twice, effects).nodes) == ["1", "4"]
    assert list(Dedup(files=False)(twice, effects).nodes) == ["1", "4", "5"]


def test_names_and_values_that_read_alike_are_not_merged() -> None:
    apart = [
        node("1", "Split", a=Param("x")),
        node("2", "Split", a=link("x")),
        node("3", "Split", a=Literal("x")),
        node("4", "Split", a=Literal("x"), b=Literal("y")),
        node("5", "Split", a=Literal("b"), x=Literal("y")),
        node("6", "Split", b=Literal("x")),
        node("7", "Split", a=link("x", 1)),
        node("8", "Splits", a=Literal("x")),
    ]
    before = graph(*apart)
    assert merge_equal_nodes(before, {"Split": True, "Splits": True}) is before


def test_an_open_type_is_never_cut_whatever_the_rules_say() -> None:
    """What comes may be a model; only a result, which is stored anyway, follows the rule."""
    custom = {"input": {"required": {"x": ["*"]}}, "output": ["*", "IMAGE,*", "IMAGE"]}
    effects = EffectTable(Catalog({"Open": custom}))
    nodes = (
        node("1", "Open", x=Literal(1)),
        *(node(f"2{slot}", "Open", x=link("1", slot)) for slot in range(3)),
        node("3", "Open", x=Literal(1)),
    )
    before = graph(*nodes, outputs={"x": link("3")})
    assert Cut("IMAGE")(before, effects).cuts == (link("1", 2),)
    assert Cut("IMAGE,*")(before, effects).cuts == (link("1", 2), link("3"))


def test_what_is_cut_follows_the_rules() -> None:
    effects = EffectTable(default_catalog())
    by_value, by_reference = PassByRules({"IMAGE": "val"}), PassByRules({"IMAGE": "ref", "INT": "val"})
    assert cut_under(by_value)(SOUND, effects).cuts == (link("1"), link("2"))
    assert cut_under(by_reference)(SOUND, effects).cuts == ()


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (Graph({NodeId("9"): IMAGE}), "kept under the id 9"),
        (graph(node("2", image=link("1"))), "output 0 of node 1, which is not in the graph"),
        (replace(SOUND, outputs={"x": link("7")}), "output 'x' comes from output 0 of node 7"),
        (replace(SOUND, taps={"t": link("7")}), "tap 't' comes from"),
        (replace(SOUND, effects=(NodeId("7"),)), "effect 7 is not in the graph"),
        (replace(SOUND, steps=(Step("1", (NodeId("1"),)),)), "node 2 is in no step"),
        (replace(SOUND, steps=(Step("1", tuple(SOUND.nodes)), Step("2", (NodeId("2"),)))), "belongs to step 1"),
        (replace(SOUND, steps=(Step("1", tuple(SOUND.nodes), (link("1"),)),)), "which no earlier step writes"),
        (replace(SOUND, steps=(Step("1", tuple(SOUND.nodes), (), (link("7"),)),)), "writes output 0 of node 7"),
        (replace(SOUND, effects=(NodeId("1"), NodeId("1"))), "listed twice"),
        (graph(node("1", image=link("2")), node("2", image=link("1"))), "has a cycle"),
        (
            graph(IMAGE, node("2", "VAELoader", vae_name=link("1")), outputs={"x": link("2")}),
            "expects COMBO, got",
        ),
        (graph(IMAGE, node("2", image=link("1", 5)), outputs={"x": link("2")}), "comes from output 5"),
    ],
)
def test_L4_verify_finds_what_does_not_hold(broken: Graph, text: str) -> None:
    assert verify(SOUND, default_catalog()) == []
    findings = verify(broken, default_catalog())
    assert any(text in finding.message for finding in findings), findings


class Vandal:
    """A pass that tears out the first node."""

    name: ClassVar[str] = "vandal"

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        return replace(graph, nodes=dict(list(graph.nodes.items())[1:]))


def test_L4_a_pass_that_breaks_the_graph_is_caught_by_the_hook_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    effects = EffectTable(default_catalog())
    with pytest.raises(CompileError, match="DF410"):
        run_passes(SOUND, effects, (*PASSES, Vandal()), verifying_hook(default_catalog()))
    monkeypatch.delenv("DISCOMFORT_VERIFY")
    with pytest.raises(CompileError, match="DF410") as caught:
        compile([PROGRAM], options=CompileOptions(passes=(*PASSES, Vandal())))
    assert "report it" in str(caught.value)


def test_timings_name_every_pass_that_ran() -> None:
    timings = Timings()
    compile([PROGRAM], options=CompileOptions(hook=timings))
    assert list(timings.seconds) == [each.name for each in PASSES]
    assert all(seconds >= 0 for seconds in timings.seconds.values())


def test_dumps_are_written_after_each_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISCOMFORT_DUMP", str(tmp_path / "dump"))
    twice = {"1": PROGRAM["1"], "4": PROGRAM["1"], "2": PROGRAM["2"]}
    compile([twice])
    written = sorted((tmp_path / "dump" / "001").iterdir())
    stages = ["stitch", *(each.name for each in PASSES)]
    assert [path.name for path in written] == [f"{n:02d}-{stage}.txt" for n, stage in enumerate(stages, 1)]
    assert written[-1].read_text().splitlines() == [
        "workflow/1 = EmptyImage(width=8, height=8, batch_size=1, color=0)",
        "output x = workflow/1.0",
        "cut workflow/1.0",
        "step 1 = workflow/1",
        "# merged workflow/4: duplicate of an earlier node -> workflow/1.0",
    ]


def test_each_compile_dumps_into_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISCOMFORT_DUMP", str(tmp_path))
    compile([PROGRAM])
    compile([PROGRAM], outputs=["x"], options=CompileOptions(passes=()))
    monkeypatch.setenv("DISCOMFORT_DUMP", str(tmp_path / "other"))
    compile([PROGRAM])
    folders = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt")}
    assert folders == {"001", "002", "other/001"}
    assert len(list((tmp_path / "001").iterdir())) == len(PASSES) + 1
