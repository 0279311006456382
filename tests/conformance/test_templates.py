"""Law L1 on the official templates: each lowers to exactly the prompt that the official editor sends.

`template_digests.txt` holds one line a template: its name and the SHA-256 of the prompt that comfyui-frontend-package
1.49.6 made of it on ComfyUI 0.33.0, in canonical JSON. `Load3D.image` is left out: the editor writes the time of day
there. Where a digest differs, `DISCOMFORT_CONFORMANCE_TRUTH` may name a file of the prompts themselves (JSON lines of
`{"template": …, "prompt": …}`, gzip or not); the failure then shows the first node and input that differ.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import comfyui_workflow_templates_json
import pytest

from discomfort.compiler.catalog import default_catalog
from discomfort.compiler.emit import emit_prompt
from discomfort.compiler.frontend import load_workflow

DIGESTS = dict(
    line.split() for line in (Path(__file__).parent / "template_digests.txt").read_text(encoding="utf-8").splitlines()
)
TRUTH = os.environ.get("DISCOMFORT_CONFORMANCE_TRUTH")


@lru_cache(maxsize=1)
def templates() -> dict[str, Path]:
    """Return the files of the package of official templates, by name."""
    root = Path(str(comfyui_workflow_templates_json.__file__)).parent
    return {path.name: path for path in root.rglob("*.json")}


@lru_cache(maxsize=1)
def truth() -> dict[str, dict[str, Any]]:
    """Return the recorded prompts by template, nothing where no file of them is given."""
    if TRUTH is None:
        return {}
    content = Path(TRUTH).read_bytes()
    text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    return {entry["template"]: entry["prompt"] for entry in map(json.loads, text.splitlines())}


def comparable(prompt: dict[str, Any]) -> dict[str, Any]:
    """Return a prompt without what the editor takes from the clock."""
    return {
        node_id: {**node, "inputs": {key: value for key, value in node["inputs"].items() if key != "image"}}
        if node.get("class_type") == "Load3D"
        else node
        for node_id, node in prompt.items()
    }


def digest(prompt: dict[str, Any]) -> str:
    """Return the SHA-256 of a prompt in canonical JSON."""
    text = json.dumps(comparable(prompt), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def first_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Return the first node and input in which two prompts differ, in words."""
    for node_id in sorted({*ours, *theirs}):
        mine, wanted = ours.get(node_id), theirs.get(node_id)
        if mine is None or wanted is None:
            return f"node {node_id}: {'missing here' if mine is None else 'not in the editor'}"
        for name in sorted({*mine["inputs"], *wanted["inputs"]}):
            pair = mine["inputs"].get(name, "(absent)"), wanted["inputs"].get(name, "(absent)")
            if pair[0] != pair[1]:
                return f"node {node_id} ({wanted.get('class_type')}), input {name}: {pair[0]!r}, editor {pair[1]!r}"
        if mine != wanted:
            return f"node {node_id}: {mine.get('class_type')} {mine.get('_meta')}, editor {wanted.get('_meta')}"
    return "the same values, written differently"


def test_L1_there_are_506_templates() -> None:
    assert len(DIGESTS) == 506
    assert DIGESTS.keys() <= templates().keys()


@pytest.mark.parametrize("name", DIGESTS)
def test_L1_template(name: str) -> None:
    workflow = load_workflow(templates()[name], default_catalog())
    ours = json.loads(json.dumps(emit_prompt(workflow.graph)))
    if digest(ours) != DIGESTS[name]:
        known = truth().get(name)
        hint = "DISCOMFORT_CONFORMANCE_TRUTH would show where"
        pytest.fail(first_difference(comparable(ours), comparable(known)) if known else hint)
