"""The node classes a ComfyUI knows: names, inputs, outputs and flags, read from what `/object_info` answers.

Classes are read lazily: a catalog of a thousand classes loads in the time of its JSON, and each class is built when
it is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One declared input of a class.

    `group` is "required", "optional" or "hidden". `type` is ComfyUI's word ("IMAGE", "INT", "*", "STRING,INT",
    "COMFY_AUTOGROW_V3", "COMBO"…); a combo written as a list has type "COMBO" and its list in `choices`.
    `options` holds default, min, max, step, lazy, forceInput, template… as served.
    """

    name: str
    type: str
    group: str
    options: Mapping[str, Any]
    choices: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One declared output: its name, its type, whether it is a list, and the match-type template it follows."""

    name: str
    type: str
    is_list: bool = False
    match_template: str | None = None


@dataclass(frozen=True, slots=True)
class NodeClass:
    """What the catalog knows of one node class."""

    name: str
    display_name: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    output_node: bool = False
    is_input_list: bool = False
    api_node: bool = False
    deprecated: bool = False
    category: str = ""
    python_module: str = ""

    def input(self, name: str) -> InputSpec | None:
        """Return the declared input called `name`, or None."""
        return next((spec for spec in self.inputs if spec.name == name), None)


class Catalog(Mapping[str, NodeClass]):
    """Node classes by name, over the raw answer of `/object_info`."""

    def __init__(self, object_info: Mapping[str, Mapping[str, Any]]) -> None:
        self._raw = object_info
        self._built: dict[str, NodeClass] = {}

    def __getitem__(self, name: str) -> NodeClass:
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = read_node_class(name, self._raw[name])
        return built

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def merged(self, *others: Catalog) -> Catalog:
        """Return a catalog with the classes of `others` added; later ones win."""
        raw = dict(self._raw)
        for other in others:
            raw.update(other._raw)
        return Catalog(raw)


def read_node_class(name: str, info: Mapping[str, Any]) -> NodeClass:
    """Return the class that one entry of `/object_info` describes."""
    inputs = tuple(
        _read_input(input_name, group, spec)
        for group in ("required", "optional", "hidden")
        for input_name, spec in ((info.get("input") or {}).get(group) or {}).items()
    )
    return NodeClass(
        name=name,
        display_name=info.get("display_name") or name,
        inputs=inputs,
        outputs=_read_outputs(info),
        output_node=bool(info.get("output_node")),
        is_input_list=bool(info.get("is_input_list")),
        api_node=bool(info.get("api_node")),
        deprecated=bool(info.get("deprecated")),
        category=info.get("category") or "",
        python_module=info.get("python_module") or "",
    )


def _read_input(name: str, group: str, spec: Any) -> InputSpec:
    if isinstance(spec, str):
        return InputSpec(name, spec, group, {})
    type_or_choices = spec[0]
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    if isinstance(type_or_choices, (list, tuple)):
        return InputSpec(name, "COMBO", group, options, tuple(type_or_choices))
    choices = options.get("options") if type_or_choices == "COMBO" else None
    return InputSpec(name, str(type_or_choices), group, options, None if choices is None else tuple(choices))


def _read_outputs(info: Mapping[str, Any]) -> tuple[OutputSpec, ...]:
    types = info.get("output") or ()
    names = info.get("output_name") or ()
    lists = info.get("output_is_list") or ()
    templates = info.get("output_matchtypes") or ()
    return tuple(
        OutputSpec(
            name=str(names[slot]) if slot < len(names) and names[slot] else str(kind),
            type="COMBO" if isinstance(kind, (list, tuple)) else str(kind),
            is_list=bool(lists[slot]) if slot < len(lists) else False,
            match_template=templates[slot] if slot < len(templates) else None,
        )
        for slot, kind in enumerate(types)
    )
