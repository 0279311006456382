"""How the pack's functions become node classes of the V1 protocol.

What a class is called, takes and gives is data, recorded from ComfyUI itself (`facts.json`: `/object_info` without
prose); what it does is a function here. `@node("ImageInvert")` joins the two.
"""

from __future__ import annotations

import copy
import functools
import json
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from discomfort.runtime.engines.embedded.pack.sizes import limited

FACTS = Path(__file__).parent / "facts.json"
"""What `/object_info` of ComfyUI 0.33.0 says about the classes of the pack."""

NODE_CLASS_MAPPINGS: dict[str, type] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}

Function = TypeVar("Function", bound=Callable[..., Any])
Options = Mapping[str, Callable[[], list[str]]]


@functools.cache
def facts() -> dict[str, dict[str, Any]]:
    """Return what `/object_info` says, by class name; not to be changed by the caller."""
    loaded: dict[str, dict[str, Any]] = json.loads(FACTS.read_text(encoding="utf-8"))
    return loaded


def describe(name: str) -> dict[str, Any]:
    """Return a class's entry of `/object_info`, with the files that are there now in the lists of files."""
    described = copy.deepcopy(facts()[name])
    for option, choices in getattr(NODE_CLASS_MAPPINGS[name], "LIVE_OPTIONS", {}).items():
        described["input"]["required"][option][0] = choices()
    return described


def _input_types(name: str) -> dict[str, dict[str, Any]]:
    """Return INPUT_TYPES as the V1 protocol writes it: specs are tuples, hidden inputs plain strings."""
    described = describe(name)["input"]
    declared: dict[str, dict[str, Any]] = {
        section: {key: tuple(spec) for key, spec in described[section].items()}
        for section in ("required", "optional")
        if section in described
    }
    if hidden := described.get("hidden"):
        declared["hidden"] = {key: kind if isinstance(kind, str) else kind[0] for key, kind in hidden.items()}
    return declared


def in_order(values: Mapping[str, Any]) -> list[Any]:
    """Return the values of a growing input (`image0`, `image1` …) by their numbers, whatever order they came in."""
    return [values[key] for key in sorted(values, key=lambda key: int(key.lstrip(string.ascii_letters + "_")))]


def node(name: str, *, options: Options | None = None, **extras: Any) -> Callable[[Function], Function]:
    """Register the decorated function as the node class `name`; the function itself stays as it is.

    Args:
        name: the class name, a key of `facts.json`.
        options: for inputs that choose a file, what lists the files.
        extras: further attributes of the class; functions (IS_CHANGED, VALIDATE_INPUTS, check_lazy_status) become
            static methods.
    """

    def register(function: Function) -> Function:
        fact = facts()[name]
        attributes: dict[str, Any] = {
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "INPUT_TYPES": classmethod(lambda cls: _input_types(name)),
            "RETURN_TYPES": tuple(fact["output"]),
            "RETURN_NAMES": tuple(fact["output_name"]),
            "OUTPUT_IS_LIST": tuple(fact["output_is_list"]),
            "INPUT_IS_LIST": bool(fact.get("is_input_list")),
            "OUTPUT_NODE": bool(fact.get("output_node")),
            "CATEGORY": fact["category"],
            "DEPRECATED": bool(fact.get("deprecated")),
            "EXPERIMENTAL": bool(fact.get("experimental")),
            "LIVE_OPTIONS": dict(options or {}),
            "FUNCTION": "execute",
            "execute": staticmethod(limited(name, function)),
        }
        attributes |= {key: staticmethod(value) if callable(value) else value for key, value in extras.items()}
        NODE_CLASS_MAPPINGS[name] = type(name, (), attributes)
        NODE_DISPLAY_NAME_MAPPINGS[name] = fact["display_name"] or name
        return function

    return register
