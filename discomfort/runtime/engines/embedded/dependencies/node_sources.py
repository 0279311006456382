"""What nodes that run in this Python depend on besides their inputs: files, code, and answers of their classes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from discomfort.input_files.fingerprints import Fingerprints, Stop
from discomfort.input_files.sources import FileSources, Finder
from discomfort.ir.catalog.catalog import NodeClass
from discomfort.ir.graph import Input, Link, Literal, NodeId
from discomfort.ir.keys import Source
from discomfort.runtime.engines.embedded.classes.class_sources import ClassSources
from discomfort.runtime.engines.embedded.prompt_nodes.prompt_graph import PromptNode

_REMEMBERED_NODES = 4096


class NodeSources:
    """The sources of the nodes of one engine."""

    def __init__(
        self, finder: Finder, python_module: Callable[[str, Any], str], store: Fingerprints | None = None
    ) -> None:
        """Prepare to look into files.

        Args:
            finder: finds the files that nodes name.
            python_module: returns where a class of a name comes from.
            store: the digests of files; default: those of the user.
        """
        self._files = FileSources(finder, store)
        self._python_module = python_module
        self._classes: dict[str, ClassSources] = {}
        self._last: OrderedDict[str, str | None] = OrderedDict()

    def differs_from_last(self, node_id: str, token: str | None) -> bool:
        """Return whether a node found other files at the last call for it; true also where that is unknown."""
        differs = node_id in self._last and (token is None or self._last[node_id] != token)
        self._last[node_id] = token
        self._last.move_to_end(node_id)
        while len(self._last) > _REMEMBERED_NODES:
            self._last.popitem(last=False)
        return differs

    def of_class(self, name: str, node_class: Any, shown: NodeClass) -> ClassSources:
        """Return the facts about a class, which describes itself as `shown`; made again where another has its name."""
        known = self._classes.get(name)
        if known is None or known.node_class is not node_class:
            known = ClassSources(name, node_class, shown, self._python_module(name, node_class))
            self._classes[name] = known
        else:
            known.look(shown)
        return known

    def of_prompt_node(self, sources: ClassSources, node: PromptNode, stop: Stop) -> Source | None:
        """Return what a node of a prompt reads; None for a node that reads nothing."""
        inputs: dict[str, Input] = {name: Literal(value) for name, value in node.constants.items()}
        inputs |= {name: Link(NodeId(producer), slot) for name, producer, slot in node.links}
        return self.files(sources, inputs, stop)

    def files(self, sources: ClassSources, inputs: Mapping[str, Input], stop: Stop | None) -> Source | None:
        """Return the source of a node's files, None for a node that reads none; see `FileSources.read`."""
        return None if sources.inputs is None else self._files.read(sources.inputs, inputs, stop, sources.asks)
