"""The laws of keys: equal keys mean equal results, whatever the graph, and no key where that is not certain."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.input_files.file_inputs import FileReaders
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.catalog.effects import LOADER_CLASS, RULES, Effect, EffectTable, Rule
from discomfort.ir.graph import Graph, Link, Literal, Node, NodeId, Origin, Param
from discomfort.ir.keys import Source, literal_token, node_keys, output_key, structural_keys


def described(module: str = "nodes", **flags: Any) -> dict[str, Any]:
    inputs = {"required": {"a": ["*"], "b": ["*"], "choice": [["x", "model.safetensors"]]}}
    return {"input": inputs, "output": ["*", "*"], "python_module": module, **flags}


CATALOG = Catalog(
    {
        "Pure": described(),
        "Other": described("comfy_extras.nodes_more"),
        "Save": described(output_node=True),
        "Service": described("comfy_api_nodes.service"),
        "Custom": described("custom_nodes.pack"),
        "CustomSave": described("custom_nodes.pack", output_node=True),
        "SaysPure": described("custom_nodes.pack", discomfort_effect="pure"),
        "SaysFile": described("custom_nodes.pack", discomfort_effect="file"),
        "SaysVolatile": described("custom_nodes.pack", discomfort_effect="volatile"),
        "SaysNothing": described("custom_nodes.pack", discomfort_effect="whatever"),
        "LoadImage": described(),
        "VAELoader": described(),
        "WebcamCapture": described(),
    }
)
TABLE = EffectTable(CATALOG)
Keys = Mapping[NodeId, "str | None"]


def node(node_id: str, class_type: str | None, title: str = "", **inputs: Any) -> Node:
    """Return a node; inputs are literals, `(node, slot)` or parameters."""
    read = {
        name: Link(NodeId(value[0]), value[1])
        if isinstance(value, tuple)
        else value
        if isinstance(value, (Param, Literal))
        else Literal(value)
        for name, value in inputs.items()
    }
    return Node(NodeId(node_id), class_type, read, title, Origin("main", node_id))


def keys_of(
    nodes: Iterable[Node],
    sources: Mapping[str, Source] | None = None,
    params: Mapping[str, str | None] | None = None,
) -> dict[str, str | None]:
    graph = Graph({each.id: each for each in nodes})
    found = node_keys(
        graph, graph.nodes, params or {}, TABLE, {NodeId(name): value for name, value in (sources or {}).items()}
    )
    return {str(name): key for name, key in found.items()}


def key_of(*nodes: Node, sources: Mapping[str, Source] | None = None) -> str | None:
    """Return the key of the last node."""
    return keys_of(nodes, sources)[nodes[-1].id]


ALIKE: list[Any] = [
    1,
    1.0,
    True,
    "1",
    "True",
    "b1",
    0,
    0.0,
    -0.0,
    False,
    "",
    None,
    "null",
    math.nan,
    "nan",
    math.inf,
    -math.inf,
    10**30,
    float(10**30),
    [],
    {},
    [[]],
    [1],
    [1.0],
    [True],
    ["1"],
    [None],
    [-0.0],
    [0.0],
    [math.nan],
    {"a": 1},
    {"a": 1.0},
    {"a": True},
    {"a": "1"},
    {"a": [1]},
    {"a": [1.0]},
    {"a": {"a": 1}},
    {"a": {"a": True}},
    {"a": None},
    {"a,b": 1},
    {"é": "é"},
    {"a": 1, "b": 1},
    "[1]",
    '{"a": 1}',
    "1\x1f1:b\x1fi1",
    "é",
    "e\u0301",
    "\ud800",
]


def test_literals_that_look_alike_have_tokens_of_their_own() -> None:
    tokens = [literal_token(value) for value in ALIKE]
    assert len(set(tokens)) == len(ALIKE)
    assert tokens == [literal_token(value) for value in ALIKE]


def test_literals_that_look_alike_have_keys_of_their_own() -> None:
    keys = [key_of(node("n", "Pure", a=Literal(value))) for value in ALIKE]
    assert None not in keys
    assert len(set(keys)) == len(ALIKE)


GOLDEN = Path(__file__).parents[1] / "golden" / "keys"


def test_tokens_and_keys_stay_what_they_are(golden: Callable[[Path, str], None]) -> None:
    """Stored recipes are named by keys, so keys are the same on every system, in every process and every release."""
    lines = [f"{json.dumps(value)}\t{json.dumps(literal_token(value))}" for value in ALIKE]
    golden(GOLDEN / "tokens.txt", "\n".join(lines) + "\n")
    nodes = [
        node("loaded", LOADER_CLASS, digest="d1-00", value_type="*"),
        node("file", "LoadImage", image="a.png"),
        node("one", "Pure", b=1, a="text"),
        node("two", "Pure", a=("one", 1), b=("loaded", 0), c=Param("x")),
        node("three", "Other", a=("two", 0), b=("file", 0)),
        node("odd", "Pure\x1f", a=1),
        node("odder", "Pure\x1e", a=1),
        node("unknown", None, a=("elsewhere", 2)),
    ]
    graph = Graph({each.id: each for each in nodes})
    structures = structural_keys(graph, graph.nodes)
    results = keys_of(nodes, {"file": Source("red")}, {"x": "d1-01"})
    lines = [f"{name}\t{structures[name]}\t{results[name]}" for name in graph.nodes]
    lines.append(output_key(structures[NodeId("two")], 1))
    golden(GOLDEN / "keys.txt", "\n".join(lines) + "\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def tagged(value: Any) -> Any:
    """Return the value with every type written out, so that == distinguishes what keys must distinguish."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    if isinstance(value, dict):
        return ("dict", frozenset((key, tagged(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("list", tuple(tagged(item) for item in value))
    return (type(value).__name__, value)


@given(JSON, JSON)
def test_law_tokens_are_equal_exactly_where_values_of_one_type_are(one: Any, other: Any) -> None:
    assert (literal_token(one) == literal_token(other)) is (tagged(one) == tagged(other))
    again = json.loads(json.dumps(one))
    assert literal_token(again) == literal_token(one)


@pytest.mark.parametrize("value", [(1,), [(1,)], {1: 2}, {"a": {None: 1}}, object(), [b"x"], {"a": {1, 2}}])
def test_what_is_not_JSON_has_no_token(value: Any) -> None:
    with pytest.raises(TypeError):
        literal_token(value)


def test_the_order_of_inputs_takes_no_part() -> None:
    assert (
        key_of(node("n", "Pure", a=1, b=2))
        == key_of(node("n", "Pure", b=2, a=1))
        != key_of(node("n", "Pure", a=2, b=1))
    )
    assert key_of(node("n", "Pure", a={"x": 1, "y": 2})) == key_of(node("n", "Pure", a={"y": 2, "x": 1}))


def test_ids_and_titles_take_no_part() -> None:
    assert key_of(node("n", "Pure", a=1)) == key_of(node("m", "Pure", "another title", a=1))
    first = key_of(node("p", "Pure", a=1), node("n", "Pure", a=("p", 0)))
    assert first == key_of(node("x", "Pure", "t", a=1), node("y", "Pure", a=("x", 0)))


def test_an_input_that_is_left_out_is_not_its_default() -> None:
    """What a class takes for an input that is not there may change with the class; so the key says which it was."""
    assert len({key_of(node("n", "Pure")), key_of(node("n", "Pure", a=0)), key_of(node("n", "Pure", a=None))}) == 3


def test_names_and_values_cannot_run_into_each_other() -> None:
    apart = [
        node("n", "Pure", ab="c"),
        node("n", "Pure", a="bc"),
        node("n", "Pure", a=1, b=2),
        node("n", "Pure", "", **{"a\x1fi1\x1f1:b": 2}),
        node("n", "Pure\x1f1:a\x1fi1"),
        node("n", "None", a=1),
        node("n", None, a=1),
        node("n", "Pure", a=1),
    ]
    assert len({tuple(structural(each).values()) for each in apart}) == len(apart)


def structural(each: Node) -> dict[NodeId, str]:
    return structural_keys(Graph({each.id: each}), [each.id])


def test_class_slot_and_upstream_count() -> None:
    base = node("p", "Pure", a=1)
    keys = {
        key_of(base, node("n", "Pure", a=("p", 0))),
        key_of(base, node("n", "Pure", a=("p", 1))),
        key_of(base, node("n", "Other", a=("p", 0))),
        key_of(base, node("n", "Pure", b=("p", 0))),
        key_of(node("p", "Pure", a=2), node("n", "Pure", a=("p", 0))),
        key_of(node("q", "Pure", a=2), base, node("n", "Pure", a=("p", 0), b=("q", 0))),
    }
    assert None not in keys
    assert len(keys) == 6
    assert output_key("k", 0) != output_key("k", 1)


def test_a_loaded_value_counts_as_its_digest() -> None:
    def loaded(digest: str, kind: str) -> str | None:
        return key_of(node("l", LOADER_CLASS, digest=digest, value_type=kind), node("n", "Pure", a=("l", 0)))

    assert loaded("d1-00", "IMAGE") == loaded("d1-00", "*") != loaded("d1-01", "IMAGE")
    parameter = node("n", "Pure", a=Param("x"))
    assert keys_of([parameter], params={"x": "d1-00"})["n"] == loaded("d1-00", "*")
    assert keys_of([parameter], params={"x": None}) == {"n": None}
    assert keys_of([parameter]) == {"n": None}


def test_only_a_loader_s_written_digest_is_the_value_s() -> None:
    """Not that of a node of another class, and not one that is known only when the prompt runs."""
    other = [node("n", "Other", digest="d1-00"), node("f", "Pure", a=("n", 0))]
    assert structural_keys_of(*other) != structural_keys_of(node("n", "Pure", digest="d1-00"), other[1])
    assert key_of(*other) != key_of(node("n", LOADER_CLASS, digest="d1-00"), other[1])
    for digest in (Param("x"), ("elsewhere", 0)):
        late = [node("n", LOADER_CLASS, digest=digest), node("f", "Pure", a=("n", 0))]
        assert key_of(*late) is None
        assert structural_keys_of(*late) == structural_keys_of(*late)


def test_a_node_outside_of_the_graph_counts_by_its_id() -> None:
    apart = {structural_keys_of(node("n", "Pure", a=(name, slot))) for name in ("x", "y") for slot in (0, 1)}
    assert len(apart) == 4
    assert key_of(node("n", "Pure", a=("x", 0))) is None


def structural_keys_of(*nodes: Node) -> str:
    """Return the structural key of the last node."""
    graph = Graph({each.id: each for each in nodes})
    return structural_keys(graph, graph.nodes)[nodes[-1].id]


@pytest.mark.parametrize(
    "class_type",
    ["Custom", "Save", "CustomSave", "Service", "SaysVolatile", "SaysNothing", "WebcamCapture", "Absent", None],
)
def test_no_key_for_what_is_not_certain_nor_for_what_comes_of_it(class_type: str | None) -> None:
    nodes = [
        node("before", "Pure", a=1),
        node("it", class_type, a=("before", 0)),
        node("after", "Pure", a=("it", 0), b=2),
        node("z", "Pure", a=1, b=("after", 1)),
        node("next", "Pure", a=("before", 0)),
    ]
    keys = keys_of(nodes)
    assert [name for name, key in keys.items() if key is None] == ["it", "after", "z"]


def test_an_unknown_input_is_not_left_out_of_a_key() -> None:
    """Whether it is the first, a middle or the last of the inputs, by name."""
    unknown = node("u", "Custom")
    for name in ("a", "b", "c"):
        inputs: dict[str, Any] = {"a": 1, "b": 2, "c": 3, name: ("u", 0)}
        assert key_of(unknown, node("n", "Pure", **inputs)) is None


READERS = ["LoadImage", "VAELoader", "SaysFile"]


@pytest.mark.parametrize("class_type", READERS)
def test_a_reader_of_files_has_a_key_only_with_what_is_in_them(class_type: str) -> None:
    reader = node("r", class_type, image="a.png", vae_name="a.png", a="a.png")
    follower = node("f", "Pure", a=("r", 0))
    assert keys_of([reader, follower]) == {"r": None, "f": None}
    assert keys_of([reader, follower], {"r": Source(None, why="no such file")}) == {"r": None, "f": None}
    red, green, red_again = (keys_of([reader, follower], {"r": Source(token)}) for token in ("red", "green", "red"))
    assert red == red_again
    assert None not in red.values()
    assert red["r"] != green["r"]
    assert red["f"] != green["f"]


def test_versions_and_reasons_are_not_part_of_a_key() -> None:
    reader = node("r", "LoadImage", image="a.png")
    assert key_of(reader, sources={"r": Source("red", "1", "x")}) == key_of(reader, sources={"r": Source("red", "2")})


def test_a_source_says_nothing_but_what_it_is_given() -> None:
    assert Source("token") == Source("token", version="", why="", prompt_input="", keeps_state=False)


def test_any_class_may_have_a_source() -> None:
    plain = node("n", "SaysPure", a=1)
    keys = [key_of(plain, sources={"n": Source(token)}) for token in ("", "code 1", "code 2", None)]
    assert keys[0] == key_of(plain)
    assert keys[3] is None
    assert len(set(keys)) == 4


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", ["LoadImage", "VAELoader", "SaysFile", "SaysPure"])
def test_law_a_source_anywhere_upstream_counts(depth: int, kind: str) -> None:
    nodes = [node("0", kind, a="a.png"), node("side", "Pure", a=7)]
    for number in range(1, depth + 1):
        nodes.append(node(str(number), "Pure", a=(str(number - 1), 0), b=("side", 0)))
    last = str(depth)
    found = [keys_of(nodes, {"0": Source(token)})[last] for token in ("red", "green", None)]
    assert found[2] is None
    assert len(set(found)) == 3


@st.composite
def programs(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 9))):
        inputs: dict[str, Any] = {}
        for name in draw(st.sets(st.sampled_from("abcd"))):
            linked = bool(nodes) and draw(st.booleans())
            inputs[name] = (draw(st.sampled_from(nodes)).id, draw(st.integers(0, 1))) if linked else draw(JSON)
        kind = draw(st.sampled_from(["Pure", "Other", "SaysPure", "LoadImage", "SaysFile", "Custom"]))
        nodes.append(node(str(number), kind, **inputs))
    return nodes


@given(programs(), st.data())
def test_law_any_change_changes_the_keys_of_all_that_comes_of_it_and_of_nothing_else(
    nodes: list[Node], data: st.DataObject
) -> None:
    sources = {each.id: Source("s") for each in nodes}
    changed = data.draw(st.sampled_from(nodes)).id
    behind = {changed}
    for each in nodes:
        if any(link.node in behind for _, link in each.links()):
            behind.add(each.id)
    before = keys_of(nodes, {str(name): source for name, source in sources.items()})
    after = keys_of(nodes, {str(name): source for name, source in {**sources, changed: Source("t")}.items()})
    for each in nodes:
        same = before[each.id] == after[each.id]
        assert same is (each.id not in behind or before[each.id] is None)


def test_the_table_is_about_ComfyUI_s_own_classes() -> None:
    """A custom node that is called as one of them follows what it says of itself."""
    names = [name for name in RULES if not name.startswith("Discomfort")]
    for effect, expected in ((None, Effect.UNKNOWN), ("pure", Effect.PURE), ("volatile", Effect.VOLATILE)):
        said = {} if effect is None else {"discomfort_effect": effect}
        table = EffectTable(Catalog({name: described("custom_nodes.mine", **said) for name in names}))
        assert {table.rule(name) for name in names} == {Rule(expected)}
    core = EffectTable(Catalog({name: described() for name in names}))
    assert {name: core.rule(name) for name in names} == {name: RULES[name] for name in names}


def files_of(class_type: str, module: str = "nodes", inputs: Any = None, **given: Any) -> Any:
    entry = {**described(module), **({} if inputs is None else {"input": {"required": inputs}})}
    return FileReaders(EffectTable(Catalog({class_type: entry}))).inputs(node("n", class_type, **given))


def test_which_inputs_name_files() -> None:
    choice: dict[str, Any] = {"c": [["euler", "a.safetensors"]], "t": ["STRING", {}], "clip": ["CLIP"]}
    new: dict[str, Any] = {"new_model": ["COMBO", {"options": []}]}
    assert files_of("VAELoader", vae_name="pixel_space", a="x.png").names == {"vae_name": "pixel_space"}
    assert files_of("LoadImage", image=Literal({"image": "a.png", "mask": "b.png"})).names.keys() == {
        "image",
        "image.1",
    }
    assert files_of("LoadImage", image=("p", 0)).linked == ("image",)
    assert files_of("LoadImage", image=Param("p")).linked == ("image",)
    assert files_of("LoadFutureModel", inputs=new, new_model="sub/flux 3.safetensors").names
    assert files_of("LoadFutureModel", inputs=new, new_model="a.png [output]").names
    assert files_of("LoadFutureModel", "custom_nodes.pack", new, new_model="x.gguf").names
    assert not files_of("Sampler", inputs=choice, c="euler", t="a.png")
    assert not files_of("Sampler", inputs={"c": [["sd1.5", "v1.0"]]}, c="sd1.5")
    assert files_of("Sampler", inputs=choice, c=("p", 0), t="x").linked == ("c",)
    assert not files_of("Sampler", inputs={"c": [["euler"]]}, c=("p", 0))


def test_a_text_may_name_embeddings() -> None:
    inputs = {"text": ["STRING", {"multiline": True}], "clip": ["CLIP"]}
    assert not files_of("Encode", inputs=inputs, text="a cat.", clip=("c", 0))
    assert files_of("Encode", inputs=inputs, text="a cat, embedding:bad", clip=("c", 0)).embeddings
    assert files_of("Encode", inputs=inputs, text=("t", 0), clip=("c", 0)).embeddings
    assert not files_of("Join", inputs={"text": ["STRING", {}]}, text="embedding:bad")
