"""Where a node class of a ComfyUI comes from: as `python_module` of `/object_info` says, but certain."""

from __future__ import annotations

from typing import Any


def python_module(node_class: Any) -> str:
    """Return "nodes" or "comfy_extras.…" for ComfyUI's own classes, and another module's name for all others.

    ComfyUI notes the module on the classes that it loads. A class without a note of its own (one derived from ComfyUI's
    has inherited that) counts as ComfyUI's only where it was written in its module `nodes`.
    """
    noted = vars(node_class).get("RELATIVE_PYTHON_MODULE") if isinstance(node_class, type) else None
    if isinstance(noted, str):
        return noted
    return "nodes" if getattr(node_class, "__module__", None) == "nodes" else "custom_nodes"
