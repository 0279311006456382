"""Discomfort compiles stitched ComfyUI workflows into optimised execution plans and runs them.

Everything here is imported when first used, so that `import discomfort` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from discomfort._version import __version__

if TYPE_CHECKING:
    from discomfort.compiler import CompileOptions
    from discomfort.compiler.frontend.load import load_workflow
    from discomfort.compiler.frontend.workflow import FrontendOptions
    from discomfort.connector import ComfyConnector
    from discomfort.context.context import WorkflowContext
    from discomfort.context.errors import (
        ContextClosedError,
        ContextError,
        CorruptValueError,
        EncodingError,
        UnknownKeyError,
        UnreadableValueError,
        UnresolvableRefError,
        UnsafeDirectoryError,
        WireError,
    )
    from discomfort.context.values.opaque import OpaqueValue
    from discomfort.context.values.value_list import ValueList
    from discomfort.errors import ConfigError, DiscomfortError
    from discomfort.ir.catalog.catalog import Catalog, default_catalog
    from discomfort.ir.catalog.read import read_catalog
    from discomfort.ir.codes import Severity
    from discomfort.ir.diagnostics import CompileError, Diagnostic, MissingWorkflowError
    from discomfort.json_schemas import schema, schema_names
    from discomfort.plan import Plan, compile
    from discomfort.runtime.binding.bind import BindError
    from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
    from discomfort.runtime.engines.comfyui.server_connection import Patience
    from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
    from discomfort.runtime.engines.embedded.for_node_authors.blocker import ExecutionBlocker
    from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders, use_folders
    from discomfort.runtime.engines.inprocess.engine import InProcessEngine
    from discomfort.runtime.engines.protocol import (
        Engine,
        EngineError,
        EngineLost,
        NodeFailed,
        OutOfMemory,
        PromptInterrupted,
        PromptRejected,
    )
    from discomfort.runtime.running.executor import Reference
    from discomfort.runtime.running.progress import ProgressUpdate
    from discomfort.runtime.running.sweep import SweepError, SweepPoint
    from discomfort.session import Discomfort
    from discomfort.tools import WorkflowTools

    Context = WorkflowContext
    Tools: WorkflowTools

_NAMES_OF_MODULES = {
    "discomfort.compiler": ("CompileOptions",),
    "discomfort.compiler.frontend.load": ("load_workflow",),
    "discomfort.compiler.frontend.workflow": ("FrontendOptions",),
    "discomfort.connector": ("ComfyConnector",),
    "discomfort.context.context": ("WorkflowContext",),
    "discomfort.context.errors": (
        "ContextClosedError",
        "ContextError",
        "CorruptValueError",
        "EncodingError",
        "UnknownKeyError",
        "UnreadableValueError",
        "UnresolvableRefError",
        "UnsafeDirectoryError",
        "WireError",
    ),
    "discomfort.context.values.opaque": ("OpaqueValue",),
    "discomfort.context.values.value_list": ("ValueList",),
    "discomfort.errors": (
        "ConfigError",
        "DiscomfortError",
    ),
    "discomfort.ir.catalog.catalog": (
        "Catalog",
        "default_catalog",
    ),
    "discomfort.ir.catalog.read": ("read_catalog",),
    "discomfort.ir.diagnostics": (
        "CompileError",
        "Diagnostic",
        "MissingWorkflowError",
        "Severity",
    ),
    "discomfort.json_schemas": (
        "schema",
        "schema_names",
    ),
    "discomfort.plan": (
        "Plan",
        "compile",
    ),
    "discomfort.runtime.binding.bind": ("BindError",),
    "discomfort.runtime.engines.comfyui.server_connection": ("Patience",),
    "discomfort.runtime.engines.comfyui.engine": ("ComfyUIEngine",),
    "discomfort.runtime.engines.embedded.engine": ("EmbeddedEngine",),
    "discomfort.runtime.engines.embedded.for_node_authors.blocker": ("ExecutionBlocker",),
    "discomfort.runtime.engines.embedded.for_node_authors.folders": (
        "Folders",
        "use_folders",
    ),
    "discomfort.runtime.engines.inprocess.engine": ("InProcessEngine",),
    "discomfort.runtime.engines.protocol": (
        "Engine",
        "EngineError",
        "EngineLost",
        "NodeFailed",
        "OutOfMemory",
        "PromptInterrupted",
        "PromptRejected",
    ),
    "discomfort.runtime.running.executor": ("Reference",),
    "discomfort.runtime.running.progress": ("ProgressUpdate",),
    "discomfort.runtime.running.sweep": (
        "SweepError",
        "SweepPoint",
    ),
    "discomfort.session": ("Discomfort",),
    "discomfort.tools": ("WorkflowTools",),
}
_HOMES = {name: module for module, names in _NAMES_OF_MODULES.items() for name in names}

__all__ = [
    "BindError",
    "Catalog",
    "ComfyConnector",
    "ComfyUIEngine",
    "CompileError",
    "CompileOptions",
    "ConfigError",
    "Context",
    "ContextClosedError",
    "ContextError",
    "CorruptValueError",
    "Diagnostic",
    "Discomfort",
    "DiscomfortError",
    "EmbeddedEngine",
    "EncodingError",
    "Engine",
    "EngineError",
    "EngineLost",
    "ExecutionBlocker",
    "Folders",
    "FrontendOptions",
    "InProcessEngine",
    "MissingWorkflowError",
    "NodeFailed",
    "OpaqueValue",
    "OutOfMemory",
    "Patience",
    "Plan",
    "ProgressUpdate",
    "PromptInterrupted",
    "PromptRejected",
    "Reference",
    "Severity",
    "SweepError",
    "SweepPoint",
    "Tools",
    "UnknownKeyError",
    "UnreadableValueError",
    "UnresolvableRefError",
    "UnsafeDirectoryError",
    "ValueList",
    "WireError",
    "WorkflowContext",
    "WorkflowTools",
    "__version__",
    "compile",
    "default_catalog",
    "load_workflow",
    "read_catalog",
    "schema",
    "schema_names",
    "use_folders",
]


def __getattr__(name: str) -> Any:
    if name == "Tools":
        value: Any = __getattr__("WorkflowTools")()
    elif name == "Context":
        value = __getattr__("WorkflowContext")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'discomfort' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
