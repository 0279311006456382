"""Nodes that both sides of the fuzz register: one gives the values of a case, one collects what arrives."""

from __future__ import annotations

from typing import Any

VALUES: dict[str, list[Any]] = {}
"""What `FuzzValue` gives, by name; one value after the other, as ComfyUI's lists arrive."""
COLLECTED: list[list[Any]] = []
"""What `FuzzCollect` received: for each output of the node, the list of its values."""
MOST_OUTPUTS = 8


class AnyType(str):
    """A type name that equals every other one."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


ANY = AnyType("*")


class FuzzValue:
    """Gives the values that a case has under a name."""

    RETURN_TYPES = (ANY,)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "execute"
    CATEGORY = "discomfort/fuzz"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": ("STRING", {"default": ""})}}

    def execute(self, name: str) -> tuple[list[Any]]:
        return (VALUES[name],)


class FuzzCollect:
    """Keeps the lists of values that arrive at `out0`, `out1` …"""

    RETURN_TYPES = ()
    FUNCTION = "execute"
    CATEGORY = "discomfort/fuzz"
    OUTPUT_NODE = True
    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}, "optional": {f"out{slot}": (ANY,) for slot in range(MOST_OUTPUTS)}}

    def execute(self, **values: list[Any]) -> dict[str, Any]:
        COLLECTED[:] = [values[f"out{slot}"] for slot in range(len(values))]
        return {"ui": {}, "result": ()}


CLASSES: dict[str, Any] = {"FuzzValue": FuzzValue, "FuzzCollect": FuzzCollect}
