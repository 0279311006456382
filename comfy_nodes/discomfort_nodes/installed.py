"""What this ComfyUI has: its node classes as the compiler reads them, and the folders where workflows lie."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discomfort.ir.catalog.catalog import Catalog


def workflow_folders() -> list[Path]:
    """Return the folders that workflows are named below: those of the editor's users, then ComfyUI's input folder."""
    folder_paths = sys.modules["folder_paths"]
    users = Path(folder_paths.get_user_directory())
    named = [users / "default", *(sorted(users.iterdir()) if users.is_dir() else ())]
    folders = [user / "workflows" for user in dict.fromkeys(named) if not user.name.startswith("_")]
    return [*(folder for folder in folders if folder.is_dir()), Path(folder_paths.get_input_directory())]


def workflow_file(name: str) -> Path:
    """Return the file of a workflow that is named below those folders.

    Raises:
        SubWorkflowError: there is none, or the name leads elsewhere.
    """
    from discomfort.compiler.subworkflow import find_workflow_below

    return find_workflow_below(name, workflow_folders())


def installed_catalog() -> Catalog:
    """Return the node classes of this ComfyUI; each is described, its lists of files too, when it is looked up."""
    from discomfort.ir.catalog.checked import LiveCatalog

    class InstalledCatalog(LiveCatalog):
        @cached_property
        def digest(self) -> str:
            """Nothing: it would describe every class, and plans made here are never stored."""
            return ""

    return InstalledCatalog(_ObjectInfo(sys.modules["nodes"].NODE_CLASS_MAPPINGS), "this ComfyUI")


def ask_whether_changed(class_type: str, inputs: Mapping[str, Any]) -> Any:
    """Ask a node class, by either of ComfyUI's protocols, whether it changed; None where it has nothing to say."""
    node_class = sys.modules["nodes"].NODE_CLASS_MAPPINGS[class_type]
    question = getattr(node_class, "IS_CHANGED", None)
    if question is None and hasattr(node_class, "GET_NODE_INFO_V1"):
        question = sys.modules["comfy_api.internal"].first_real_override(node_class, "fingerprint_inputs")
    return None if question is None else question(**inputs)


class _ObjectInfo(Mapping[str, Mapping[str, Any]]):
    """What `/object_info` says of the classes, made class by class."""

    def __init__(self, classes: Mapping[str, Any]) -> None:
        self._classes = classes

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        from discomfort.ir.catalog.node_origin import python_module

        node_class = self._classes[name]
        describe = getattr(node_class, "GET_NODE_INFO_V1", None)
        if describe is not None:
            described: dict[str, Any] = describe()
            return {**described, "python_module": python_module(node_class)}
        types = list(node_class.RETURN_TYPES)
        names = list(getattr(node_class, "RETURN_NAMES", None) or types)
        return {
            "input": node_class.INPUT_TYPES(),
            "output": types,
            "output_name": names,
            "output_is_list": list(getattr(node_class, "OUTPUT_IS_LIST", None) or [False] * len(types)),
            "output_node": bool(getattr(node_class, "OUTPUT_NODE", False)),
            "is_input_list": bool(getattr(node_class, "INPUT_IS_LIST", False)),
            "display_name": name,
            "python_module": python_module(node_class),
        }

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)
