"""Discomfort compiles stitched ComfyUI workflows into optimised execution plans and runs them.

Everything here is imported when first used, so that `import discomfort` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from discomfort._version import __version__

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext as Context
    from discomfort.context.errors import UnreadableValueError
    from discomfort.context.values.opaque import OpaqueValue
    from discomfort.context.values.value_list import ValueList
    from discomfort.errors import ConfigError, DiscomfortError
    from discomfort.ir.diagnostics import CompileError, Diagnostic
    from discomfort.json_schemas import schema, schema_names
    from discomfort.plan import Plan, compile
    from discomfort.runtime.binding.bind import BindError
    from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
    from discomfort.runtime.engines.protocol import EngineError, EngineLost, NodeFailed, PromptRejected
    from discomfort.runtime.running.sweep import SweepError
    from discomfort.session import Discomfort
    from discomfort.tools import WorkflowTools

    Tools: WorkflowTools

_HOMES = {
    "BindError": "discomfort.runtime.binding.bind",
    "CompileError": "discomfort.ir.diagnostics",
    "ConfigError": "discomfort.errors",
    "Context": "discomfort.context.context:WorkflowContext",
    "Diagnostic": "discomfort.ir.diagnostics",
    "Discomfort": "discomfort.session",
    "DiscomfortError": "discomfort.errors",
    "EmbeddedEngine": "discomfort.runtime.engines.embedded.engine",
    "EngineError": "discomfort.runtime.engines.protocol",
    "EngineLost": "discomfort.runtime.engines.protocol",
    "NodeFailed": "discomfort.runtime.engines.protocol",
    "OpaqueValue": "discomfort.context.values.opaque",
    "Plan": "discomfort.plan",
    "PromptRejected": "discomfort.runtime.engines.protocol",
    "SweepError": "discomfort.runtime.running.sweep",
    "UnreadableValueError": "discomfort.context.errors",
    "ValueList": "discomfort.context.values.value_list",
    "compile": "discomfort.plan",
    "schema": "discomfort.json_schemas",
    "schema_names": "discomfort.json_schemas",
}

__all__ = [
    "BindError",
    "CompileError",
    "ConfigError",
    "Context",
    "Diagnostic",
    "Discomfort",
    "DiscomfortError",
    "EmbeddedEngine",
    "EngineError",
    "EngineLost",
    "NodeFailed",
    "OpaqueValue",
    "Plan",
    "PromptRejected",
    "SweepError",
    "Tools",
    "UnreadableValueError",
    "ValueList",
    "__version__",
    "compile",
    "schema",
    "schema_names",
]


def __getattr__(name: str) -> Any:
    if name == "Tools":
        from discomfort.tools import WorkflowTools

        value: Any = WorkflowTools()
    elif name in _HOMES:
        module, _, attribute = _HOMES[name].partition(":")
        value = getattr(importlib.import_module(module), attribute or name)
    else:
        raise AttributeError(f"module 'discomfort' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
