"""Node classes that users register: a mapping, a Python file, a package, or a folder of those."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discomfort.runtime.engines.protocol import EngineError

logger: logging.Logger = logging.getLogger("discomfort")

_REQUIRED = ("INPUT_TYPES", "RETURN_TYPES", "FUNCTION")


def load_classes(path: Path) -> dict[str, Any]:
    """Return the NODE_CLASS_MAPPINGS of a Python file, a package, or every file and package in a folder.

    In a folder of several, one that cannot be imported is reported in the log and left out, as ComfyUI does.

    Raises:
        EngineError: there is nothing there, it cannot be imported, or it has no NODE_CLASS_MAPPINGS.
    """
    if path.is_file() or (path / "__init__.py").is_file():
        return _load_module(path)
    if not path.is_dir():
        raise EngineError(f"there are no custom nodes at {path}")
    classes: dict[str, Any] = {}
    found = 0
    for entry in sorted(path.iterdir()):
        if entry.suffix != ".py" and not (entry / "__init__.py").is_file():
            continue
        found += 1
        try:
            classes |= _load_module(entry)
        except EngineError as error:
            logger.warning("%s", error)
    if not found:
        raise EngineError(f"{path} holds neither Python files nor packages")
    return classes


def check_classes(classes: Mapping[str, Any]) -> None:
    """Refuse what is not a node class.

    Raises:
        EngineError: naming every class and what it lacks.
    """
    wrong = [
        f"{name} has no {' and no '.join(lacks)}"
        for name, node_class in classes.items()
        if (lacks := [attribute for attribute in _REQUIRED if not hasattr(node_class, attribute)])
    ]
    if wrong:
        raise EngineError(f"these are not node classes: {'; '.join(wrong)}")


def _load_module(path: Path) -> dict[str, Any]:
    """Import a file or package under a name of its own, so that its relative imports work."""
    path = path.resolve()
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"discomfort_custom_nodes_{path.stem.replace('-', '_').replace('.', '_')}_{digest}"
    is_package = path.is_dir()
    source = path / "__init__.py" if is_package else path
    spec = importlib.util.spec_from_file_location(
        name, source, submodule_search_locations=[str(path)] if is_package else None
    )
    if spec is None or spec.loader is None:
        raise EngineError(f"{source} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise EngineError(f"custom nodes {path} cannot be imported: {type(error).__name__}: {error}") from error
    mappings = getattr(module, "NODE_CLASS_MAPPINGS", None)
    if not isinstance(mappings, Mapping):
        raise EngineError(f"custom nodes {path} have no NODE_CLASS_MAPPINGS")
    return dict(mappings)
