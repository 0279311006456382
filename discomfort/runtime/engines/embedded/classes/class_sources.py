"""What the nodes of one class depend on besides their inputs: the files that they read, and the code of the class."""

from __future__ import annotations

from typing import Any

from discomfort.input_files.file_inputs import ClassInputs
from discomfort.ir.catalog.catalog import NodeClass
from discomfort.ir.catalog.effects import RULES, Effect, Rule, is_core
from discomfort.runtime.engines.embedded.classes.class_code import class_code, registration


class ClassSources:
    """What the nodes of one class depend on; `inputs` is None for a class that reads no files."""

    def __init__(self, name: str, node_class: Any, shown: NodeClass, python_module: str) -> None:
        self.node_class = node_class
        self.is_core: bool = is_core(NodeClass(name, name, (), (), python_module=python_module))
        self.asks: bool = getattr(node_class, "IS_CHANGED", None) is not None
        self._name = name
        self.rule: Rule = self._rule(name)
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


def _real(node_class: Any) -> Any:
    """Return the class behind one that only wraps it for the scheduler."""
    return getattr(node_class, "node_class", node_class)
