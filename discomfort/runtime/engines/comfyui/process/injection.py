"""Gives a server of our own the Discomfort nodes, without putting anything into its checkout."""

from __future__ import annotations

import json
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[4]


def our_custom_nodes() -> Path:
    """Return the folder whose entries are our custom nodes.

    It is in `comfy_nodes`, next to the package in the repository, and inside it where Discomfort was installed.
    """
    inside = _PACKAGE / "comfy_nodes"
    return (inside if inside.is_dir() else _PACKAGE.with_name("comfy_nodes")) / "inject"


def write_extra_paths(folder: Path, custom_nodes: Path) -> Path:
    """Write what `--extra-model-paths-config` reads for more `custom_nodes` into `folder`, and return the file."""
    file = folder / "extra_model_paths.yaml"
    # YAML reads JSON strings as they are, so any path is quoted safely.
    file.write_text(f"discomfort:\n  custom_nodes: {json.dumps(str(custom_nodes), ensure_ascii=False)}\n", "utf-8")
    return file
