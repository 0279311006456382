"""What nodes that run in this Python depend on beside their inputs: files, code, and what classes answer when asked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from discomfort.input_files.file_inputs import ClassInputs
from discomfort.input_files.fingerprints import Fingerprints, Stop
from discomfort.input_files.sources import FileSources, Finder
from discomfort.ir.catalog.catalog import NodeClass
from discomfort.ir.catalog.effects import RULES, Effect, Rule, is_core
from discomfort.ir.graph import Input, Link, Literal, NodeId
from discomfort.ir.keys import Source
from discomfort.runtime.engines.embedded.classes.class_code import class_code, registration
from discomfort.runtime.engines.embedded.execution.prompt_graph import PromptNode

_REMEMBERED_NODES = 4096


class ClassSources:
    """What the nodes of one class depend on; `inputs` is None for a class that reads no files."""

    def __init__(self, name: str, node_class: Any, shown: NodeClass, python_module: str) -> None:
        self.node_class = node_class
        self.is_core = is_core(NodeClass(name, name, (), (), python_module=python_module))
        self.asks = getattr(node_class, "IS_CHANGED", None) is not None
        self._name = name
        self.rule = self._rule(name)
        self._choices: tuple[Any, ...] | None = None
        self.inputs: ClassInputs | None = None
        self.look(shown)

    def look(self, shown: NodeClass) -> None:
        """Take note of how the class describes itself now: the files that it offers may be others."""
        choices = tuple(spec.choices for spec in shown.inputs if spec.type == "COMBO")
        if choices != self._choices:
            inputs = ClassInputs(shown, self.rule)
            self._choices, self.inputs = choices, inputs if inputs.matters else None

    def _rule(self, name: str) -> Rule:
        declared = getattr(self.node_class, "DISCOMFORT_EFFECT", None)
        if declared == Effect.FILE.value:
            return Rule(Effect.FILE)
        return RULES.get(name, Rule(Effect.PURE)) if self.is_core else Rule(Effect.UNKNOWN)

    def code(self) -> str:
        """Return text that another class, or other code, does not have; "" for ComfyUI's own: the name says it.

        Classes of the pack whose results depend on what is installed say on what, in `DEPENDS_ON`.
        """
        real = _real(self.node_class)
        if not self.is_core:
            return class_code(real)
        depends_on = getattr(real, "DEPENDS_ON", None)
        return "" if depends_on is None else str(depends_on())

    def identity(self) -> str:
        """Return text for keys that live as long as this process: of this very class, and of its code."""
        real = _real(self.node_class)
        code = registration(real) if self.is_core else class_code(real)
        return f"{len(self._name)}:{self._name}{len(code)}:{code}"


class NodeSources:
    """The sources of the nodes of one engine."""

    def __init__(
        self, finder: Finder, python_module: Callable[[str, Any], str], store: Fingerprints | None = None
    ) -> None:
        """Prepare to look into files.

        Args:
            finder: finds the files that nodes name.
            python_module: tells where a class, of a name, comes from.
            store: the digests of files; default: those of the user.
        """
        self._files = FileSources(finder, store)
        self._python_module = python_module
        self._classes: dict[str, ClassSources] = {}
        self._last: OrderedDict[str, str | None] = OrderedDict()

    def differs_from_last(self, node_id: str, token: str | None) -> bool:
        """Return whether a node found other files the last time that this was asked for it, or nobody knows."""
        differs = node_id in self._last and (token is None or self._last[node_id] != token)
        self._last[node_id] = token
        self._last.move_to_end(node_id)
        while len(self._last) > _REMEMBERED_NODES:
            self._last.popitem(last=False)
        return differs

    def of_class(self, name: str, node_class: Any, shown: NodeClass) -> ClassSources:
        """Return what is known of a class, which describes itself as `shown`; made anew where another has its name."""
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


def _real(node_class: Any) -> Any:
    """Return the class behind one that only wraps it for the scheduler."""
    return getattr(node_class, "node_class", node_class)
