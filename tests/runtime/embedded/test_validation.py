"""What is checked before anything runs: every finding at once, at its place."""

from __future__ import annotations

from typing import Any

import pytest

from discomfort.runtime.engines.protocol import NodePlace, PromptRejected
from tests.runtime.embedded.lab import ANYTHING, NUMBER, Lab, Prompt, prompt, show


def refused(lab: Lab, nodes: Prompt, **options: Any) -> list[str]:
    """Run a prompt that must be refused before anything runs; return the findings' messages."""
    with pytest.raises(PromptRejected) as caught:
        lab.run(nodes, **options)
    assert lab.calls == []
    return [finding.message for finding in caught.value.diagnostics]


def one(lab: Lab, inputs: dict[str, Any]) -> str:
    (message,) = refused(lab, prompt(t=("Test", inputs), out=show("t")))
    return message


def test_a_missing_required_input(lab: Lab) -> None:
    lab.add("Test", lambda a: (a,), {"a": NUMBER})
    assert one(lab, {}).startswith("required_input_missing")


@pytest.mark.parametrize(("value", "word"), [(-1, "value_smaller_than_min"), (11, "value_bigger_than_max")])
def test_a_number_out_of_its_limits(lab: Lab, value: int, word: str) -> None:
    lab.add("Test", lambda a: (a,), {"a": ("INT", {"min": 0, "max": 10})})
    assert one(lab, {"a": value}).startswith(word)


@pytest.mark.parametrize("kind", [(["red", "green"],), ("COMBO", {"options": ["red", "green"]})])
def test_a_value_that_is_not_an_option(lab: Lab, kind: tuple[Any, ...]) -> None:
    lab.add("Test", lambda a: (a,), {"a": kind})
    message = one(lab, {"a": "gren"})
    assert message.startswith("value_not_in_list")
    assert "'red', 'green'" in message


def test_a_value_that_cannot_be_converted(lab: Lab) -> None:
    lab.add("Test", lambda a: (a,), {"a": NUMBER})
    assert one(lab, {"a": "many"}).startswith("invalid_input_type")


def test_a_link_of_another_type(lab: Lab) -> None:
    lab.add("Test", lambda a: (a,), {"a": ("STRING",)})
    (message,) = refused(lab, prompt(n=("Number", {"value": 1}), t=("Test", {"a": ["n", 0]}), out=show("t")))
    assert message.startswith("return_type_mismatch: expects STRING, and output 0 of node 'n' (Number) is INT")


@pytest.mark.parametrize("link", [["absent", 0], ["n", 7], ["n"], ["n", 0, 0]])
def test_a_link_to_what_is_not_there(lab: Lab, link: list[Any]) -> None:
    (message,) = refused(lab, prompt(n=("Number", {"value": 1}), t=("Add", {"a": link, "b": 1}), out=show("t")))
    assert message.startswith("bad_linked_input")


def test_a_cycle(lab: Lab) -> None:
    nodes = prompt(a=("Add", {"a": ["b", 0], "b": 1}), b=("Add", {"a": ["a", 0], "b": 1}), out=show("a"))
    (message,) = refused(lab, nodes)
    assert message.startswith("dependency_cycle")


def test_a_prompt_without_output_nodes(lab: Lab) -> None:
    (message,) = refused(lab, prompt(n=("Number", {"value": 1})))
    assert message.startswith("prompt_no_outputs")


def test_classes_that_are_missing_are_reported_together_with_what_to_do(lab: Lab) -> None:
    nodes = prompt(k=("KSampler", {}), c=("CLIPTextEncode", {}), out=show("k"))
    place = NodePlace("main.json", "12:3", "my sampler", "KSampler")
    with pytest.raises(PromptRejected) as caught:
        lab.run(nodes, places={"k": place})
    text = str(caught.value)
    assert "missing_node_type: the embedded engine does not have CLIPTextEncode, KSampler" in text
    assert "main.json, node 12:3 (my sampler)" in text
    assert "node c" in text
    assert all(word in text for word in ("comfyui:PATH", "inprocess:PATH", "DISCOMFORT_ENGINE"))


def test_all_findings_are_reported_at_once_with_their_places(lab: Lab) -> None:
    nodes = prompt(a=("Add", {"a": "x"}), out=show("a"))
    place = NodePlace("main.json", "7", "my sum", "Add")
    with pytest.raises(PromptRejected) as caught:
        lab.run(nodes, places={"a": place})
    found = [(str(finding.where), finding.message.partition(":")[0]) for finding in caught.value.diagnostics]
    assert found == [
        ("main.json, node 7 (my sum), input 'a'", "invalid_input_type"),
        ("main.json, node 7 (my sum), input 'b'", "required_input_missing"),
    ]


def test_nodes_that_no_output_needs_are_not_checked(lab: Lab) -> None:
    assert lab.shown(prompt(bad=("Add", {}), out=("Show", {"value": 1}))) == [1]


@pytest.mark.parametrize(
    ("kind", "written", "received"),
    [("INT", "5", 5), ("INT", 5.9, 5), ("FLOAT", 2, 2.0), ("STRING", 3, "3"), ("BOOLEAN", 1, True)],
)
def test_literals_are_converted_to_the_declared_type(lab: Lab, kind: str, written: Any, received: Any) -> None:
    lab.add("Test", lambda a: (a,), {"a": (kind, {})})
    (value,) = lab.shown(prompt(t=("Test", {"a": written}), out=show("t")))
    assert (type(value), value) == (type(received), received)


def test_VALIDATE_INPUTS_refuses_with_its_message(lab: Lab) -> None:
    lab.add("Test", lambda a: (a,), {"a": NUMBER}, VALIDATE_INPUTS=lambda a: "no sevens" if a == 7 else True)
    assert one(lab, {"a": 7}) == "custom_validation_failed: no sevens"


def test_VALIDATE_INPUTS_refuses_without_a_message(lab: Lab) -> None:
    lab.add("Test", lambda a: (a,), {"a": NUMBER}, VALIDATE_INPUTS=lambda a: False)
    assert one(lab, {"a": 7}).startswith("custom_validation_failed")


def test_VALIDATE_INPUTS_may_be_asynchronous(lab: Lab) -> None:
    async def no(a: int) -> str:
        return "not now"

    lab.add("Test", lambda a: (a,), {"a": NUMBER}, VALIDATE_INPUTS=no)
    assert one(lab, {"a": 7}) == "custom_validation_failed: not now"


def test_VALIDATE_INPUTS_that_raises_is_a_finding(lab: Lab) -> None:
    def broken(a: int) -> bool:
        raise KeyError("a")

    lab.add("Test", lambda a: (a,), {"a": NUMBER}, VALIDATE_INPUTS=broken)
    assert one(lab, {"a": 7}).startswith("exception_during_validation: VALIDATE_INPUTS raised KeyError")


def test_VALIDATE_INPUTS_answers_for_the_inputs_that_it_names(lab: Lab) -> None:
    limited = ("INT", {"max": 1})
    lab.add("Test", lambda a, b: (a + b,), {"a": limited, "b": limited}, VALIDATE_INPUTS=lambda a: True)
    assert lab.shown(prompt(t=("Test", {"a": 5, "b": 1}), out=show("t"))) == [6]
    lab.calls.clear()
    assert one(lab, {"a": 5, "b": 5}).startswith("value_bigger_than_max")


def test_VALIDATE_INPUTS_with_keywords_answers_for_all(lab: Lab) -> None:
    lab.add("Test", lambda a: (a,), {"a": ("INT", {"max": 1})}, VALIDATE_INPUTS=lambda **inputs: inputs["a"] != 7)
    assert lab.shown(prompt(t=("Test", {"a": 5}), out=show("t"))) == [5]


def test_VALIDATE_INPUTS_sees_None_for_links(lab: Lab) -> None:
    def look(a: Any, b: Any) -> bool:
        lab.seen.append((a, b))
        return True

    lab.add("Test", lambda a, b: (a,), {"a": NUMBER, "b": NUMBER}, VALIDATE_INPUTS=look)
    lab.run(prompt(n=("Number", {"value": 1}), t=("Test", {"a": ["n", 0], "b": 2}), out=show("t")))
    assert lab.seen == [(None, 2)]


def test_VALIDATE_INPUTS_with_input_types_judges_the_types_of_links(lab: Lab) -> None:
    def judge(input_types: dict[str, str]) -> bool:
        lab.seen.append(input_types)
        return True

    lab.add("Test", lambda a: (a,), {"a": ("STRING",)}, VALIDATE_INPUTS=judge)
    assert lab.shown(prompt(n=("Number", {"value": 1}), t=("Test", {"a": ["n", 0]}), out=show("t"))) == [1]
    assert lab.seen == [{"a": "INT"}]


def test_any_type_takes_anything(lab: Lab) -> None:
    lab.add("Test", lambda a: (a,), {"a": ANYTHING})
    assert lab.shown(prompt(n=("Number", {"value": 1}), t=("Test", {"a": ["n", 0]}), out=show("t"))) == [1]


def test_VALIDATE_INPUTS_gets_hidden_inputs_of_which_the_run_is_not_there_yet(lab: Lab) -> None:
    def look(**inputs: Any) -> bool:
        lab.seen.append(inputs)
        return True

    hidden = {"me": "UNIQUE_ID", "prompt": "PROMPT", "dynamic": "DYNPROMPT", "info": "EXTRA_PNGINFO"}
    lab.add("Test", lambda a, **hidden: (a,), {"a": NUMBER}, hidden=hidden, VALIDATE_INPUTS=look)
    lab.run(prompt(t=("Test", {"a": 1}), out=show("t")))
    assert lab.seen == [{"a": 1, "me": "t", "prompt": {}, "dynamic": None, "info": None}]


def test_VALIDATE_INPUTS_that_takes_no_input_is_not_listened_to_as_in_comfyui(lab: Lab) -> None:
    lab.add("Test", lambda a: (a,), {"a": NUMBER}, VALIDATE_INPUTS=lambda: "never")
    assert lab.shown(prompt(t=("Test", {"a": 5}), out=show("t"))) == [5]


def test_VALIDATE_INPUTS_hears_of_the_types_at_declared_inputs_alone(lab: Lab) -> None:
    def judge(input_types: dict[str, str]) -> bool:
        lab.seen.append(input_types)
        return True

    lab.add("Test", lambda a, b: (a,), {"a": NUMBER}, VALIDATE_INPUTS=judge)
    lab.run(prompt(n=("Number", {"value": 1}), t=("Test", {"a": ["n", 0], "b": ["n", 0]}), out=show("t")))
    assert lab.seen == [{"a": "INT"}]


@pytest.mark.parametrize(
    ("value", "word"), [(-1, "value_smaller_than_min"), (11, "value_bigger_than_max"), ("5", "invalid_input_type")]
)
def test_limits_hold_whatever_the_type_is_called(lab: Lab, value: Any, word: str) -> None:
    lab.add("Test", lambda a: (a,), {"a": ("INT,FLOAT", {"min": 0, "max": 10})})
    assert one(lab, {"a": value}).startswith(word)


def test_what_links_to_an_unknown_hidden_input_is_of_any_type(lab: Lab) -> None:
    lab.add("Test", lambda given: (given,), hidden={"given": ("IMAGE",)})
    assert lab.shown(prompt(n=("Number", {"value": 1}), t=("Test", {"given": ["n", 0]}), out=show("t"))) == [1]


def test_only_True_makes_an_output_node(lab: Lab) -> None:
    lab.add("Test", lambda: (1,), OUTPUT_NODE="yes")
    (message,) = refused(lab, prompt(t=("Test", {})))
    assert message.startswith("prompt_no_outputs")
