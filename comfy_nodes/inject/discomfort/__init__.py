"""Adds the Discomfort nodes to a ComfyUI: to a managed server, and where the repository is a custom node.

A managed server gets the folder above this one as an extra `custom_nodes` folder; the `__init__.py` of a clone in
`custom_nodes` loads this file by its path. The two packages that it needs become importable under names of our own,
`discomfort` and `discomfort_nodes`, and the folders they lie in do not: `comfy_nodes`, `tests` or `docs` there would
hide those of other packs, and where Discomfort is installed as a package, numpy and torch next to it would hide
ComfyUI's own.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_COMFY_NODES = Path(__file__).resolve().parents[2]


def _library_folder() -> Path:
    """Return the folder of the package `discomfort`: next to `comfy_nodes` in the repository, around it in a wheel."""
    around = _COMFY_NODES.parent
    return around if (around / "_version.py").is_file() else around / "discomfort"


def _make_importable(package: str, folder: Path) -> None:
    """Import the package in `folder` as `package`, unless there is one of that name already."""
    if package in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        package, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {package} from {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[package]
        raise


_make_importable("discomfort", _library_folder())
_make_importable("discomfort_nodes", _COMFY_NODES / "discomfort_nodes")

from discomfort_nodes import (  # noqa: E402  (importable from here on)
    NODE_CLASS_MAPPINGS,
    NODE_DISPLAY_NAME_MAPPINGS,
)

WEB_DIRECTORY = str(_COMFY_NODES / "discomfort_nodes" / "web")

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
