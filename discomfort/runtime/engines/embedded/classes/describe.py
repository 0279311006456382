"""Registered node classes as `/object_info` describes classes."""

from __future__ import annotations

from typing import Any

from discomfort.runtime.engines.embedded.classes.definition import output_types


def describe_safely(name: str, node_class: Any) -> dict[str, Any] | str:
    """Return the entry of one class; text that says what was raised where describing it fails."""
    try:
        return describe_class(name, node_class)
    except Exception as error:  # noqa: BLE001 — whatever a node class raises, it costs that class alone
        return f"an error, {type(error).__name__}: {error}"


def describe_class(name: str, node_class: Any) -> dict[str, Any]:
    """Return the entry of one class; `DISCOMFORT_EFFECT` says of it what `compiler.effects` cannot know."""
    declared = node_class.INPUT_TYPES()
    types = list(output_types(node_class))
    lists = getattr(node_class, "OUTPUT_IS_LIST", None) or [False] * len(types)
    entry = {
        "name": name,
        "display_name": name,
        "category": getattr(node_class, "CATEGORY", ""),
        "python_module": "custom_nodes",
        "input": {
            group: {key: list(spec) if isinstance(spec, tuple) else spec for key, spec in inputs.items()}
            for group, inputs in declared.items()
        },
        "output": types,
        "output_name": list(getattr(node_class, "RETURN_NAMES", None) or types),
        "output_is_list": [bool(flag) for flag in lists],
        "output_node": bool(getattr(node_class, "OUTPUT_NODE", False)),
        "is_input_list": bool(getattr(node_class, "INPUT_IS_LIST", False)),
        "deprecated": bool(getattr(node_class, "DEPRECATED", False)),
    }
    return {**entry, **declared_effect(node_class)}


def declared_effect(node_class: Any) -> dict[str, str]:
    """Return what a class says of itself, as part of its entry."""
    effect = getattr(node_class, "DISCOMFORT_EFFECT", None)
    return {} if effect is None else {"discomfort_effect": str(effect)}
