"""What ComfyUI checks before it runs a prompt: every finding of every node at once, in ComfyUI's own terms.

Literals are converted to the declared type on the way (`"5"` to 5 for an INT), as ComfyUI does (0.33.0, observed); by
INT, FLOAT, STRING and BOOLEAN in turn where the type is of a class that equals all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from discomfort.ir.catalog.catalog import Catalog, InputSpec
from discomfort.ir.diagnostics import Diagnostic
from discomfort.ir.graph import Literal
from discomfort.ir.types.language import Signatures, accepts, wanted_type
from discomfort.ir.types.literal_rules import CONVERTERS
from discomfort.near_names import did_you_mean
from discomfort.printable import counted
from discomfort.runtime.engines.embedded.classes.definition import Definition, Parameters
from discomfort.runtime.engines.embedded.execution.error_places import finding
from discomfort.runtime.engines.embedded.prompt_nodes import call_node
from discomfort.runtime.engines.embedded.prompt_nodes.prompt_graph import PromptGraph, PromptNode
from discomfort.runtime.engines.protocol import LOADER_CLASS, PENDING, PromptRequest

SHOWN_OPTIONS = 8
_NOTHING = Parameters(frozenset(), everything=False)


class Validator:
    """Checks the nodes of one prompt; `diagnostics` grows with each call of `check`."""

    def __init__(
        self,
        request: PromptRequest,
        graph: PromptGraph,
        settled: Callable[[Any | Awaitable[Any]], Any],
        checks_combos: bool = True,
    ) -> None:
        """Prepare to check a prompt.

        Args:
            request: what is to run.
            graph: its nodes.
            settled: waits for what VALIDATE_INPUTS answers.
            checks_combos: whether a literal whose input has a type equal to COMBO must be among its options.
        """
        self.diagnostics: list[Diagnostic] = []
        self._checks_combos = checks_combos
        self._request = request
        self._graph = graph
        self._settled = settled
        self._signatures = Signatures(Catalog({}))

    def check(self, node: PromptNode) -> None:
        """Convert a node's literals, and note all that is wrong with it."""
        before = len(self.diagnostics)
        definition, constants = node.definition, node.constants
        takes = definition.validates or _NOTHING
        typed = "input_types" in takes.names
        linked = {link[0]: link for link in node.links} if node.links else {}
        specs = self._specs(node) if definition.grown else definition.inputs
        for name, spec in specs.items():
            if name in constants:
                self._check_literal(node, spec, takes)
            elif name in linked:
                _, producer, slot = linked.pop(name)
                self._check_link(node, name, spec, producer, slot, typed)
            elif spec.group == "required":
                self._note(node, name, "required_input_missing", "needs a value or a link, and has neither")
        for name, producer, slot in linked.values():
            self._check_link(node, name, None, producer, slot, typed)
        decided = node.id not in self._request.undecided
        if definition.validates is not None and decided and len(self.diagnostics) == before:
            self._ask(node, definition, definition.validates)

    def _specs(self, node: PromptNode) -> Mapping[str, InputSpec]:
        """Return the inputs of a node of a class with dynamic inputs, as its values expand them."""
        values = {name: Literal(value) for name, value in node.constants.items()}
        return self._signatures.inputs(node.definition.described, values)

    def _note(self, node: PromptNode, name: str | None, word: str, message: str, hint: str | None = None) -> None:
        self.diagnostics.append(finding(self._request, node.id, f"{word}: {message}", name, hint))

    def _check_literal(self, node: PromptNode, spec: InputSpec, takes: Parameters) -> None:
        """Convert one literal and compare it with its limits and options, unless VALIDATE_INPUTS sees to that."""
        name, value = spec.name, node.constants[spec.name]
        if type(value) is list and name not in _unwrapped(node):
            self._note(node, name, "bad_linked_input", f"a link is [node id, output number], found {value!r}")
            return
        for kind in _compared(spec) if spec.equals else (spec.type,):
            converter = CONVERTERS.get(kind)
            if converter is not None:
                try:
                    value = node.constants[name] = converter(value)
                except (TypeError, ValueError, OverflowError) as error:
                    self._note(node, name, "invalid_input_type", f"{value!r} cannot be converted to {kind} ({error})")
                    return
        if takes.everything or name in takes.names:
            return
        if "min" in spec.options or "max" in spec.options:
            self._check_limits(node, spec, value)
        if spec.choices is not None or (self._checks_combos and "COMBO" in spec.equals):
            self._check_options(node, spec, value)

    def _check_limits(self, node: PromptNode, spec: InputSpec, value: Any) -> None:
        """Compare a value with the limits of its input, whatever the type of the input is called."""
        name, least, most = spec.name, spec.options.get("min"), spec.options.get("max")
        try:
            if least is not None and value < least:
                self._note(node, name, "value_smaller_than_min", f"{value} is less than {least}, the least allowed")
            if most is not None and value > most:
                self._note(node, name, "value_bigger_than_max", f"{value} is more than {most}, the most allowed")
        except TypeError:
            self._note(node, name, "invalid_input_type", f"{value!r} is not a number, and the input has limits")

    def _check_options(self, node: PromptNode, spec: InputSpec, value: Any) -> None:
        options = (spec.options.get("options") if spec.choices is None else spec.choices) or ()
        chosen = value if isinstance(value, list) else [value]
        for one in chosen:
            if one not in options:
                shown = ", ".join(repr(option) for option in options[:SHOWN_OPTIONS])
                rest = f" and {len(options) - SHOWN_OPTIONS} more" if len(options) > SHOWN_OPTIONS else ""
                hint = did_you_mean(str(one), [str(option) for option in options])
                self._note(
                    node, spec.name, "value_not_in_list", f"{one!r} is not among the options {shown}{rest}", hint
                )

    def _check_link(
        self, node: PromptNode, name: str, spec: InputSpec | None, producer: str, slot: int, typed: bool
    ) -> None:
        """Check that a link comes from an output that is there and, unless `typed` elsewhere, whose type fits."""
        source = self._graph.nodes.get(producer)
        if source is None:
            self._note(node, name, "bad_linked_input", f"there is no node {producer!r} to link to")
            return
        kinds = source.definition.output_types
        if not 0 <= slot < len(kinds):
            count = counted(len(kinds), "output")
            text = f"node {producer!r} ({source.definition.name}) has {count}, and none is number {slot}"
            self._note(node, name, "bad_linked_input", text)
        elif spec is None or typed or kinds[slot] == spec.type:
            return
        elif not accepts(kind := _pending_type(source) or kinds[slot], wanted_type(spec)):
            self._note(
                node,
                name,
                "return_type_mismatch",
                f"expects {wanted_type(spec)}, and output {slot} of node {producer!r} ({source.definition.name}) is "
                f"{kind}",
            )

    def _ask(self, node: PromptNode, definition: Definition, takes: Parameters) -> None:
        """Ask VALIDATE_INPUTS; as in ComfyUI, the answer of one that takes none of the inputs does not count."""
        arguments = takes.select(call_node.arguments_before_running(node))
        if "input_types" in takes.names:
            arguments["input_types"] = {
                name: self._graph.nodes[producer].definition.output_types[slot]
                for name, producer, slot in node.links
                if definition.declares(name)
            }
        try:
            answer = self._settled(definition.node_class.VALIDATE_INPUTS(**arguments))
        except Exception as error:  # noqa: BLE001 — reported as a finding, with all the others
            self._note(
                node, None, "exception_during_validation", f"VALIDATE_INPUTS raised {type(error).__name__}: {error}"
            )
            return
        if answer is not True and arguments:
            text = answer if isinstance(answer, str) else f"VALIDATE_INPUTS of {definition.name} refused the inputs"
            self._note(node, None, "custom_validation_failed", text)


def _pending_type(node: PromptNode) -> str | None:
    """Return the type that a value will have which is not there yet; None for a node that is not a loader of such."""
    if node.raw["class_type"] == LOADER_CLASS and node.constants.get("digest") == PENDING:
        return str(node.constants.get("value_type"))
    return None


def _compared(spec: InputSpec) -> Iterator[str]:
    """Return the types that an input's type equals, in the order in which ComfyUI converts a literal by them."""
    return (kind for kind in CONVERTERS if kind == spec.type or kind in spec.equals)


def _unwrapped(node: PromptNode) -> set[str]:
    """Return the inputs whose literal was wrapped, so that a list is meant as a list."""
    return {name for name, value in node.raw["inputs"].items() if isinstance(value, dict)}
