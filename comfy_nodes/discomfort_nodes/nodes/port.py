"""DiscomfortPort: where a workflow takes values from Python and gives them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from discomfort_nodes.nodes.anytype import ANY

UNCONNECTED = (
    "This DiscomfortPort is an INPUT port: its value comes from Python, through Discomfort.run() or "
    "discomfort.compile(). To try the workflow in ComfyUI alone, connect something to the port's input."
)
"""What a user reads who queues a workflow with an open INPUT port in ComfyUI itself."""


class DiscomfortPort:
    """A named opening of a workflow.

    Nothing connected to its input: an INPUT port, a parameter. Nothing connected to its output: an OUTPUT port, a
    result. Both: PASSTHRU. Discomfort's compiler replaces ports before a prompt is sent, so this class only runs when
    a workflow is queued from ComfyUI's own editor: there it passes on what it receives.
    """

    CATEGORY = "discomfort/utilities"
    DESCRIPTION = "An input or output of this workflow for Python: discomfort.compile() and Discomfort.run() fill it."
    RETURN_TYPES: tuple[str, ...] = (ANY,)
    RETURN_NAMES = ("output",)
    FUNCTION = "forward"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[Any, ...]]]:
        return {
            "required": {
                "unique_id": ("STRING", {"default": "", "multiline": False}),
                "tags": ("STRING", {"default": "", "multiline": False}),
            },
            "optional": {"input": (ANY,)},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, input_types: Mapping[str, str]) -> bool | str:
        """Refuse a port without input before anything runs: there is no Python here to give it a value."""
        return True if "input" in input_types else UNCONNECTED

    _missing: ClassVar[object] = object()

    def forward(self, unique_id: str, tags: str, input: object = _missing) -> tuple[object]:
        """Return the input unchanged.

        Raises:
            RuntimeError: nothing is connected to the input.
        """
        if input is self._missing:
            raise RuntimeError(f"{unique_id!r}: {UNCONNECTED}")
        return (input,)
