"""Which results of a run are what their keys say: not those of a file, or of an input, that changed meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from discomfort.context.private_copy import private_copy
from discomfort.input_files.fingerprints import FingerprintStopped, Stop
from discomfort.ir.keys import Source
from discomfort.runtime.engines.embedded.dependencies.node_sources import NodeSources
from discomfort.runtime.engines.embedded.for_node_authors.blocker import Interrupted
from discomfort.runtime.engines.embedded.prompt_nodes.cache import NodeResult, ResultCache
from discomfort.runtime.engines.embedded.prompt_nodes.call_node import Answer
from discomfort.runtime.engines.embedded.prompt_nodes.changes import Watch, has_changed, watch_outputs
from discomfort.runtime.engines.embedded.prompt_nodes.prompt_graph import (
    DynamicPrompt,
    PromptGraph,
    PromptNode,
    is_link,
)
from discomfort.runtime.engines.protocol import PromptRequest

logger: logging.Logger = logging.getLogger("discomfort")

_reported: set[str] = set()


class Soundness:
    """The nodes whose results must not be used again: `spoiled` by an input that another node had changed in place.

    As in ComfyUI a node receives what the one before it gave, as that is by then. But what is computed from a changed
    input belongs under no key, and neither does what is computed from that. Neither does what the node gave that made
    the change: were it known the next time, the change would not be made.
    """

    def __init__(
        self,
        graph: PromptGraph,
        results: Mapping[str, NodeResult],
        cache: ResultCache,
        keys: Mapping[str, str | None],
    ) -> None:
        self.spoiled: set[str] = set()
        self.finished: list[str] = []
        """The nodes that have run, in that order."""
        self._graph = graph
        self._results = results
        self._cache = cache
        self._keys = keys

    def check(self, node: PromptNode) -> None:
        """Note whether a node that is about to run gets what is no longer what was computed."""
        results, spoiled = self._results, self.spoiled
        for _, producer, _ in node.links:
            result = results.get(producer)
            if result is None:
                continue
            if result.watch is not None and has_changed(result.watch):
                spoiled.add(node.id)
                self._spoil_what_changed_it(node)
            elif producer in spoiled:
                spoiled.add(node.id)

    def check_expansion(self, node: PromptNode, answers: Sequence[Answer]) -> None:
        """Note the same for a node whose result is that of the nodes that it expanded to."""
        for answer in answers:
            linked = (value[0] for value in answer.values if is_link(value))
            if not self.spoiled.isdisjoint((*(answer.graph or ()), *linked)):
                self.spoiled.add(node.id)

    def _spoil_what_changed_it(self, reader: PromptNode) -> None:
        """Spoil every node that may have made a change that `reader` sees, and all that came of those."""
        changed = {node_id for node_id, result in self._results.items() if result.has_changed}
        nodes = self._graph.nodes
        for node_id in self.finished:
            if any(producer in changed or producer in self.spoiled for _, producer, _ in nodes[node_id].links):
                self.spoiled.add(node_id)
        for node_id in changed | self.spoiled:
            key = self._keys.get(node_id)
            if key is not None:
                self._cache.drop(key)
        name = reader.definition.name
        if name not in _reported:
            _reported.add(name)
            logger.warning(
                "a node changed the result of %s in place, before node %s (%s) read it: what is computed from it "
                "depends on the order in which nodes run, and is not remembered",
                ", ".join(sorted(changed)),
                reader.id,
                name,
            )


class Reading:
    """What the nodes of a run read besides their inputs, before and after they run."""

    def __init__(self, sources: NodeSources, instances: dict[str, Any], stop: Stop) -> None:
        self._sources = sources
        self._instances = instances
        self._stop = stop
        self._before: dict[str, Source] = {}

    def before(self, node: PromptNode, change: str | None) -> str | None:
        """Return `change`, what IS_CHANGED said, with what is in the node's files; None where that is not known.

        A node that finds other files than the last time gets a new object: it may keep what it read.

        Raises:
            Interrupted: the run was cancelled.
        """
        source = self._source(node)
        if source is None:
            return change
        self._before[node.id] = source
        if self._sources.differs_from_last(node.id, source.token):
            self._instances.pop(node.id, None)
        return None if change is None or source.token is None else f"{change}@{source.token}"

    def is_as_before(self, node: PromptNode) -> bool:
        """Return whether nothing that a node read has been changed since `before`, not even there and back."""
        before = self._before.get(node.id)
        return before is None or self._source(node) == before

    def _source(self, node: PromptNode) -> Source | None:
        assert node.definition.sources is not None
        try:
            return self._sources.of_prompt_node(node.definition.sources, node, self._stop)
        except FingerprintStopped as error:
            raise Interrupted from error


class Deliveries:
    """What savers hand over: `values` by name, and `passing`, the names of those that must not be remembered."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.passing: set[str] = set()
        self._savers: dict[str, str] = {}
        self._watches: dict[str, Watch] = {}

    def take(self, name: str, value: Any, saver: str, may_change: Callable[[], bool]) -> None:
        """Take a value; a copy of it where a node that is still to run may change it in place."""
        watch = watch_outputs([[value]])
        if watch is not None and may_change():
            value = private_copy(value)
            watch = watch_outputs([[value]])
        self.values[name] = value
        self._savers[name] = saver
        if watch is not None:
            self._watches[name] = watch

    def finish(self, spoiled: Collection[str]) -> None:
        """Note which values are not sound: of `spoiled` nodes, or changed since they were handed over."""
        self.passing.update(name for name, saver in self._savers.items() if saver in spoiled)
        self.passing.update(name for name, watch in self._watches.items() if has_changed(watch))


class HiddenInputs(dict[str, Any]):
    """What hidden inputs are filled with by their kind; prompt and picture metadata are copies, each made once a run,
    since nodes write into them.
    """

    def __init__(self, request: PromptRequest, prompt: DynamicPrompt) -> None:
        super().__init__(DYNPROMPT=prompt)
        self._request = request

    def get(self, kind: str, default: Any = None) -> Any:
        """Return what a hidden input of this kind is filled with."""
        if kind not in self:
            if kind == "PROMPT":
                self[kind] = private_copy(dict(self._request.prompt))
            elif kind == "EXTRA_PNGINFO":
                self[kind] = private_copy(dict(self._request.extra_pnginfo)) or None
        return super().get(kind, default)
