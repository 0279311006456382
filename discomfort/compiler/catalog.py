"""The node classes a ComfyUI knows: names, inputs, outputs and flags, read from what `/object_info` answers.

Classes are read lazily: a catalog of a thousand classes loads in the time of its JSON, and each class is built when
it is first asked for.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

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
    effect: str | None = None
    """What the class says of itself (`DISCOMFORT_EFFECT`): a word of `effects.Effect`."""

    def input(self, name: str) -> InputSpec | None:
        """Return the declared input called `name`, or None."""
        return next((spec for spec in self.inputs if spec.name == name), None)


class Catalog(Mapping[str, NodeClass]):
    """Node classes by name, over the raw answer of `/object_info`. Equal only to itself; compare `digest`s instead."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__

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

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the structure of all classes: equal for equal catalogs, whatever their order or tooltips."""
        text = json.dumps({name: structure(self._raw[name]) for name in self._raw}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def snapshot(self) -> bytes:
        """Return the catalog as a gzip file of JSON, without texts for people; the same bytes for the same catalog."""
        classes = {name: structure(info) for name, info in self._raw.items()}
        text = json.dumps(classes, separators=(",", ":"), ensure_ascii=False)
        return gzip.compress(text.encode(), compresslevel=9, mtime=0)


@lru_cache(maxsize=1)
def default_catalog() -> Catalog:
    """Return the bundled catalog of ComfyUI 0.33.0 with our own node classes."""
    return Catalog(json.loads(gzip.decompress(SNAPSHOT.read_bytes()))).merged(own_catalog())


@lru_cache(maxsize=1)
def own_catalog() -> Catalog:
    """Return the node classes that Discomfort brings."""
    return Catalog(OWN_CLASSES)


def read_catalog(source: str | Path | Mapping[str, Any]) -> Catalog:
    """Return the catalog in `source` with our own node classes where it lacks them.

    Args:
        source: a snapshot or a saved `/object_info` answer (JSON, gzip or not), or the answer itself.

    Raises:
        ValueError: the source is not a mapping of node classes.
        OSError: the file cannot be read.
    """
    if isinstance(source, (str, Path)):
        content = Path(source).read_bytes()
        try:
            answer = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        except (EOFError, RecursionError, ValueError) as error:
            raise ValueError(f"{source} is not a catalog: {error}") from error
    else:
        answer = source
    if not isinstance(answer, Mapping):
        raise ValueError(f"a catalog is a JSON object of node classes, found {type(answer).__name__}")
    broken = [name for name, info in answer.items() if not (isinstance(info, Mapping) and "input" in info)]
    if broken:
        raise ValueError(f"{len(broken)} entries are not node classes, the first is {broken[0]!r}")
    return own_catalog().merged(Catalog(answer))


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


def _own_class(name: str, title: str, groups: Mapping[str, Any], outputs: list[str], **flags: Any) -> dict[str, Any]:
    entry = {"input": groups, "output": ["*"] * len(outputs), "output_name": outputs, "display_name": title}
    return {**entry, "name": name, "category": "discomfort", "python_module": "custom_nodes.discomfort", **flags}


RUNNER_OUTPUTS = 32
"""How many OUTPUT ports of a workflow a DiscomfortTestRunner shows: ComfyUI wants a class's outputs to be declared."""

_PORT_TEXT = ["STRING", {"default": "", "multiline": False}]

OWN_CLASSES: Mapping[str, Mapping[str, Any]] = {
    "DiscomfortContextLoader": _own_class(
        "DiscomfortContextLoader",
        "Discomfort Context Loader (internal)",
        {"required": {"digest": _PORT_TEXT, "value_type": ["STRING", {"default": "*", "multiline": False}]}},
        ["value"],
    ),
    "DiscomfortContextSaver": _own_class(
        "DiscomfortContextSaver",
        "Discomfort Context Saver (internal)",
        {"required": {"value": ["*"], "name": _PORT_TEXT}},
        [],
        output_node=True,
        is_input_list=True,
    ),
    "DiscomfortPort": _own_class(
        "DiscomfortPort",
        "Discomfort Port (Input/Output)",
        {"required": {"unique_id": _PORT_TEXT, "tags": _PORT_TEXT}, "optional": {"input": ["*"]}},
        ["output"],
        output_node=True,
    ),
    "DiscomfortTestRunner": _own_class(
        "DiscomfortTestRunner",
        "Discomfort Test Runner",
        {"required": {"workflow": _PORT_TEXT}},
        [f"output {number}" for number in range(1, RUNNER_OUTPUTS + 1)],
        output_node=True,
    ),
}
"""Our node classes as `/object_info` would describe them."""
