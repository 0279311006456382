"""A custom node that ComfyUI loads for the tests of our nodes: it shows how often it ran."""

from __future__ import annotations

from typing import Any, ClassVar


class Counted:
    """Hands an image on; `runs` counts how often, by name, for CountsShown."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "tests"
    runs: ClassVar[dict[str, int]] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "name": ("STRING", {"default": ""})}}

    def run(self, image: Any, name: str) -> tuple[Any]:
        self.runs[name] = self.runs.get(name, 0) + 1
        return (image,)


class CountsShown:
    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "tests"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    @classmethod
    def IS_CHANGED(cls) -> float:
        return float("nan")

    def run(self) -> dict[str, Any]:
        return {"ui": {"runs": [dict(Counted.runs)]}}


NODE_CLASS_MAPPINGS = {"Counted": Counted, "CountsShown": CountsShown}
