"""The nodes that the binder puts into prompts: values come in by digest and go out by name, live, without a copy."""

from __future__ import annotations

from typing import Any

from discomfort.runtime.engine import LOADER_CLASS, SAVER_CLASS
from discomfort.runtime.engines.embedded.hooks import context_value, current


class ContextLoader:
    """Gives the value with a content digest from the context of the run."""

    CATEGORY = "discomfort/internal"
    RETURN_TYPES = ("*",)
    RETURN_NAMES = ("value",)
    FUNCTION = "load"
    KEEP_RESULTS = False  # a kept value would keep the context's memory in use after its shutdown

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[Any, ...]]]:  # noqa: N802
        """Return the inputs, as the V1 protocol wants them."""
        return {"required": {"digest": ("STRING", {}), "value_type": ("STRING", {"default": "*"})}}

    def load(self, digest: str, value_type: str) -> tuple[Any]:
        """Return the value."""
        return (context_value(digest),)


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
        assert running is not None, "the scheduler runs this"
        running.run.deliver(name[0], value[0] if len(value) == 1 else value)
        return ()


NODE_CLASS_MAPPINGS: dict[str, type] = {LOADER_CLASS: ContextLoader, SAVER_CLASS: ContextSaver}
