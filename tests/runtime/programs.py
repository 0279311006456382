"""Small workflows and node classes for tests of whole runs."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from discomfort.runtime.engines.embedded.engine import EmbeddedEngine


class Calls:
    """Counts how often each node class ran."""

    made: ClassVar[list[str]] = []

    @classmethod
    def note(cls, name: str) -> None:
        cls.made.append(name)


class Add:
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "tests"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        number = ("INT", {"default": 0, "min": -1000, "max": 1000})
        return {"required": {"a": number, "b": number}}

    def run(self, a: int, b: int) -> tuple[int]:
        Calls.note("Add")
        return (a + b,)


class Paint:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "tests"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"level": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 1.0}), "size": ("INT", {"default": 4})}
        }

    def run(self, level: float, size: int) -> tuple[torch.Tensor]:
        Calls.note("Paint")
        return (torch.full((1, size, size, 3), float(level)),)


class Invert:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "tests"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",)}}

    def run(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        Calls.note("Invert")
        return (1.0 - image,)


class Brush:
    """A stand-in for a model: an object that no value store should ever hold."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        raise TypeError("a brush is never pickled")


class LoadBrush:
    RETURN_TYPES = ("MODEL",)
    FUNCTION = "run"
    CATEGORY = "tests"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": ("STRING", {"default": "fine"})}}

    def run(self, name: str) -> tuple[Brush]:
        Calls.note("LoadBrush")
        return (Brush(name),)


class Stroke:
    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    CATEGORY = "tests"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"brush": ("MODEL",), "word": ("STRING", {"default": ""})}}

    def run(self, brush: Brush, word: str) -> tuple[str]:
        Calls.note("Stroke")
        if word == "break":
            raise ValueError("the brush broke")
        return (f"{word} with a {brush.name} brush",)


class Post:
    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "tests"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"text": ("STRING", {"forceInput": True})}}

    def run(self, text: str) -> dict[str, Any]:
        Calls.note("Post")
        return {"ui": {"text": [text]}}


CLASSES = {cls.__name__: cls for cls in (Add, Paint, Invert, LoadBrush, Stroke, Post)}


def engine() -> EmbeddedEngine:
    """Return an embedded engine that knows the classes above, with nothing cached and no calls counted."""
    made = EmbeddedEngine()
    made.register(CLASSES)
    Calls.made.clear()
    return made


def workflow(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return an API prompt; names are node ids without their leading `n`."""
    return {
        name.removeprefix("n"): {"class_type": class_type, "inputs": inputs, "_meta": {"title": f"my {class_type}"}}
        for name, (class_type, inputs) in nodes.items()
    }


def reads(name: str) -> tuple[str, dict[str, Any]]:
    """Return an INPUT port."""
    return "DiscomfortPort", {"unique_id": name, "tags": ""}


def writes(name: str, source: list[Any]) -> tuple[str, dict[str, Any]]:
    """Return an OUTPUT port fed by `source`."""
    return "DiscomfortPort", {"unique_id": name, "tags": "", "input": source}
