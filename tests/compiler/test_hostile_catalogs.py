"""Catalogs with bad entries: each costs its own class and is reported; nothing else is lost, and nothing crashes."""

from __future__ import annotations

import copy
import gzip
import json
import math
import os
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler import CompileError
from discomfort.compiler.plan.draw import draw
from discomfort.ir.catalog import checked
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.catalog.checked import LiveCatalog, parse_catalog
from discomfort.ir.catalog.effects import Effect
from discomfort.ir.catalog.entries import EFFECTS, entry_problem
from discomfort.ir.catalog.read import read_catalog
from discomfort.ir.codes import Severity
from discomfort.plan import compile

GOOD: dict[str, Any] = {
    "input": {
        "required": {"value": ["INT", {"default": 1, "min": 0, "max": 8}], "mode": [["a", "b"], {}]},
        "optional": {"image": ["IMAGE"]},
        "hidden": {"unique_id": "UNIQUE_ID"},
    },
    "output": ["IMAGE", "INT"],
    "output_name": ["picture", "number"],
    "output_is_list": [False, True],
    "output_node": False,
    "display_name": "Good",
    "category": "tests",
    "python_module": "nodes",
}
DYNAMIC: dict[str, Any] = {
    "input": {
        "required": {
            "images": [
                "COMFY_AUTOGROW_V3",
                {"template": {"input": {"required": {"image": ["IMAGE", {}]}}, "prefix": "image", "min": 1, "max": 50}},
            ],
            "mode": [
                "COMFY_DYNAMICCOMBO_V3",
                {"options": [{"key": "one", "inputs": {"required": {"x": ["FLOAT", {"step": 0.1}]}}}, {"key": "two"}]},
            ],
            "any": ["COMFY_MATCHTYPE_V3", {"template": {"template_id": "t", "allowed_types": "IMAGE,MASK"}}],
        }
    },
    "output": ["COMFY_MATCHTYPE_V3"],
    "output_matchtypes": ["t"],
}


def changed(entry: Mapping[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The entry with another value at a path."""
    result: Any = copy.deepcopy(entry)
    holder = result
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return result  # type: ignore[no-any-return]


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


BAD: dict[str, Any] = {
    "not an object": 7,
    "null": None,
    "a text": "IMAGE",
    "no input": {"output": []},
    "input a number": changed(GOOD, ("input",), 3),
    "group a list": changed(GOOD, ("input", "required"), ["value"]),
    "an input a number": changed(GOOD, ("input", "required", "value"), 3),
    "an input an object": changed(GOOD, ("input", "required", "value"), {"type": "INT"}),
    "an input without type": changed(GOOD, ("input", "optional", "image"), []),
    "a type a number": changed(GOOD, ("input", "required", "value"), [3, {}]),
    "a type null": changed(GOOD, ("input", "required", "value"), [None]),
    "max beyond JavaScript": changed(GOOD, ("input", "required", "value", 1, "max"), 10**400),
    "min not a number": changed(GOOD, ("input", "required", "value", 1, "min"), math.nan),
    "default not a number": changed(GOOD, ("input", "required", "value", 1, "default"), math.nan),
    "default infinite": changed(GOOD, ("input", "required", "value", 1, "default"), math.inf),
    "default beyond JavaScript": changed(GOOD, ("input", "required", "value", 1, "default"), 10**400),
    "step infinite": changed(GOOD, ("input", "required", "value", 1, "step"), math.inf),
    "output a number": changed(GOOD, ("output",), 3),
    "output of numbers": changed(GOOD, ("output",), [3]),
    "names an object": changed(GOOD, ("output_name",), {"a": 1}),
    "lists a truth value": changed(GOOD, ("output_is_list",), True),
    "match types of numbers": changed(GOOD, ("output_matchtypes",), [3]),
    "title a list": changed(GOOD, ("display_name",), ["x"]),
    "module a number": changed(GOOD, ("python_module",), 3),
    "category an object": changed(GOOD, ("category",), {"a": 1}),
    "unknown effect": {**GOOD, "discomfort_effect": "sometimes"},
    "deep": changed(GOOD, ("input", "required", "value", 1, "default"), nested(900)),
    "deep elsewhere": {**GOOD, "anything": nested(900)},
    "combo options a text": changed(GOOD, ("input", "required", "mode"), ["COMBO", {"options": "abc"}]),
    "combo options a number": changed(GOOD, ("input", "required", "mode"), ["COMBO", {"options": 3}]),
    "template a text": changed(DYNAMIC, ("input", "required", "images", 1, "template"), "x"),
    "template grows forever": changed(DYNAMIC, ("input", "required", "images", 1, "template", "max"), 10**9),
    "template grows by halves": changed(DYNAMIC, ("input", "required", "images", 1, "template", "max"), 1.5),
    "template names numbers": changed(DYNAMIC, ("input", "required", "images", 1, "template", "names"), [1]),
    "template in a template": changed(
        DYNAMIC,
        ("input", "required", "images", 1, "template"),
        {
            "input": {
                "required": {
                    "x": ["COMFY_AUTOGROW_V3", {"template": {"input": {"required": {"y": ["INT"]}}, "max": 9000}}]
                }
            },
            "max": 9000,
        },
    ),
    "match template a number": changed(DYNAMIC, ("input", "required", "any", 1, "template"), 3),
    "dynamic options a number": changed(DYNAMIC, ("input", "required", "mode", 1, "options"), 3),
    "dynamic option a text": changed(DYNAMIC, ("input", "required", "mode", 1, "options"), ["one"]),
    "dynamic inputs a list": changed(DYNAMIC, ("input", "required", "mode", 1, "options", 0, "inputs"), ["x"]),
}

ODD: dict[str, Any] = {
    "2**64": changed(GOOD, ("input", "required", "value", 1, "max"), 2**64),
    "no limits": changed(GOOD, ("input", "required", "value", 1), {"min": -math.inf, "max": math.inf, "default": 1}),
    "limits as texts": changed(GOOD, ("input", "required", "value", 1), {"min": "0", "max": "8", "default": 1}),
    "options a text": changed(GOOD, ("input", "required", "value"), ["INT", "slider"]),
    "an input a text": changed(GOOD, ("input", "required", "value"), "INT"),
    "RETURN_NAMES a text": changed(GOOD, ("output_name",), "picture"),
    "no group": changed(GOOD, ("input",), {}),
    "groups null": changed(GOOD, ("input",), {"required": None, "optional": None}),
    "input null": changed(GOOD, ("input",), None),
    "outputs null": {**GOOD, "output": None, "output_name": None, "output_is_list": None},
    "half a pair": {**changed(GOOD, ("input", "required", "\ud800"), ["INT", {}]), "display_name": "\udc00"},
    "more names than outputs": changed(GOOD, ("output_name",), ["a"] * 9),
    "a choice that is a list": changed(GOOD, ("input", "required", "mode"), [[["a"], {"b": 1}, 2, None, True]]),
    "no choice": changed(GOOD, ("input", "required", "mode"), [[]]),
}
"""Entries that ComfyUI and its editor live with."""


def using(*names: str) -> dict[str, Any]:
    """A prompt with a node of each class, each with the inputs that the good ones have."""
    inputs = {"value": 1, "mode": "a", "mode.x": 0.5, "images.image0": ["0", 0], "any": ["0", 0], "x": 3}
    first = {"0": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}}
    return {**first, **{str(n): {"class_type": name, "inputs": inputs} for n, name in enumerate(names, 1)}}


def saved(*names: str) -> dict[str, Any]:
    """An editor's save with a node of each class."""
    nodes = [{"id": n, "type": name, "widgets_values": [1, "a", 0.5, 3]} for n, name in enumerate(names, 1)]
    return {"nodes": nodes, "links": [], "version": 0.4}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOMFORT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize("what", BAD)
def test_a_bad_entry_costs_its_class_and_is_reported(what: str, tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"Bad": BAD[what], "Good": GOOD}))
    catalog = read_catalog(path)
    assert "Bad" not in catalog
    assert "Bad" not in list(catalog)
    assert catalog["Good"].inputs[0].name == "value"
    (finding,) = catalog.unusable.values()
    assert (finding.code, finding.where.file) == ("DF131", str(path))
    assert str(finding.where.path).startswith("$['Bad']")
    assert len(finding.render()) < 600
    for document in (using("Good", "Bad"), saved("Good", "Bad")):
        found = [each for each in findings_of(document, catalog) if each.code == "DF131"]
        assert [each.severity for each in found] == [Severity.WARNING]
    (note,) = (each for each in findings_of(using("Good"), catalog) if each.code == "DF131")
    assert note.severity is Severity.NOTE
    assert "Bad" in note.message
    assert read_catalog(snapshot_file(catalog, tmp_path)).digest == catalog.digest


def findings_of(document: dict[str, Any], catalog: Catalog) -> Any:
    try:
        return compile([document], catalog=catalog).diagnostics
    except CompileError as error:
        return error.diagnostics


def snapshot_file(catalog: Catalog, folder: Path) -> Path:
    path = folder / "snapshot.json.gz"
    path.write_bytes(catalog.snapshot())
    return path


@pytest.mark.parametrize("what", ODD)
def test_what_ComfyUI_tolerates_stays(what: str, tmp_path: Path) -> None:
    catalog = read_catalog(json.loads(json.dumps({"Odd": ODD[what]})))
    assert not catalog.unusable
    assert catalog["Odd"].name == "Odd"
    for document in (using("Odd"), saved("Odd")):
        use(catalog, document)
    assert read_catalog(snapshot_file(catalog, tmp_path)).digest == catalog.digest


def use(catalog: Catalog, document: dict[str, Any]) -> None:
    """Compile, explain, draw and write; whatever is found is fine, what is raised is not."""
    try:
        plan = compile([document], catalog=catalog)
    except CompileError:
        return
    assert plan.explain()
    assert draw(plan, catalog)
    assert json.dumps(plan.to_json())


def test_2_to_the_64_is_a_limit_like_any_other() -> None:
    catalog = read_catalog({"Odd": ODD["2**64"]})
    inputs = {"value": 2**64 + 4096, "mode": "a"}
    shown = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    prompt = {"1": {"class_type": "Odd", "inputs": inputs}, "2": shown}
    assert "DF310" in [each.code for each in findings_of(prompt, default_catalog().merged(catalog))]
    port = {"class_type": "DiscomfortPort", "inputs": {"unique_id": "x", "tags": ""}}
    sink = {"class_type": "DiscomfortPort", "inputs": {"unique_id": "y", "tags": "", "input": ["2", 0]}}
    prompt = {"1": port, "2": {"class_type": "Odd", "inputs": {"value": ["1", 0], "mode": "a"}}, "3": sink}
    plan = compile([prompt], catalog=catalog)
    assert plan.inputs["x"].constraints[0].maximum == 2**64
    assert type(plan).from_json(json.loads(json.dumps(plan.to_json()))).inputs == plan.inputs


@pytest.mark.parametrize("content", ["[]", "null", "3", '"x"', '{"nodes": [], "links": []}', "[" * 100_000, "{", ""])
def test_what_is_not_a_catalog_at_all_is_an_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"x\.json"):
        read_catalog(path)
    with pytest.raises(ValueError, match=r"x\.json"):
        parse_catalog(gzip.compress(content.encode()), "x.json")


def test_a_prompt_is_not_a_catalog() -> None:
    with pytest.raises(ValueError, match="not node classes; '0': it has no 'input'"):
        read_catalog(using("A", "B"))


@pytest.mark.parametrize("cut", [1, 9, 30, -1, -9])
def test_damaged_gzip_is_an_error(cut: int) -> None:
    content = gzip.compress(json.dumps({"Good": GOOD}).encode())
    with pytest.raises(ValueError, match="damaged"):
        parse_catalog(content[:cut], "damaged")


def test_gzip_in_parts_and_padded_is_read() -> None:
    text = json.dumps({"Good": GOOD}).encode()
    assert "Good" in parse_catalog(gzip.compress(text[:50]) + gzip.compress(text[50:]) + bytes(20), "x")


def test_a_gzip_bomb_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "LARGEST_CATALOG", 1 << 20)
    bomb = gzip.compress(b" " * (64 << 20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 1 MiB"):
        parse_catalog(bomb * 10, "x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_every_class_of_the_bundled_catalog_can_be_used() -> None:
    assert not {name: found for name, info in default_catalog().entries() if (found := entry_problem(name, info))}


def test_the_effects_of_entries_are_those_of_the_table() -> None:
    assert tuple(effect.value for effect in Effect) == EFFECTS


def test_the_findings_about_a_catalog_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps({"Bad": 7, "Good": GOOD}).encode()
    first = parse_catalog(content, "first")
    looked_at: list[str] = []

    def look(name: str, info: Any) -> None:
        looked_at.append(name)

    monkeypatch.setattr(checked, "entry_problem", look)
    second = parse_catalog(content, "second")
    assert not looked_at
    assert [each.message for each in second.unusable.values()] == [each.message for each in first.unusable.values()]
    assert "Bad" not in second
    parse_catalog(content + b" ", "another")
    assert looked_at == ["Bad", "Good"]


@pytest.mark.parametrize("fact", [[], 3, {"Nope": ["", ""]}, {"Bad": 3}, {"Bad": ["", 3]}, {"Bad": [""]}])
def test_a_memory_that_makes_no_sense_is_not_believed(fact: Any) -> None:
    content = json.dumps({"Bad": 7, "Good": GOOD}).encode()
    parse_catalog(content, "x")
    (path,) = Path(os.environ["DISCOMFORT_CACHE_DIR"]).iterdir()
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(dict.fromkeys(facts, fact)))
    assert list(parse_catalog(content, "x").unusable) == ["Bad"]


class Describing(Mapping[str, Any]):
    """Classes that are described when requested."""

    def __init__(self, classes: Mapping[str, Callable[[], Any]]) -> None:
        self.classes = classes

    def __getitem__(self, name: str) -> Any:
        return self.classes[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def __contains__(self, name: object) -> bool:
        return name in self.classes


def test_classes_of_this_process_that_cannot_be_described_cost_themselves() -> None:
    def fail() -> Any:
        raise AttributeError("no INPUT_TYPES")

    def lack() -> Any:
        raise KeyError("required")

    odd = {**GOOD, "input": {"required": {"value": ("INT", {"default": object()})}}}
    live = Describing({"Good": lambda: GOOD, "Fails": fail, "Lacks": lack, "Bad": lambda: 7, "Odd": lambda: odd})
    catalog = LiveCatalog(live, "here")
    assert [name in catalog for name in ("Good", "Fails", "Lacks", "Bad", "Odd", "Nope", 3)] == [
        True,
        *[False] * 3,
        True,
        *[False] * 2,
    ]
    assert catalog.get("Fails") is None
    assert "describing it failed: AttributeError: no INPUT_TYPES" in catalog.unusable["Fails"].message
    assert set(catalog.unusable) == {"Fails", "Lacks", "Bad"}
    assert list(catalog) == ["Good", "Odd"]
    assert len(catalog) == 2
    assert len(LiveCatalog(live, "here").digest) == 64


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**64, 10**400, -(10**400), math.nan, math.inf, "\ud800", "COMBO", "INT", "IMAGE", "*", "A,B"])
    | st.floats()
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


_REAL = ("KSampler", "BatchImagesNode", "ResizeImageMaskNode", "LoadImage", "CustomCombo", "ComfySwitchNode", "SaveGLB")


@given(st.data())
def test_L8_any_catalog_compiles_or_reports(data: st.DataObject) -> None:
    raw = {name: info for name, info in default_catalog().entries() if name in _REAL}
    entry: Any = copy.deepcopy(data.draw(st.sampled_from([GOOD, DYNAMIC, *raw.values()])))
    for _ in range(data.draw(st.integers(1, 4))):
        places = list(_places(entry))
        path = data.draw(st.sampled_from(places))
        entry = changed(entry, path, data.draw(_VALUES))
        if not isinstance(entry, dict) or not entry:
            break
    answer = {"X": entry, "KSampler": entry, "PrimitiveNode": entry, "Good": GOOD}
    catalog = read_catalog(answer)
    assert "Good" in catalog
    assert ("X" in catalog) is not ("X" in catalog.unusable)
    for document in (using("X", "KSampler", "Good"), saved("X", "KSampler", "Good"), primitive_into("X")):
        use(catalog, document)
    assert read_catalog(json.loads(gzip.decompress(catalog.snapshot()))).digest


def primitive_into(name: str) -> dict[str, Any]:
    """A save in which a PrimitiveNode feeds the first widget of a class."""
    slot = {"name": "value", "type": "INT", "link": 1, "widget": {"name": "value"}}
    nodes = [
        {"id": 1, "type": "PrimitiveNode", "outputs": [{"name": "INT", "type": "INT", "links": [1]}]},
        {"id": 2, "type": name, "inputs": [slot], "widgets_values": [1, "a", 0.5]},
    ]
    nodes[0]["widgets_values"] = [3, "fixed"]
    return {"nodes": nodes, "links": [[1, 1, 0, 2, 0, "INT"]], "version": 0.4}
