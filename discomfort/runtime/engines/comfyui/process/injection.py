"""Gives a server of our own the Discomfort nodes, without putting anything into its checkout."""

from __future__ import annotations

import json
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[4]


def nodes_folder() -> Path:
    """Return `comfy_nodes`: beside the package in the repository, inside it where Discomfort was installed."""
    inside = _PACKAGE / "comfy_nodes"
    return inside if inside.is_dir() else _PACKAGE.with_name("comfy_nodes")


def write_extra_paths(folder: Path) -> Path:
    """Write what `--extra-model-paths-config` reads into `folder`, and return the file."""
    file = folder / "extra_model_paths.yaml"
    injected = json.dumps(str(nodes_folder() / "inject"), ensure_ascii=False)
    # YAML reads JSON strings as they are, so any path is quoted safely.
    file.write_text(f"discomfort:\n  custom_nodes: {injected}\n", "utf-8")
    return file
