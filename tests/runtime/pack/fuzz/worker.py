"""Runs cases through a real ComfyUI: its validation, its executor, its nodes; started by `real.py` in ComfyUI's Python.

    python worker.py CHECKOUT BASE

Each line on standard input names a file of cases (`torch.save`); what came of them is written next to it, as `.out`,
and the line is answered with `done`. Imports nothing but ComfyUI, torch and `fuzz_nodes`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import shutil
import sys
from pathlib import Path
from typing import Any

Case = dict[str, Any]


class Server:
    """A listener of the executor that does nothing."""

    client_id: str | None = None
    last_node_id: str | None = None
    last_prompt_id: str | None = None

    def send_sync(self, *message: Any, **options: Any) -> None:
        """Take a message for the browser."""


class Executor:
    """ComfyUI's own executor with its built-in nodes and ours."""

    def __init__(self, checkout: Path, base: Path) -> None:
        self.base = base
        nodes_of_ours = importlib.import_module("fuzz_nodes")
        self.values: dict[str, list[Any]] = nodes_of_ours.VALUES
        self.collected: list[list[Any]] = nodes_of_ours.COLLECTED
        here = str(Path(__file__).parent)
        sys.path[:] = [str(checkout), *(entry for entry in sys.path if Path(entry or ".").resolve() != Path(here))]
        sys.argv = ["main.py", "--cpu", "--disable-all-custom-nodes", "--base-directory", str(base)]
        importlib.import_module("comfy.options").enable_args_parsing()
        importlib.import_module("utils.install_util")  # before one of their folders gives another `utils`
        self.execution = importlib.import_module("execution")
        nodes = importlib.import_module("nodes")
        self.loop = asyncio.new_event_loop()
        server = importlib.import_module("server").PromptServer(self.loop)
        server.send_sync = Server().send_sync
        self.loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
        self.classes: dict[str, Any] = nodes.NODE_CLASS_MAPPINGS
        self.classes.update(nodes_of_ours.CLASSES)

    def run(self, case: Case) -> dict[str, Any]:
        """Run one case and return its outputs, `ui` answer and files, or why there are none."""
        prompt = case["prompt"]
        missing = sorted({node["class_type"] for node in prompt.values()} - self.classes.keys())
        if missing:
            return {"missing": missing}
        prepare(self.base, case["files"])
        self.values.clear()
        self.values.update(case["values"])
        self.collected.clear()
        valid, error, outputs, node_errors = self.loop.run_until_complete(
            self.execution.validate_prompt("fuzz", prompt, None)
        )
        if not valid or node_errors:
            return {"rejected": str(node_errors or error)}
        executor = self._executor()
        executor.execute(prompt, "fuzz", {"extra_pnginfo": case["extra_pnginfo"]}, outputs)
        for kind, message in executor.status_messages:
            if kind == "execution_error":
                return {
                    "raised": message["exception_type"],
                    "message": message["exception_message"],
                    "node": message["node_id"],
                }
        shown = executor.history_result["outputs"].get("node")
        return {"outputs": list(self.collected), "ui": shown, "files": written(self.base, case["files"])}

    def _executor(self) -> Any:
        kind = self.execution.PromptExecutor
        if "cache_args" in inspect.signature(kind).parameters:
            arguments = {"cache_args": {"lru": 0, "ram": 0.0, "ram_inactive": 0.0}}
        else:
            arguments = {}
        return kind(Server(), cache_type=self.execution.CacheType.CLASSIC, **arguments)


def prepare(base: Path, files: dict[str, bytes]) -> None:
    """Empty the folders that nodes read and write, and put a case's files there."""
    for folder in ("input", "output", "temp"):
        shutil.rmtree(base / folder, ignore_errors=True)
        (base / folder).mkdir(parents=True)
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def written(base: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files below `base` that a case wrote or changed."""
    found = {}
    for folder in ("input", "output", "temp"):
        for path in sorted((base / folder).rglob("*")):
            name = path.relative_to(base).as_posix()
            if path.is_file() and files.get(name) != path.read_bytes():
                found[name] = path.read_bytes()
    return found


def portable(value: Any) -> Any:
    """Return a value that another process can read: objects of other classes become one word."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if type(value) in (int, float, str, bool, bytes, type(None)):
        return value
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(portable(item) for item in value)
    return "<object>"


def main() -> None:
    import torch

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what nodes print must not look like an answer
    checkout, base = (Path(argument).resolve() for argument in sys.argv[1:3])
    executor = Executor(checkout, base)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        path = line.rstrip("\n")
        cases = torch.load(path, weights_only=False)
        torch.save([portable(executor.run(case)) for case in cases], f"{path}.out")
        print("done", file=answers, flush=True)


if __name__ == "__main__":
    main()
