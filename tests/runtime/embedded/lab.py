"""What the tests of the embedded engine share: node classes made from functions, and a way to run a prompt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.protocol import Listener, NodePlace, PromptRequest, PromptResult

Prompt = dict[str, dict[str, Any]]

NUMBER = ("INT", {"default": 0})
ANYTHING = ("*",)


def node_class(
    function: Callable[..., Any],
    required: Mapping[str, Any] | None = None,
    optional: Mapping[str, Any] | None = None,
    hidden: Mapping[str, Any] | None = None,
    returns: tuple[Any, ...] = ("*",),
    **extras: Any,
) -> type:
    """Return a class of the V1 protocol whose FUNCTION is `function`; functions in `extras` become static methods."""
    declared = {"required": dict(required or {}), "optional": dict(optional or {}), "hidden": dict(hidden or {})}
    attributes: dict[str, Any] = {
        "INPUT_TYPES": classmethod(lambda cls: declared),
        "RETURN_TYPES": returns,
        "FUNCTION": "run",
        "CATEGORY": "tests",
        "run": staticmethod(function),
    }
    attributes |= {key: staticmethod(value) if callable(value) else value for key, value in extras.items()}
    return type(getattr(function, "__name__", "Node"), (), attributes)


class Lab:
    """An engine with a few classes of its own, what ran in it, and a context."""

    def __init__(self, engine: EmbeddedEngine, context: WorkflowContext) -> None:
        self.engine = engine
        self.context = context
        self.calls: list[str] = []
        self.seen: list[Any] = []
        engine.register(
            {
                "Number": node_class(
                    self._counting("Number", lambda value: (value,)), {"value": NUMBER}, returns=("INT",)
                ),
                "Add": node_class(
                    self._counting("Add", lambda a, b: (a + b,)), {"a": NUMBER, "b": NUMBER}, returns=("INT",)
                ),
                "List": node_class(
                    self._counting("List", lambda count: (list(range(count)),)),
                    {"count": NUMBER},
                    returns=("INT",),
                    OUTPUT_IS_LIST=(True,),
                ),
                "Show": node_class(
                    self._counting("Show", lambda value: {"ui": {"shown": [value]}}),
                    {"value": ANYTHING},
                    returns=(),
                    OUTPUT_NODE=True,
                ),
            }
        )

    def add(self, name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Register the class `name`; its calls are counted."""
        counted = function if asyncio.iscoroutinefunction(function) else self._counting(name, function)
        self.engine.register({name: node_class(counted, *arguments, **options)})

    def run(
        self,
        prompt: Prompt,
        outputs: Mapping[str, str] | None = None,
        listener: Listener | None = None,
        places: Mapping[str, NodePlace] | None = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> PromptResult:
        """Run a prompt in an event loop of its own."""
        return asyncio.run(self.engine.run(self.request(prompt, outputs, places, extra_pnginfo), listener))

    def request(
        self,
        prompt: Prompt,
        outputs: Mapping[str, str] | None = None,
        places: Mapping[str, NodePlace] | None = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> PromptRequest:
        return PromptRequest(prompt, outputs or {}, self.context, places or {}, extra_pnginfo=extra_pnginfo or {})

    def shown(self, prompt: Prompt) -> list[Any]:
        """Run a prompt whose node `out` is a Show, and return what that showed."""
        return list(self.run(prompt).ui["out"]["shown"])

    def _counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(**inputs: Any) -> Any:
            self.calls.append(name)
            return function(**inputs)

        return run


def prompt(**nodes: tuple[str, dict[str, Any]]) -> Prompt:
    """Return an API prompt; names are node ids."""
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def show(source: str, slot: int = 0) -> tuple[str, dict[str, Any]]:
    """Return a Show of an output."""
    return "Show", {"value": [source, slot]}
