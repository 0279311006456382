"""Real ComfyUI servers for tests marked `comfyui`: their folders, their arguments, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discomfort.runtime.engines.comfyui.process.server_config import ServerConfig
from discomfort.runtime.engines.comfyui.server_connection import Connection

FOLDERS = ("custom_nodes", "input", "output", "temp", "models/checkpoints", "user")


def real_config(checkout: Path, python: str, base: Path, *arguments: str) -> ServerConfig:
    """Return how to start the checkout on the CPU with folders of its own below `base`, which are made."""
    for folder in FOLDERS:
        (base / folder).mkdir(parents=True, exist_ok=True)
    own = ("--base-directory", str(base), "--database-url", f"sqlite:///{base / 'comfyui.db'}")
    return ServerConfig(checkout, python, ("--cpu", "--disable-api-nodes", *own, *arguments))


class Witness:
    """Every prompt that is sent to servers and every message that they send about them."""

    def __init__(self, monkeypatch: Any) -> None:
        self.classes: dict[str, dict[str, str]] = {}
        self.messages: list[tuple[str, Mapping[str, Any]]] = []
        hear, finish = Connection._hear, Connection._finish
        witness = self

        def hearing(connection: Connection, kind: str, data: Mapping[str, Any]) -> None:
            witness.messages.append((kind, data))
            hear(connection, kind, data)

        async def finishing(connection: Connection, run: Any, prompt: Any, *rest: Any) -> None:
            witness.classes[run.prompt_id] = {node: spec["class_type"] for node, spec in prompt.items()}
            await finish(connection, run, prompt, *rest)

        monkeypatch.setattr(Connection, "_hear", hearing)
        monkeypatch.setattr(Connection, "_finish", finishing)

    def executed(self) -> list[str]:
        """Return the class of every node that a server said it executes, in that order."""
        return [
            self.classes[data["prompt_id"]][data["node"]]
            for kind, data in self.messages
            if kind == "executing" and data.get("node") is not None
        ]


def write_nodes(base: Path) -> None:
    """Put the custom nodes of `_NODES` into ComfyUI's folder."""
    folder = base / "custom_nodes"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nodes_for_tests.py").write_text(_NODES)


_NODES = """
import time
from comfy.model_management import throw_exception_if_processing_interrupted
from comfy.utils import ProgressBar


class SleepForTests:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"value": ("INT", {}), "seconds": ("FLOAT", {})}})
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "tests"

    def run(self, value, seconds):
        steps = max(1, round(seconds / 0.02))
        bar = ProgressBar(steps)
        for _ in range(steps):
            throw_exception_if_processing_interrupted()
            time.sleep(seconds / steps)
            bar.update(1)
        return (value,)


class FailForTests(SleepForTests):
    INPUT_TYPES = classmethod(lambda cls: {"required": {"how": ("STRING", {})}})

    def run(self, how):
        if how == "memory":
            import torch
            raise torch.cuda.OutOfMemoryError("Allocation on device would exceed allowed memory.")
        if how == "thread":
            raise SystemExit  # ends the thread that runs prompts; the server goes on answering
        raise ValueError("it was asked to fail")


class Wildcard(str):
    __hash__ = str.__hash__

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


class DescribeForTests(SleepForTests):
    INPUT_TYPES = classmethod(lambda cls: {"required": {"value": (Wildcard("*"),)}})
    RETURN_TYPES = ("STRING",)

    def run(self, value):
        return (f"{type(value).__name__} {value!r}",)


class NothingForTests(SleepForTests):
    INPUT_TYPES = classmethod(lambda cls: {"required": {}})
    RETURN_TYPES = ("IMAGE", "MASK")

    def run(self):
        return (None, None)


NODE_CLASS_MAPPINGS = {
    "NothingForTests": NothingForTests,
    "SleepForTests": SleepForTests,
    "FailForTests": FailForTests,
    "DescribeForTests": DescribeForTests,
}
"""
