"""Which inputs of a node name files, so that its result depends on what is in them.

Of the classes in the table of effects that is written down. For every other class a choice (a COMBO) that looks like a
file name counts as one: how the loader of a new kind of model is called makes no difference. Whether there is such a
file only the engine knows. Text for a CLIP model may name embeddings, which are files, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from discomfort.ir.catalog.catalog import Catalog, InputSpec, NodeClass
from discomfort.ir.catalog.effects import OWN_CLASSES, Effect, EffectTable, Rule
from discomfort.ir.graph import Input, Link, Literal, Node, Param
from discomfort.ir.types.language import Signatures

EMBEDDING = "embedding:"
"""How a text for a CLIP model names an embedding."""

_FILE_NAME = re.compile(r"[^\r\n]*\.[A-Za-z][A-Za-z0-9_]{0,15}(\s*\[(input|output|temp)\])?")


@dataclass(frozen=True, slots=True)
class FileInputs:
    """What of one node's inputs names files.

    `names` are the texts that do, by input; `linked` are inputs that name one and get it along a link, so that it is
    not known before the run; `embeddings`: a text may name embeddings.
    """

    names: Mapping[str, str]
    linked: tuple[str, ...] = ()
    embeddings: bool = False

    def __bool__(self) -> bool:
        return bool(self.names or self.linked or self.embeddings)


NO_FILES = FileInputs({})


class FileReaders:
    """The file inputs of nodes of one catalog."""

    def __init__(self, effects: EffectTable) -> None:
        self._effects = effects
        self._classes: dict[str | None, ClassInputs | None] = {None: None}

    def inputs(self, node: Node) -> FileInputs:
        """Return what of a node's inputs names files."""
        name = node.class_type
        known = self._classes[name] if name in self._classes else self._learn(name)
        return NO_FILES if known is None else known.of(node.inputs)

    def _learn(self, name: str | None) -> ClassInputs | None:
        node_class = self._effects.catalog.get(name) if name is not None and name not in OWN_CLASSES else None
        found = None if node_class is None else ClassInputs(node_class, self._effects.rule(name))
        self._classes[name] = found = found if found is not None and found.matters else None
        return found


class ClassInputs:
    """Which inputs name files, of all nodes of one class.

    `matters` says whether any may; `anywhere`: the class only says that it reads files, so that every text may name
    one, also outside of ComfyUI's folders.
    """

    def __init__(self, node_class: NodeClass, rule: Rule) -> None:
        types = [spec.type for spec in node_class.inputs]
        self.anywhere: bool = rule.effect is Effect.FILE and not rule.files
        self._class = node_class
        self._listed = frozenset(rule.files)
        self._choices = {spec.name: spec for spec in node_class.inputs if spec.type == "COMBO"}
        self._texts = [spec.name for spec in node_class.inputs if "STRING" in spec.type.split(",")]
        self._encodes = "CLIP" in types and bool(self._texts)
        self._dynamic = any(kind.startswith(("COMFY_DYNAMIC", "COMFY_AUTOGROW")) for kind in types)
        self._signatures = Signatures(Catalog({}))
        reads = bool(self._listed or self._choices or self.anywhere or self._encodes or self._dynamic)
        self.matters: bool = reads and rule.effect is not Effect.VOLATILE

    def of(self, inputs: Mapping[str, Input]) -> FileInputs:
        """Return what of a node's inputs names files."""
        choices = self._choices_of(inputs)
        names: dict[str, str] = {}
        linked: list[str] = []
        for name, value in inputs.items():
            listed = self.anywhere or name in self._listed
            if isinstance(value, Literal):
                for number, text in enumerate(_texts(value.value) if listed or name in choices else ()):
                    if listed or looks_like_a_file(text):
                        names[f"{name}.{number}" if number else name] = text
            elif self._may_be_a_file(name, choices):
                linked.append(name)
        return FileInputs(names, tuple(linked), self._encodes and self._may_name_embeddings(inputs))

    def _may_be_a_file(self, name: str, choices: Mapping[str, InputSpec]) -> bool:
        """Return whether an input that is linked may get the name of a file."""
        if name in self._listed or (self.anywhere and name in self._texts):
            return True
        return name in choices and bool(file_choices(choices[name]))

    def offered(self, inputs: Mapping[str, Input], name: str) -> tuple[str, ...]:
        """Return the files among the choices of an input, which is linked, so that it may mean any of them."""
        spec = self._choices_of(inputs).get(name)
        return () if spec is None else file_choices(spec)

    def _choices_of(self, inputs: Mapping[str, Input]) -> Mapping[str, InputSpec]:
        if not self._dynamic:
            return self._choices
        specs = self._signatures.inputs(self._class, inputs)
        return {name: spec for name, spec in specs.items() if spec.type == "COMBO"}

    def _may_name_embeddings(self, inputs: Mapping[str, Input]) -> bool:
        values = [inputs.get(name) for name in self._texts]
        return any(
            isinstance(value, (Link, Param)) or (isinstance(value, Literal) and EMBEDDING in str(value.value))
            for value in values
        )


def looks_like_a_file(text: str) -> bool:
    """Return whether a choice may be the name of a file: it ends as file names do."""
    return _FILE_NAME.fullmatch(text) is not None


def file_choices(spec: InputSpec) -> tuple[str, ...]:
    """Return the choices of an input that look like names of files."""
    return tuple(choice for choice in spec.choices or () if isinstance(choice, str) and looks_like_a_file(choice))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a literal: itself, or those of a list or dict (a 3D view names several pictures)."""
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
