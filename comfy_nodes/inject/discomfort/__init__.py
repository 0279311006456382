"""Brings the Discomfort nodes into a ComfyUI that knows nothing of them.

A managed server gets the folder above this one as an extra `custom_nodes` folder. Only the packages `comfy_nodes` and
`discomfort` become importable, not the folder they lie in: that may be another interpreter's site-packages, whose
numpy and torch must not shadow ComfyUI's own.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_HOUSE = Path(__file__).resolve().parents[3]


def _bring_in(package: str) -> None:
    """Make `package`, a folder beside `comfy_nodes`, importable under its own name, unless it is already."""
    if package in sys.modules:
        return
    folder = _HOUSE / package
    spec = importlib.util.spec_from_file_location(
        package, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package {package} in {_HOUSE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[package]
        raise


_bring_in("discomfort")
_bring_in("comfy_nodes")

from comfy_nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS  # noqa: E402  (needs _bring_in first)

WEB_DIRECTORY = str(_HOUSE / "comfy_nodes" / "web")

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
