"""How a node is called under the V1 protocol: inputs gathered, mapped over lists, and the answers put together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from discomfort.ir.types.language import AUTOGROW
from discomfort.runtime.engines.embedded.classes.definition import Definition
from discomfort.runtime.engines.embedded.for_node_authors.blocker import ExecutionBlocker, own_blocker
from discomfort.runtime.engines.embedded.prompt_nodes.cache import NodeResult
from discomfort.runtime.engines.embedded.prompt_nodes.prompt_graph import PromptNode, is_link

Arguments = dict[str, Any]


class Answer:
    """What one call of a node gave: a value (or, of an expansion, a link) an output, `ui`, and a graph."""

    __slots__ = ("graph", "ui", "values")

    def __init__(
        self,
        values: Sequence[Any],
        ui: Mapping[str, Any] | None = None,
        graph: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.values: Sequence[Any] = values
        self.ui: Mapping[str, Any] | None = ui
        self.graph: Mapping[str, Mapping[str, Any]] | None = graph


def gather(
    node: PromptNode, results: Mapping[str, NodeResult], hidden: Mapping[str, Any], asked: Collection[str] = ()
) -> dict[str, Sequence[Any]]:
    """Return each input as the values that arrive there; a lazy one from a node that was not `asked` for is one None.

    That is so even where its value is known: what a node gives must not depend on what else has run.

    Raises:
        LookupError: an input gets nothing.
    """
    definition = node.definition
    lists: dict[str, Sequence[Any]] = {name: (value,) for name, value in node.constants.items()}
    for name, producer, slot in node.links:
        result = results.get(producer)
        if name in node.raw_links:
            lists[name] = ([producer, slot],)
        elif result is None or (name in node.lazy and producer not in asked):
            lists[name] = (None,)
        elif slot >= len(result.outputs):
            raise LookupError(
                f"input {name!r} reads output {slot} of node {producer}, which gave {len(result.outputs)}"
            )
        else:
            lists[name] = result.outputs[slot]
    for name, kind in definition.hidden:
        lists[name] = (node.id if kind == "UNIQUE_ID" else hidden.get(kind),)
    if not definition.input_is_list:
        _refuse_empty(definition, lists)
    return lists


def _refuse_empty(definition: Definition, lists: Mapping[str, Sequence[Any]]) -> None:
    """Raise where there is nothing to call a node with: of some inputs no value, of others some.

    Where all inputs are optional and none has a value, ComfyUI calls the node once, without them.
    """
    empty = [name for name, values in lists.items() if not values]
    if not empty:
        return
    inputs = definition.inputs
    if len(empty) < len(lists) or any(name in inputs and inputs[name].group == "required" for name in empty):
        raise LookupError(f"input {empty[0]!r} received an empty list")


def arguments_before_running(node: PromptNode) -> Arguments:
    """Return what IS_CHANGED and VALIDATE_INPUTS are asked with: literals; what is linked, or of the run, is None."""
    lists: dict[str, Sequence[Any]] = {name: (None,) for name, _, _ in node.links}
    lists.update({name: (value,) for name, value in node.constants.items()})
    before: dict[str, Any] = {"UNIQUE_ID": node.id, "PROMPT": {}}
    lists.update({name: (before.get(kind),) for name, kind in node.definition.hidden})
    (arguments,) = arguments_of_calls(node, lists)
    return arguments


def plain_arguments(node: PromptNode, results: Mapping[str, NodeResult]) -> Arguments | None:
    """Return the arguments of a node of a plain class where it is called once and nothing is blocked, else None."""
    arguments = node.constants.copy()
    for name, producer, slot in node.links:
        outputs = results[producer].outputs
        if slot >= len(outputs) or len(outputs[slot]) != 1:
            return None
        value = arguments[name] = outputs[slot][0]
        if type(value) is ExecutionBlocker:
            return None
    return arguments


def arguments_of_calls(node: PromptNode, lists: Mapping[str, Sequence[Any]]) -> list[Arguments]:
    """Return the keyword arguments of each call: one a value of the longest list, shorter lists repeat their last."""
    definition = node.definition
    if definition.input_is_list:
        calls = [{name: list(values) for name, values in lists.items()}]
    else:
        width = max(map(len, lists.values())) if lists else 0
        if width == 0:
            calls = [{}]
        elif width == 1:
            calls = [{name: values[0] for name, values in lists.items()}]
        else:
            calls = [
                {name: values[index if index < len(values) else -1] for name, values in lists.items()}
                for index in range(width)
            ]
    return [nested(node, call) for call in calls] if definition.grown else calls


def nested(node: PromptNode, arguments: Mapping[str, Any]) -> Arguments:
    """Put `images.image0` into `images` where that is a dynamic input, in the order of the prompt."""
    grown = node.definition.grown
    inputs = node.definition.inputs
    result: Arguments = {name: {} for name in grown if inputs[name].type == AUTOGROW}
    ordered = [name for name in node.raw["inputs"] if name in arguments]
    for name in [*ordered, *(name for name in arguments if name not in node.raw["inputs"])]:
        first, _, rest = name.partition(".")
        if first in grown:
            result.setdefault(first, {})[rest or first] = arguments[name]
        else:
            result[name] = arguments[name]
    return result


def blocker_in(
    definition: Definition, lists: Mapping[str, Sequence[Any]], arguments: Arguments
) -> ExecutionBlocker | None:
    """Return a blocker among what one call would receive, None where it may run."""
    values = (value for items in lists.values() for value in items) if definition.input_is_list else arguments.values()
    for value in values:
        if type(value) is ExecutionBlocker:
            return value
        if type(value) is dict and definition.grown:
            for inner in value.values():
                if type(inner) is ExecutionBlocker:
                    return inner
    return None


def read_answer(definition: Definition, returned: Any) -> Answer:
    """Return what a call of FUNCTION gave.

    Raises:
        TypeError: it is nothing that a node may return.
    """
    if not isinstance(returned, dict):
        return Answer(_values(definition, returned))
    graph = returned.get("expand")
    if "result" in returned or graph is not None:
        return Answer(_values(definition, returned.get("result")), returned.get("ui"), graph)
    return Answer((), returned.get("ui"))


def _values(definition: Definition, returned: Any) -> Sequence[Any]:
    """Return the outputs: as in ComfyUI, what has a length and can be indexed will do, a tensor for one.

    Only text is refused, which ComfyUI takes apart into letters: that is never meant.
    """
    kind = type(returned)
    if kind is tuple or kind is list:
        return [own_blocker(value) for value in returned]
    returned = own_blocker(returned)
    if isinstance(returned, ExecutionBlocker):
        return blocked_values(definition, returned)
    if isinstance(returned, str) or not (hasattr(returned, "__len__") and hasattr(returned, "__getitem__")):
        raise TypeError(
            f"{definition.function} returned {kind.__name__}; a node returns a tuple with an item an output"
        )
    return [returned[index] for index in range(len(returned))]


def blocked_values(definition: Definition, blocker: ExecutionBlocker) -> list[Any]:
    """Return `blocker` for every output."""
    return [blocker] * len(definition.output_types)


def merge_outputs(
    definition: Definition, answers: Sequence[Answer], results: Mapping[str, NodeResult]
) -> list[list[Any]]:
    """Return each output as one list over all calls; links in the answers of expansions become what they name."""
    given = max((len(answer.values) for answer in answers), default=0)
    lists = definition.output_is_list
    outputs: list[list[Any]] = [
        [] for _ in range(given)
    ]  # those beyond the declared ones, too: expansions link to them
    for answer in answers:
        for slot, value in enumerate(answer.values):
            if answer.graph is not None and is_link(value):
                outputs[slot] += results[value[0]].outputs[value[1]]
            elif slot < len(lists) and lists[slot] and type(value) is not ExecutionBlocker:
                outputs[slot] += map(own_blocker, value)
            else:
                outputs[slot].append(value)
    return outputs


def merge_ui(shown: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what several calls show as one: lists under the same key are joined."""
    if not shown:
        return None
    merged: dict[str, list[Any]] = {}
    for one in shown:
        for key, entries in one.items():
            merged.setdefault(key, []).extend(entries)
    return merged
