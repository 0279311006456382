"""Asks before a run what its nodes depend on besides their inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import CoroutineType
from typing import Any

from discomfort.input_files.sources import with_facts
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.effects import OWN_CLASSES, Effect, EffectTable
from discomfort.ir.graph import Graph, Node, NodeId
from discomfort.ir.keys import Source
from discomfort.runtime.engines.embedded.classes.class_sources import ClassSources
from discomfort.runtime.engines.embedded.dependencies.definitions import Definitions, Supplier
from discomfort.runtime.engines.embedded.dependencies.node_sources import NodeSources
from discomfort.runtime.engines.embedded.prompt_nodes import call_node
from discomfort.runtime.engines.embedded.prompt_nodes.cache import change_token
from discomfort.runtime.engines.embedded.prompt_nodes.prompt_graph import PromptNode

CHANGES = Source(None, why="it says that it changes each time, or cannot say before it runs")


class Survey:
    """The sources of some nodes, in `found` once they are known; nodes that are never remembered are left out."""

    def __init__(
        self,
        sources: NodeSources,
        classes: Mapping[str, Any],
        supplier: Supplier,
        effects: EffectTable,
        stop: Callable[[], bool],
    ) -> None:
        self.found: dict[NodeId, Source] = {}
        self._sources = sources
        self._classes = classes
        self._effects = effects
        self._stop = stop
        self._definitions = Definitions(classes, supplier, sources)
        self._known: dict[str | None, tuple[ClassSources, str] | None] = {None: None}

    def quickly(self, nodes: Iterable[Node]) -> list[Node]:
        """Find what needs neither reading a file nor asking a class; return the nodes that are left."""
        rest: list[Node] = []
        for node in nodes:
            name = node.class_type
            known = self._known[name] if name in self._known else self._learn(name)
            if known is None:
                continue
            of_class, code = known
            if self._is_to_be_asked(of_class):
                rest.append(node)
                continue
            try:
                self._note(node, self._sources.files(of_class, node.inputs, None), code)
            except BlockingIOError:
                rest.append(node)
        return rest

    def thoroughly(self, nodes: Iterable[Node]) -> None:
        """Find the rest, in the worker thread.

        Raises:
            FingerprintStopped: whoever wants to know has gone away.
        """
        for node in nodes:
            known = self._known[node.class_type]
            assert known is not None
            of_class, code = known
            source = self._sources.files(of_class, node.inputs, self._stop)
            if self._is_to_be_asked(of_class):
                answer = self._answer(node)
                source = CHANGES if answer is None else with_facts(source, [answer])
            self._note(node, source, code)

    def _learn(self, name: str | None) -> tuple[ClassSources, str] | None:
        """Return the facts about a class and its code, None where its nodes are never remembered or always alike."""
        self._known[name] = None
        remembered = self._effects.rule(name).effect in (Effect.PURE, Effect.FILE)
        if name is None or not remembered or name in OWN_CLASSES or name not in self._classes:
            return None
        of_class = self._sources.of_class(name, self._classes[name], self._effects.catalog[name])
        code = of_class.code()
        if code or of_class.inputs is not None or of_class.asks:
            self._known[name] = of_class, code
        return self._known[name]

    def _is_to_be_asked(self, of_class: ClassSources) -> bool:
        """Return whether what a class says is more than that its files have changed."""
        return of_class.asks and not (of_class.is_core and of_class.rule.files)

    def _note(self, node: Node, source: Source | None, code: str) -> None:
        if code:
            source = with_facts(source, [code])
        if source is not None:
            self.found[node.id] = source
        elif self._effects.rule(node.class_type).effect is Effect.FILE:
            self.found[node.id] = Source("nothing")

    def _answer(self, node: Node) -> str | None:
        """Return what IS_CHANGED says, as text; None where that is different each time or not to be had."""
        body = emit_prompt(Graph({node.id: node}))[node.id]
        prompt_node = PromptNode(node.id, body, self._definitions[str(node.class_type)])
        try:
            answer = prompt_node.definition.node_class.IS_CHANGED(**call_node.arguments_before_running(prompt_node))
        except Exception:  # noqa: BLE001 — whatever it is, what the node gives is not remembered
            return None
        if isinstance(answer, CoroutineType):
            answer.close()
            return None
        return change_token(answer)
