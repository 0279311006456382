"""The official templates and what is compared of their prompts."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGE = "comfyui-workflow-templates-json"
REFERENCE = "0.1.50"
DIGESTS = {file.stem: file for file in Path(__file__).with_name("digests").glob("*.txt")}
"""One file for each version of the package whose templates the official frontend converted."""


def folder() -> Path | None:
    """Return where PyPI's comfyui-workflow-templates-json keeps its templates; None where it is not installed."""
    spec = importlib.util.find_spec("comfyui_workflow_templates_json")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "templates"


def recorded(version: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield (template, digest of the official frontend's prompt) of a version; by default of the installed one."""
    if version is None:
        version = installed()
    for line in DIGESTS.get(version, DIGESTS[REFERENCE]).read_text(encoding="utf-8").splitlines():
        digest, name = line.split(maxsplit=1)
        yield name, digest


def installed() -> str:
    """Return the version of the templates that are installed; the reference where none are."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return REFERENCE


def without_wall_clock(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """Return a prompt without `Load3D.image`, which names a file by the clock."""
    return {
        key: {
            **node,
            "inputs": {
                name: value
                for name, value in node["inputs"].items()
                if (node.get("class_type"), name) != ("Load3D", "image")
            },
        }
        for key, node in prompt.items()
    }


def digest(prompt: Mapping[str, Any]) -> str:
    """Return a fingerprint of a prompt: ids, classes, inputs and titles, whatever the order of keys."""
    compared = json.dumps(without_wall_clock(prompt), sort_keys=True)
    return hashlib.sha256(compared.encode()).hexdigest()[:24]


def first_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Return the first node and input in which two prompts differ, as text."""
    for key in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(key), theirs.get(key)
        if mine is None or other is None:
            return f"node {key} is only in {'the editor' if mine is None else 'our'} prompt"
        for name in sorted(mine["inputs"].keys() | other["inputs"].keys()):
            pair = [prompt["inputs"].get(name, "<absent>") for prompt in (mine, other)]
            if json.dumps(pair[0], sort_keys=True) != json.dumps(pair[1], sort_keys=True):
                return (
                    f"node {key} ({other.get('class_type')}) input {name}: ours {pair[0]!r}, the editor's {pair[1]!r}"
                )
        if mine != other:
            return f"node {key}: ours {mine!r:.200}, the editor's {other!r:.200}"
    return "no difference in what is kept"
