"""The prompt as the scheduler holds it: nodes with their literals and links apart, added to by node expansion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from discomfort.context.private_copy import private_copy
from discomfort.ir.api_prompt import plain_value
from discomfort.ir.walk import depth_first
from discomfort.runtime.engines.embedded.classes.definition import Definition

RawNode = Mapping[str, Any]
DefinitionOf = Callable[[str], Definition]


class PromptNode:
    """One node: `constants` are its literals by input name, `links` its `(input name, producer, slot)`.

    A list or a dict among the literals is the node's own: a node that changes it changes no workflow.

    `raw` is the node as the prompt writes it, in whose order dynamic inputs arrive; `lazy` and `raw_links` are the
    inputs whose links are followed only when requested, and those that are handed over as links.
    """

    __slots__ = ("constants", "definition", "id", "lazy", "links", "raw", "raw_links")

    def __init__(self, node_id: str, raw: RawNode, definition: Definition) -> None:
        self.id: str = node_id
        self.raw: RawNode = raw
        self.definition: Definition = definition
        self.constants: dict[str, Any] = {}
        self.links: list[tuple[str, str, int]] = []
        constants, links, inputs = self.constants, self.links, definition.inputs
        for name, value in raw["inputs"].items():
            kind = type(value)
            if kind is list and is_link(value):
                links.append((name, value[0], value[1]))
            elif name in inputs or definition.declares(name):
                constants[name] = private_copy(plain_value(value)) if kind is dict or kind is list else value
        self.lazy: frozenset[str] = definition.lazy
        self.raw_links: frozenset[str] = definition.raw_links
        if definition.flexible is not None:
            self.lazy = definition.with_option("lazy", raw["inputs"])
            self.raw_links = definition.with_option("rawLink", raw["inputs"])


def is_link(value: Any) -> bool:
    """Return whether an input's value is a link: a list of a node id and an output's number."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int


class PromptGraph:
    """All nodes of a run; nodes are read when they are first needed, in an order with producers first."""

    def __init__(self, prompt: Mapping[str, RawNode], definition_of: DefinitionOf) -> None:
        self.prompt = prompt
        self.raw: dict[str, RawNode] = dict(prompt)
        self.nodes: dict[str, PromptNode] = {}
        self.parents: dict[str, str] = {}
        self._definition_of = definition_of

    def output_nodes(self) -> list[str]:
        """Return the nodes of the prompt whose classes are output nodes."""
        definition_of = self._definition_of
        return [node_id for node_id, body in self.prompt.items() if definition_of(body["class_type"]).output_node]

    def read(self, roots: Iterable[str]) -> list[PromptNode]:
        """Read `roots` and all that feeds them; return the nodes not read before, producers first.

        Links to nodes that do not exist are left alone.

        Raises:
            CycleError: naming one cycle.
        """
        read, raw, definition_of = self.nodes, self.raw, self._definition_of
        found: dict[str, PromptNode] = {}

        def producers(node_id: str) -> list[str]:
            body = raw[node_id]
            node = found[node_id] = PromptNode(node_id, body, definition_of(body["class_type"]))
            return [producer for _, producer, _ in node.links if producer not in read and producer in raw]

        new = [root for root in roots if root in raw and root not in read]
        order = [found[node_id] for node_id in depth_first(new, producers)]
        read.update((node.id, node) for node in order)
        return order

    def expand(self, parent: str, graph: Mapping[str, RawNode]) -> None:
        """Add the nodes that `parent` made.

        Raises:
            ValueError: an id is taken.
        """
        for node_id, body in graph.items():
            if node_id in self.raw:
                raise ValueError(f"the expansion adds a node {node_id!r}, and there is one already")
            self.raw[node_id] = body
            self.parents[node_id] = parent

    def origin(self, node_id: str) -> str:
        """Return the node of the prompt that `node_id` came from by expansion: itself where it was there."""
        while node_id in self.parents:
            node_id = self.parents[node_id]
        return node_id


class DynamicPrompt:
    """What a node with the hidden input DYNPROMPT is given: the prompt with everything expansion added so far."""

    def __init__(self, graph: PromptGraph) -> None:
        self._graph = graph

    def has_node(self, node_id: str) -> bool:
        """Return whether there is a node `node_id`."""
        return node_id in self._graph.raw

    def get_node(self, node_id: str) -> RawNode:
        """Return a node as an API prompt writes it; KeyError where there is none."""
        return self._graph.raw[node_id]

    def all_node_ids(self) -> set[str]:
        """Return the ids of all nodes."""
        return set(self._graph.raw)

    def get_original_prompt(self) -> Mapping[str, RawNode]:
        """Return the prompt as it was submitted."""
        return self._graph.prompt

    def get_parent_node_id(self, node_id: str) -> str | None:
        """Return the node whose expansion added `node_id`, None for nodes of the prompt."""
        return self._graph.parents.get(node_id)

    def get_real_node_id(self, node_id: str) -> str:
        """Return the node of the prompt that `node_id` came from."""
        return self._graph.origin(node_id)

    def get_display_node_id(self, node_id: str) -> str:
        """Return the node of the prompt at which a person sees `node_id`."""
        return self._graph.origin(node_id)
