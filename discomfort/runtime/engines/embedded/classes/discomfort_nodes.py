"""Discomfort's own nodes on this scheduler: values come in by digest and go out by name, live, without a copy, and a
workflow file runs as one node.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from discomfort.compiler.subworkflow import (
    compile_subworkflow,
    content_digest,
    expand_subworkflow,
    find_workflow,
    input_problems,
    refuse_recursion,
)
from discomfort.context.values.value_list import ValueList
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.catalog.effects import RUNNER_CLASS
from discomfort.runtime.engines.embedded.for_node_authors.folders import current_folders
from discomfort.runtime.engines.embedded.for_node_authors.node_api import context_value, current
from discomfort.runtime.engines.protocol import LOADER_CLASS, SAVER_CLASS
from discomfort.server_access.protocol import RUNNER_OUTPUTS

Answer = TypeVar("Answer")


def _weakly(method: Callable[[], Answer]) -> Callable[[], Answer]:
    """Return a function, fit for the body of a class, that calls a bound method without keeping its object."""
    reference = weakref.WeakMethod(method)

    def ask() -> Answer:
        known = reference()
        assert known is not None, "an engine outlives the runs of its classes"
        return known()

    return staticmethod(ask)


class ContextLoader:
    """Gives the value with a content digest from the context of the run; a list of values as several."""

    CATEGORY = "discomfort/internal"
    RETURN_TYPES = ("*",)
    RETURN_NAMES = ("value",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "load"
    KEEP_RESULTS = False  # a kept value would keep the context's memory in use after its shutdown

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[Any, ...]]]:  # noqa: N802
        """Return the inputs, as the V1 protocol wants them."""
        return {"required": {"digest": ("STRING", {}), "value_type": ("STRING", {"default": "*"})}}

    def load(self, digest: str, value_type: str) -> tuple[list[Any]]:
        """Return the value, as a node does whose output is a list."""
        value = context_value(digest)
        return (value if isinstance(value, ValueList) else [value],)


class ContextSaver:
    """Hands a value over under a name: several values of a list as a list, one alone as itself. Runs every time."""

    CATEGORY = "discomfort/internal"
    RETURN_TYPES = ()
    FUNCTION = "save"
    OUTPUT_NODE = True
    INPUT_IS_LIST = True
    NEVER_CACHED = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[Any, ...]]]:  # noqa: N802
        """Return the inputs, as the V1 protocol wants them."""
        return {"required": {"value": ("*",), "name": ("STRING", {})}}

    def save(self, value: list[Any], name: list[str]) -> tuple[()]:
        """Deliver the value."""
        running = current.get()
        run = None if running is None else running.run
        assert run is not None, "the scheduler runs this"
        run.deliver(name[0], value[0] if len(value) == 1 else ValueList(value))
        return ()


class PortInputs(dict[str, tuple[Any, ...]]):
    """Optional inputs of any name: each is handed over as the link that it is, and followed where the graph does."""

    def __contains__(self, name: object) -> bool:
        return name != "workflow"

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return ("*", {"rawLink": True, "lazy": True})


class TestRunner:
    """Runs a workflow file as one node, by expansion; an engine makes its own class, with `catalog` and `classes`."""

    CATEGORY = "discomfort/testing"
    RETURN_TYPES = ("*",) * RUNNER_OUTPUTS
    FUNCTION = "expand"
    OUTPUT_NODE = True

    @staticmethod
    def catalog() -> Catalog:
        """Return the node classes of the engine whose class this is."""
        raise NotImplementedError("an engine makes its own class; see native_classes")

    @staticmethod
    def classes() -> Mapping[str, Any]:
        """Return the classes themselves, by name."""
        raise NotImplementedError("an engine makes its own class; see native_classes")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Mapping[str, Any]]:  # noqa: N802
        """Return the inputs, as the V1 protocol wants them."""
        return {
            "required": {"workflow": ("STRING", {"default": ""})},
            "optional": PortInputs(),
            "hidden": {"unique_id": "UNIQUE_ID", "dynprompt": "DYNPROMPT"},
        }

    @classmethod
    def VALIDATE_INPUTS(  # noqa: N802
        cls, workflow: str, input_types: Mapping[str, str], **given: Any
    ) -> bool | str:
        """Say what is wrong with the workflow, and which ports lack something."""
        plan = compile_subworkflow(_workflow_file(workflow), cls.catalog())
        ports = {name: value for name, value in given.items() if name not in ("unique_id", "dynprompt")}
        return "; ".join(input_problems(plan, ports, input_types)) or True

    @classmethod
    def IS_CHANGED(  # noqa: N802
        cls, workflow: str, unique_id: str | None = None, dynprompt: Any = None, **given: Any
    ) -> str | float:
        """Answer with a digest of what the workflow's result depends on besides its ports."""
        path, catalog = _workflow_file(workflow), cls.catalog()
        return content_digest(path, compile_subworkflow(path, catalog), catalog, given, ask=cls._ask)

    @classmethod
    def _ask(cls, class_type: str, inputs: Mapping[str, Any]) -> Any:
        question = getattr(cls.classes()[class_type], "IS_CHANGED", None)
        return None if question is None else question(**inputs)

    def expand(self, workflow: str, unique_id: str, dynprompt: Any, **given: Any) -> dict[str, Any]:
        """Return the graph to run in this node's place."""
        refuse_recursion(workflow, unique_id, dynprompt, _workflow_file)
        catalog = type(self).catalog()
        return expand_subworkflow(
            compile_subworkflow(_workflow_file(workflow), catalog), catalog, given, f"{unique_id}."
        )


def _workflow_file(name: str) -> Path:
    return find_workflow(name, [current_folders().input, Path.cwd()])


def native_classes(catalog: Callable[[], Catalog], classes: Callable[[], Mapping[str, Any]]) -> dict[str, type]:
    """Return our classes for an engine, whose catalog and whose classes its methods `catalog` and `classes` give.

    They are referred to weakly: a class leads to itself, and would keep an engine with all its results.
    """
    asked = {"catalog": _weakly(catalog), "classes": _weakly(classes)}
    runner = type("TestRunner", (TestRunner,), asked)
    return {LOADER_CLASS: ContextLoader, SAVER_CLASS: ContextSaver, RUNNER_CLASS: runner}
