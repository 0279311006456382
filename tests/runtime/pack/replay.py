"""Runs one golden case on the pack's classes, as a scheduler of the V1 protocol would, and encodes what came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from discomfort.runtime.engines.embedded.pack import NODE_CLASS_MAPPINGS
from tests.runtime.pack.fixtures import build
from tests.runtime.pack.goldens import Arrays, Case, describe_file, encode, normalized
from tests.runtime.pack.record import WORKFLOW, build_prompt

NESTED = ("COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3")
WIDGETS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def declared(node_class: Any) -> dict[str, Any]:
    """Return all inputs that are not hidden, with their specs."""
    types = node_class.INPUT_TYPES()
    return {**types.get("required", {}), **types.get("optional", {})}


def converted(value: Any, spec: Any) -> Any:
    """Convert a literal as ComfyUI's validation does; unwrap what the editor wrapped."""
    if isinstance(value, dict) and set(value) == {"__value__"}:
        return value["__value__"]
    return WIDGETS[spec[0]](value) if spec and str(spec[0]) in WIDGETS else value


def values_of(value: Any, spec: Any) -> list[Any]:
    """Return the list of values that arrives at an input."""
    if isinstance(value, dict) and "$fixture" in value:
        known = build()
        return [known[name] for name in value["$fixture"]]
    if isinstance(value, dict) and "$node" in value:
        return list(run(value["$node"], value["$inputs"], {})[0][value["$slot"]])
    return [converted(value, spec)]


def nested(inputs: dict[str, Any], specs: dict[str, Any]) -> dict[str, Any]:
    """Put `images.image0` into `images` where that is declared as a dynamic input."""
    result: dict[str, Any] = {}
    for key, value in inputs.items():
        first, _, rest = key.partition(".")
        if specs.get(first, ("",))[0] in NESTED:
            result.setdefault(first, {})[rest or first] = value
        else:
            result[key] = value
    for name, spec in specs.items():
        if spec[0] == "COMFY_AUTOGROW_V3":
            result.setdefault(name, {})
    return result


def hidden_inputs(node_class: Any, hidden: dict[str, Any]) -> dict[str, Any]:
    return {key: hidden.get(kind) for key, kind in node_class.INPUT_TYPES().get("hidden", {}).items()}


def run(
    class_type: str, inputs: dict[str, Any], hidden: dict[str, Any]
) -> tuple[list[list[Any]], dict[str, list[Any]]]:
    """Run a class once for each element of the longest list; return outputs as lists, and the `ui` answers joined."""
    node_class: Any = NODE_CLASS_MAPPINGS[class_type]
    specs = declared(node_class)
    lists = {key: values_of(value, specs.get(key)) for key, value in inputs.items()}
    extra = hidden_inputs(node_class, hidden)
    if node_class.INPUT_IS_LIST:
        calls = [nested(lists, specs) | extra]
    else:
        longest = max((len(values) for values in lists.values()), default=1)
        rounds = [{key: vs[min(turn, len(vs) - 1)] for key, vs in lists.items()} for turn in range(longest)]
        calls = [nested(one, specs) | extra for one in rounds]
    instance = node_class()
    outputs: list[list[Any]] = [[] for _ in node_class.RETURN_TYPES]
    ui: dict[str, list[Any]] = {}
    for call in calls:
        answer = getattr(instance, node_class.FUNCTION)(**call)
        if isinstance(answer, dict):
            for key, entries in answer["ui"].items():
                ui.setdefault(key, []).extend(entries)
            answer = answer["result"]
        assert isinstance(answer, tuple)
        assert len(answer) == len(outputs)
        for slot, (value, is_list) in enumerate(zip(answer, node_class.OUTPUT_IS_LIST, strict=True)):
            outputs[slot].extend(value if is_list else [value])
    return outputs, ui


def replay(case: Case, base: Path, arrays: Arrays) -> dict[str, Any]:
    """Run a case in the folders below `base` and describe it as `record.py` does."""
    node_class: Any = NODE_CLASS_MAPPINGS[case.class_type]
    prompt = build_prompt(case, len(node_class.RETURN_TYPES))
    hidden = {"PROMPT": prompt, "EXTRA_PNGINFO": WORKFLOW, "UNIQUE_ID": "node"}
    outputs, ui = run(case.class_type, case.inputs, hidden)
    described: dict[str, Any] = {}
    if outputs:
        described["outputs"] = [[encode(value, arrays) for value in values] for values in outputs]
    if ui:
        described["ui"] = json.loads(json.dumps(ui))
    new = [path for folder in ("output", "temp") for path in sorted((base / folder).rglob("*")) if path.is_file()]
    written = {path.relative_to(base).as_posix(): path for path in new}
    kept = {name: path for name, path in written.items() if name not in case.files}
    if kept:
        described["files"] = {
            name: describe_file(path.read_bytes(), path.suffix, arrays) for name, path in kept.items()
        }
    return dict(normalized(described))
