"""The node classes a ComfyUI knows: names, inputs, outputs and flags, read from what `/object_info` answers.

Classes are read lazily: a catalog of a thousand classes loads in the time of its JSON, and each class is built when
it is first requested.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from discomfort.ir.catalog.own_classes import OWN_CLASSES as OWN_CLASSES
from discomfort.ir.diagnostics import Diagnostic

COMPARED = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
"""The types that ComfyUI compares the type of an input with, to convert and check a literal there, in this order."""

SNAPSHOT = Path(__file__).with_name("data") / "comfyui-0.33.0.json.gz"
"""The bundled catalog: the structure of every class of ComfyUI 0.33.0 without custom nodes."""

_STRUCTURE = (
    "input",
    "output",
    "output_name",
    "output_is_list",
    "output_matchtypes",
    "output_node",
    "is_input_list",
    "api_node",
    "deprecated",
    "display_name",
    "category",
    "python_module",
)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One declared input of a class.

    `group` is "required", "optional" or "hidden". `type` is ComfyUI's word ("IMAGE", "INT", "*", "STRING,INT",
    "COMFY_AUTOGROW_V3", "COMBO"…); a combo written as a list has type "COMBO" and its list in `choices`.
    `options` holds default, min, max, step, lazy, forceInput, template… as served. `equals` are the types that the
    type of a live class compares equal to although its text is another (a subclass of str, as packs write "any").
    """

    name: str
    type: str
    group: str
    options: Mapping[str, Any]
    choices: tuple[Any, ...] | None = None
    equals: tuple[str, ...] = ()


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
    effect: str | None = None
    """What the class says of itself (`DISCOMFORT_EFFECT`): a word of `effects.Effect`."""

    def input(self, name: str) -> InputSpec | None:
        """Return the declared input called `name`, or None."""
        return next((spec for spec in self.inputs if spec.name == name), None)


class Catalog(Mapping[str, NodeClass]):
    """Node classes by name, over the raw answer of `/object_info`. Equal only to itself; compare `digest`s instead.

    Example:
        >>> catalog = discomfort.default_catalog()
        >>> catalog["ImageInvert"].outputs[0].type
        'IMAGE'
        >>> "NoSuchNode" in catalog
        False
    """

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] — that of Mapping is None
        return object.__hash__(self)

    def __init__(
        self, object_info: Mapping[str, Mapping[str, Any]], unusable: Mapping[str, Diagnostic] | None = None
    ) -> None:
        """Take entries that can be used (see `checked_catalog`), and what is wrong with those left out, by class."""
        self._raw = object_info
        self._built: dict[str, NodeClass] = {}
        self._unusable: dict[str, Diagnostic] = dict(unusable or {})

    @property
    def unusable(self) -> Mapping[str, Diagnostic]:
        """What is wrong with the entries that were left out, by the name of their class."""
        return MappingProxyType(self._unusable)

    def __getitem__(self, name: str) -> NodeClass:
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = read_node_class(name, self.entry(name))
        return built

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def merged(self, *others: Catalog) -> Catalog:
        """Return a catalog with the classes of `others` added; later ones win."""
        raw, unusable = dict(self.entries()), dict(self._unusable)
        for other in others:
            raw.update(other.entries())
            unusable.update(other.unusable)
        return Catalog(raw, {name: finding for name, finding in unusable.items() if name not in raw})

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the structure of all classes: equal for equal catalogs, whatever their order or tooltips."""
        classes = {name: structure(info) for name, info in self.entries()}
        # classes in this process may declare objects that JSON lacks
        text = json.dumps(classes, sort_keys=True, default=lambda value: type(value).__qualname__)
        return hashlib.sha256(text.encode()).hexdigest()

    def snapshot(self) -> bytes:
        """Return the catalog as a gzip file of JSON, without texts for people; the same bytes for the same catalog."""
        classes = {name: structure(info) for name, info in self.entries()}
        text = json.dumps(classes, separators=(",", ":"), ensure_ascii=False)
        # half of a surrogate pair is not valid UTF-8; with its backslash it is the same text in JSON
        return gzip.compress(text.encode("utf-8", "backslashreplace"), compresslevel=9, mtime=0)

    def entry(self, name: str) -> Mapping[str, Any]:
        """Return the entry of a class as `/object_info` has it."""
        return self._raw[name]

    def entries(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the entries that can be used, by class."""
        return iter(self._raw.items())


@lru_cache(maxsize=1)
def default_catalog() -> Catalog:
    """Return the bundled catalog of ComfyUI 0.33.0 with our own node classes.

    Example:
        >>> "KSampler" in discomfort.default_catalog()
        True
    """
    return Catalog(json.loads(gzip.decompress(SNAPSHOT.read_bytes()))).merged(own_catalog())


@lru_cache(maxsize=1)
def own_catalog() -> Catalog:
    """Return Discomfort's own node classes."""
    return Catalog(OWN_CLASSES)


def structure(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what matters for compiling of one `/object_info` entry: no tooltips, descriptions or empty fields."""
    entry: dict[str, Any] = {key: info[key] for key in _STRUCTURE if info.get(key)}
    entry["input"] = _input_groups(info.get("input"))
    entry["output"] = info.get("output") or []
    if not any(entry.get("output_is_list", ())):
        entry.pop("output_is_list", None)
    if entry.get("output_name") == entry["output"]:
        del entry["output_name"]
    return entry


def _input_groups(groups: Any) -> dict[str, Any]:
    if not isinstance(groups, Mapping):
        return {}
    return {
        group: {name: _input_structure(spec) for name, spec in inputs.items()}
        for group, inputs in groups.items()
        if isinstance(inputs, Mapping) and inputs
    }


def _input_structure(spec: Any) -> Any:
    """Return an input's declaration without its tooltips; dynamic combos and templates nest further declarations."""
    if not isinstance(spec, (list, tuple)) or len(spec) < 2 or not isinstance(spec[1], Mapping):
        return spec
    options = {key: value for key, value in spec[1].items() if key != "tooltip"}
    template = options.get("template")
    if isinstance(template, Mapping) and "input" in template:
        options["template"] = {**template, "input": _input_groups(template["input"])}
    choices = options.get("options")
    if isinstance(choices, list) and any(isinstance(choice, Mapping) and "inputs" in choice for choice in choices):
        options["options"] = [
            {**choice, "inputs": _input_groups(choice["inputs"])} if "inputs" in choice else choice
            for choice in choices
        ]
    return [spec[0], options, *spec[2:]]


def read_node_class(name: str, info: Mapping[str, Any]) -> NodeClass:
    """Return the class that one entry of `/object_info` describes."""
    inputs = read_input_groups(info.get("input") or {})
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
        effect=info.get("discomfort_effect"),
    )


def read_input_groups(groups: Mapping[str, Any]) -> tuple[InputSpec, ...]:
    """Return the inputs declared in `{"required": {name: spec}, ...}`: of a class or of a dynamic combo's choice."""
    return tuple(
        _read_input(name, group, spec)
        for group in ("required", "optional", "hidden")
        for name, spec in (groups.get(group) or {}).items()
    )


def _read_input(name: str, group: str, spec: Any) -> InputSpec:
    if isinstance(spec, str):
        return InputSpec(name, str(spec), group, {})
    type_or_choices = spec[0]
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    if isinstance(type_or_choices, (list, tuple)):
        return InputSpec(name, "COMBO", group, options, tuple(type_or_choices))
    kind = str(type_or_choices)
    choices = options.get("options") if kind == "COMBO" else None
    equals = () if type(type_or_choices) is str else _also_equal(type_or_choices, kind)
    return InputSpec(name, kind, group, options, None if choices is None else tuple(choices), equals)


def _also_equal(declared: Any, text: str) -> tuple[str, ...]:
    """Return what else than its text a declared type compares equal to."""
    return tuple(kind for kind in COMPARED if kind != text and declared == kind)


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
