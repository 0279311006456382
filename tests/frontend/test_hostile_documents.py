"""Numbers, depths and shapes that JSON or a Python program can hold are findings: never a traceback, never nonsense."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import pytest

from discomfort.compiler.frontend import load_workflow
from discomfort.editor_documents.join import stitch
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.diagnostics import CompileError
from discomfort.ir.graph import Link, NodeId
from discomfort.ir.untrusted_json.nesting import DEEPEST, loads_any_number, text_is_too_deep
from discomfort.plan import compile
from tests.fuzz.fuzz_plans import try_document
from tests.fuzz.mutation import golden_documents, mutated, nested
from tests.runtime.programs import reads, workflow, writes

KEPT = {"delete_input_ports": False, "delete_output_ports": False}
NO_SLOTS = [float("inf"), -float("inf"), float("nan"), 0.5, -1, 1, 2**63, 10**400]


@pytest.fixture(scope="module")
def documents() -> list[Any]:
    return golden_documents()


@pytest.mark.parametrize("seed", range(40))
def test_a_document_with_a_hostile_part_is_read_joined_compiled_drawn_and_written(
    seed: int, documents: list[Any]
) -> None:
    choice = random.Random(seed)
    for _ in range(5):
        try_document(mutated(choice.choice(documents), choice))


@pytest.mark.parametrize("slot", NO_SLOTS)
@pytest.mark.parametrize("source", ["DiscomfortPort", "EmptyImage"])
def test_a_slot_that_counts_no_output_is_a_finding(slot: float, source: str) -> None:
    inputs = {"unique_id": "photo", "tags": ""} if source == "DiscomfortPort" else EMPTY
    prompt = {
        "1": {"class_type": source, "inputs": inputs},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", slot]}},
    }
    with pytest.raises(CompileError) as caught:
        compile([prompt])
    (found,) = caught.value.diagnostics
    assert (found.code, found.where.node, found.where.input) == ("DF303", "2", "images")


@pytest.mark.parametrize("slot", [-1, 2**31, 10**400])
@pytest.mark.parametrize("consumer", ["PreviewAny", "Unknown", "DiscomfortPort"])
def test_a_slot_of_a_class_that_no_catalog_knows(slot: int, consumer: str) -> None:
    """It cannot be counted, but no class has it; a plan with it could not be read again."""
    inputs: dict[str, Any] = {"source": ["1", slot]}
    if consumer == "DiscomfortPort":
        inputs = {"unique_id": "x", "tags": "", "input": ["1", slot]}
    prompt = {
        "1": {"class_type": "Unheard", "inputs": {}},
        "2": {"class_type": consumer, "inputs": inputs},
        "3": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "y", "tags": "", "input": ["2", 0]}},
    }
    if consumer != "Unknown":
        del prompt["3"]
    with pytest.raises(CompileError) as caught:
        compile([prompt])
    assert "DF303" in [finding.code for finding in caught.value.diagnostics]


EMPTY = {"width": 8, "height": 8, "batch_size": 1, "color": 0}


@pytest.mark.parametrize("text", ["1e400", "-1e400", "1" + "0" * 400, "0.5"])
def test_a_slot_in_a_save_of_the_editor(text: str) -> None:
    save = json.dumps(
        {
            "nodes": [
                {"id": 1, "type": "EmptyImage", "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]},
                {"id": 2, "type": "PreviewImage", "inputs": [{"name": "images", "type": "IMAGE", "link": 1}]},
            ],
            "links": [[1, 1, "SLOT", 2, 0, "IMAGE"]],
            "version": 0.4,
        }
    )
    loaded = load_workflow(save.replace('"SLOT"', text).encode(), default_catalog())
    assert not any(
        isinstance(value, Link) and value.slot == 0 for value in loaded.graph.nodes[NodeId("2")].inputs.values()
    )


def test_a_whole_number_written_as_a_decimal_is_that_slot() -> None:
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0.0]}},
    }
    assert load_workflow(json.dumps(prompt), default_catalog()).graph.nodes[NodeId("2")].inputs["images"] == Link(
        NodeId("1"), 0
    )


def prompt_with(value: Any) -> dict[str, Any]:
    return {"1": {"class_type": "PreviewAny", "inputs": {"source": value}}}


def holding_itself() -> Any:
    held: list[Any] = []
    held.append(held)
    return {"a": held}


NO_JSON: dict[str, tuple[Any, str]] = {
    "thousands of levels": (nested(5000), "nested too deeply"),
    "a level too many": (nested(DEEPEST), "nested too deeply"),
    "itself": (holding_itself(), "holds itself"),
    "a long number": (10**5000, "more than 4000 digits"),
    "a long number inside": ({"a": [10**5000]}, "more than 4000 digits"),
    "a key that is a number": ({3: 4}, "a key in it is 3, not text"),
}


@pytest.mark.parametrize("name", NO_JSON)
def test_objects_that_no_json_could_be(name: str) -> None:
    value, sentence = NO_JSON[name]
    for use in (
        lambda: compile([prompt_with(value)]),
        lambda: stitch([prompt_with(value)], **KEPT),
    ):
        with pytest.raises(CompileError, match=sentence):
            use()


EDITOR_NODE = '{"nodes": [{"id": 7, "type": "PrimitiveInt", "widgets_values": %s}], "links": [], "version": 0.4}'


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(
    ("document", "node", "name"),
    [
        ('{"1": {"class_type": "PreviewAny", "inputs": {"source": %s}}}', "1", "source"),
        ('{"1": {"class_type": "PreviewAny", "inputs": {"source": {"a": [3, %s]}}}}', "1", "source"),
        (EDITOR_NODE % "[1, %s]", "7", None),
        (EDITOR_NODE % '{"value": %s}', "7", "value"),
    ],
)
def test_a_number_that_python_does_not_read_is_found_at_its_place(
    document: str, node: str, name: str | None, as_text: bool, sign: str
) -> None:
    number = sign + "9" * 6000
    content = document % number if as_text else loads_any_number(document % number)
    (finding,) = load_workflow(content, default_catalog()).diagnostics
    assert (finding.code, finding.where.node, finding.where.input) == ("DF102", node, name)
    assert "a number in it has more than 4000 digits" in finding.message
    assert len(finding.message) < 200


@pytest.mark.parametrize("value", [nested(DEEPEST - 10), 10**400, float("nan"), {"a": [float("inf")]}, {"a": "\ud800"}])
def test_objects_that_are_odd_and_no_more(value: Any) -> None:
    assert len(compile([prompt_with(value)]).graph.nodes) == 1


@pytest.mark.parametrize("depth", [1, 100, DEEPEST - 3, DEEPEST, 500, 900])
@pytest.mark.parametrize("text", ["", '"', "[", "]", '\\"[', "\\", '"]}"', "{" * 300, "]" * 300])
def test_depth_is_that_of_the_structure_whatever_texts_hold(depth: int, text: str) -> None:
    document = {text: nested(depth, [text, {text: text}, [[text], []]])}
    content = json.dumps(document).encode()
    assert text_is_too_deep(content) == (depth + 4 > DEEPEST)


def test_editor_documents_with_odd_parts_are_joined() -> None:
    odd: dict[str, Any] = {
        "nodes": [
            {
                "id": 1,
                "type": "EmptyImage",
                "pos": [10**400, None],
                "size": "x",
                "outputs": [7, {"links": [[], None, 3]}],
            },
            {"id": 2, "type": "PreviewImage", "pos": {"0": "x"}, "inputs": [None, {"name": "images", "link": {}}]},
        ],
        "links": [[1, 1], [2, [], 0, 2, 0, "IMAGE"], {"id": 4}],
        "groups": [5, {"bounding": ["x"]}, {"bounding": [0, 0, 10**400, 1]}],
        "extra": {"groupNodes": 3},
        "definitions": {"subgraphs": [3]},
        "version": 0.4,
    }
    with contextlib.suppress(CompileError):  # what the readers report is reported here, too
        json.dumps(stitch([odd, odd], **KEPT)["stitched_workflow"])
    sound = {**odd, "nodes": [{"id": 1, "type": "EmptyImage", "pos": [10**400, None], "size": "x"}], "links": []}
    sound["definitions"] = {}
    joined = stitch([sound, sound], **KEPT)["stitched_workflow"]
    assert [node["type"] for node in joined["nodes"]] == ["EmptyImage", "EmptyImage"]


def test_a_cycle_that_no_result_needs_is_a_finding_of_the_ports() -> None:
    from discomfort.editor_documents.join import discover_ports

    looped = workflow(
        n1=reads("photo"),
        n2=writes("result", ["1", 0]),
        n3=("ImageInvert", {"image": ["4", 0]}),
        n4=("ImageInvert", {"image": ["3", 0]}),
    )
    with pytest.raises(CompileError, match="DF301"):
        discover_ports(looped)
