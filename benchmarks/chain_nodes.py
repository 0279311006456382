"""The node of the chains that engines are measured with, in both protocols; ComfyUI loads this file, too."""

from __future__ import annotations

from typing import Any


class ChainV1:
    """Adds 1."""

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "benchmarks"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("INT", {"default": 0}), "by": ("INT", {"default": 1})}}

    def run(self, value: int, by: int) -> tuple[int]:
        return (value + by,)


NODE_CLASS_MAPPINGS: dict[str, Any] = {"ChainV1": ChainV1}

try:
    from comfy_api.latest import io  # type: ignore[import-not-found,unused-ignore]
except ImportError:  # not in a ComfyUI
    pass
else:

    class ChainV3(io.ComfyNode):  # type: ignore[misc,unused-ignore]
        """The same in the V3 protocol."""

        @classmethod
        def define_schema(cls) -> Any:
            return io.Schema(
                node_id="ChainV3",
                category="benchmarks",
                inputs=[io.Int.Input("value", default=0), io.Int.Input("by", default=1)],
                outputs=[io.Int.Output()],
            )

        @classmethod
        def execute(cls, value: int, by: int) -> Any:
            return io.NodeOutput(value + by)

    NODE_CLASS_MAPPINGS["ChainV3"] = ChainV3


def chain(class_type: str, length: int, start: int) -> dict[str, dict[str, Any]]:
    """Return a prompt of `length` nodes, each fed by the one before, whose last value a saver delivers."""
    prompt: dict[str, dict[str, Any]] = {
        str(index): {
            "class_type": class_type,
            "inputs": {"value": [str(index - 1), 0] if index else start, "by": 1},
            "_meta": {"title": "a link of the chain"},
        }
        for index in range(length)
    }
    inputs = {"value": [str(length - 1), 0], "name": "end"}
    prompt["save"] = {"class_type": "DiscomfortContextSaver", "inputs": inputs}
    return prompt
