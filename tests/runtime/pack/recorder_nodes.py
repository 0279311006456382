"""Nodes that a real ComfyUI loads while goldens are recorded: one hands out fixtures, one writes down what it is given.

`record.py` links this file into the custom_nodes folder of the ComfyUI it records from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

EXCHANGE = Path(__file__).parent.parent / "exchange"


class AnyType(str):
    """A type name that equals every other one."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


ANY = AnyType("*")


class GoldenFixture:
    """Hand out one or several named values of exchange/fixtures.pt; several arrive one by one, as a list does."""

    RETURN_TYPES = (ANY,)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "execute"
    CATEGORY = "discomfort/golden"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"names": ("STRING", {"default": ""})}}

    def execute(self, names: str) -> tuple[list[Any]]:
        values = torch.load(EXCHANGE / "fixtures.pt", weights_only=True)
        return ([values[name] for name in names.split(",")],)


class GoldenDump:
    """Write the lists of values that arrive at slots out0, out1, … to exchange/<name>.pt."""

    RETURN_TYPES = ()
    FUNCTION = "execute"
    CATEGORY = "discomfort/golden"
    OUTPUT_NODE = True
    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        slots = {f"out{slot}": (ANY,) for slot in range(8)}
        return {"required": {"name": ("STRING", {"default": ""})}, "optional": slots}

    def execute(self, name: list[str], **values: list[Any]) -> dict[str, Any]:
        outputs = [values[f"out{slot}"] for slot in range(len(values))]
        torch.save(outputs, EXCHANGE / f"{name[0]}.pt")
        return {"ui": {}, "result": ()}


NODE_CLASS_MAPPINGS = {"GoldenFixture": GoldenFixture, "GoldenDump": GoldenDump}
