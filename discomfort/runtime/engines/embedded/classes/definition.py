"""What the scheduler knows of a node class: its declaration under ComfyUI's V1 protocol, read once a run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discomfort.ir.catalog.catalog import InputSpec, NodeClass, OutputSpec, read_input_groups
from discomfort.ir.types.language import AUTOGROW, DYNAMIC_COMBO

if TYPE_CHECKING:
    from discomfort.runtime.engines.embedded.classes.class_sources import ClassSources

HIDDEN_KINDS = frozenset(
    (
        "PROMPT",
        "DYNPROMPT",
        "EXTRA_PNGINFO",
        "UNIQUE_ID",
        "AUTH_TOKEN_COMFY_ORG",
        "API_KEY_COMFY_ORG",
        "COMFY_USAGE_SOURCE",
    )
)
"""What ComfyUI fills hidden inputs with; the scheduler has the first four, the others are None."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a function of a node class takes: `names` of parameters, and whether it takes any others (`**kwargs`)."""

    names: frozenset[str]
    everything: bool

    def select(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of `arguments` that the function takes."""
        if self.everything:
            return dict(arguments)
        return {name: value for name, value in arguments.items() if name in self.names}


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One node class as the scheduler uses it.

    `described` holds inputs and outputs as the catalog has them; `hidden` maps parameters to what fills them
    (PROMPT, UNIQUE_ID…); `lazy` and `raw_links` are the inputs declared so; `flexible` is the mapping of optional
    inputs where it answers for names beyond its items; `grown` are the dynamic inputs
    (`COMFY_AUTOGROW_V3`, `COMFY_DYNAMICCOMBO_V3`), under which keys with a dot are nested; `keyed_by_id` says that
    equal inputs of two nodes do not permit nodes to share a result.
    """

    name: str
    node_class: Any
    described: NodeClass
    inputs: Mapping[str, InputSpec]
    hidden: tuple[tuple[str, str], ...]
    output_types: tuple[str, ...]
    output_is_list: tuple[bool, ...]
    function: str
    input_is_list: bool
    output_node: bool
    lazy: frozenset[str]
    raw_links: frozenset[str]
    flexible: Mapping[str, Any] | None
    grown: tuple[str, ...]
    accepts_all: bool
    plain: bool
    """Whether the class uses none of: list inputs, hidden, lazy, raw, dynamic or flexible inputs, list outputs."""
    keyed_by_id: bool
    never_cached: bool
    keeps_results: bool
    asks_is_changed: bool
    validates: Parameters | None
    identity: str
    """Text for keys that another class of this name, or other code of this class, does not have."""
    sources: ClassSources | None = None
    """What its nodes depend on besides their inputs, for a class that may read files."""
    trusted: bool = False
    """Whether it is one of ComfyUI's own, or of ours, which leave their inputs as they are."""

    def declares(self, name: str) -> bool:
        """Return whether a prompt's key belongs to a declared input: by name, or below a dynamic one."""
        if name in self.inputs or self.accepts_all or (self.flexible is not None and name in self.flexible):
            return True
        return bool(self.grown) and name.partition(".")[0] in self.grown

    def with_option(self, option: str, names: Iterable[str]) -> frozenset[str]:
        """Return those of `names` that the class declares with `option` (lazy, rawLink), by name or flexibly."""
        named = self.lazy if option == "lazy" else self.raw_links
        flexible = self.flexible
        if flexible is None:
            return named
        found = {name for name in names if name not in self.inputs and name in flexible}
        return named | {name for name in found if len(flexible[name]) > 1 and flexible[name][1].get(option)}


def read_definition(name: str, node_class: Any) -> Definition:
    """Return the definition of a class as it declares itself now (lists of files may change from run to run)."""
    declared = node_class.INPUT_TYPES()
    visible = {group: declared.get(group) or {} for group in ("required", "optional")}
    inputs = {spec.name: spec for spec in read_input_groups(visible)}
    kinds = {key: _hidden_kind(kind) for key, kind in (declared.get("hidden") or {}).items()}
    hidden = tuple((key, kind) for key, kind in kinds.items() if kind in HIDDEN_KINDS)
    # what nothing fills in may still be set by a prompt, as by the graphs that loop nodes expand to
    inputs |= {key: InputSpec(key, "*", "optional", {}) for key, kind in kinds.items() if kind not in HIDDEN_KINDS}
    outputs = output_types(node_class)
    input_is_list = bool(getattr(node_class, "INPUT_IS_LIST", False))
    grown = tuple(key for key, spec in inputs.items() if spec.type in (AUTOGROW, DYNAMIC_COMBO))
    lists = tuple(bool(flag) for flag in getattr(node_class, "OUTPUT_IS_LIST", None) or ())
    optional = declared.get("optional")
    flexible = optional if type(optional) is not dict and isinstance(optional, Mapping) else None
    lazy = frozenset(key for key, spec in inputs.items() if spec.options.get("lazy"))
    raw_links = frozenset(key for key, spec in inputs.items() if spec.options.get("rawLink"))
    return Definition(
        name=name,
        node_class=node_class,
        described=NodeClass(name, name, tuple(inputs.values()), tuple(OutputSpec(kind, kind) for kind in outputs)),
        inputs=inputs,
        hidden=hidden,
        output_types=outputs,
        output_is_list=(lists + (False,) * len(outputs))[: len(outputs)],
        function=node_class.FUNCTION,
        input_is_list=input_is_list,
        output_node=getattr(node_class, "OUTPUT_NODE", False) is True,
        lazy=lazy,
        raw_links=raw_links,
        flexible=flexible,
        grown=grown,
        accepts_all=bool(getattr(node_class, "ACCEPT_ALL_INPUTS", False)),
        plain=not (input_is_list or hidden or lazy or raw_links or grown or any(lists) or flexible is not None),
        keyed_by_id=bool(getattr(node_class, "NOT_IDEMPOTENT", False))
        or any(kind == "UNIQUE_ID" for _, kind in hidden),
        never_cached=bool(getattr(node_class, "NEVER_CACHED", False)),
        keeps_results=bool(getattr(node_class, "KEEP_RESULTS", True)),
        asks_is_changed=getattr(node_class, "IS_CHANGED", None) is not None,
        validates=parameters_of(getattr(node_class, "VALIDATE_INPUTS", None)),
        identity=f"{len(name)}:{name}",
    )


def output_types(node_class: Any) -> tuple[str, ...]:
    """Return the types that a class gives; a list of options is a COMBO."""
    declared = getattr(node_class, "RETURN_TYPES", None) or ()
    return tuple("COMBO" if isinstance(kind, (list, tuple)) else str(kind) for kind in declared)


def parameters_of(function: Callable[..., Any] | None) -> Parameters | None:
    """Return what `function` takes, None where there is no function."""
    return (
        None if function is None else _parameters(getattr(function, "__func__", function), inspect.ismethod(function))
    )


@functools.lru_cache(maxsize=4096)
def _parameters(function: Callable[..., Any], bound: bool) -> Parameters:
    parameters = list(inspect.signature(function).parameters.values())[1 if bound else 0 :]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = frozenset(parameter.name for parameter in parameters if parameter.kind in named)
    return Parameters(names, any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters))


def _hidden_kind(kind: Any) -> str:
    return str(kind[0] if isinstance(kind, (list, tuple)) else kind)
