"""The protocol double with ComfyUI's whole behaviour: its prompts run on the embedded scheduler.

What the double itself runs is enough for tests of the client. Here the server also maps lists, expands nodes and
follows lazy inputs, so that the behaviour suite shows what the protocol makes of them.
"""

# ruff: noqa: E402 (the path comes first)

from __future__ import annotations

import asyncio
import sys
import types
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "comfyui"), str(Path(__file__).parents[3])]
import double  # type: ignore[import-not-found]

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.embedded import pack
from discomfort.runtime.engines.embedded.classes.registration import load_classes
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.protocol import (
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeStarted,
    PromptRejected,
    PromptRequest,
)

CORE = ("EmptyImage", "ImageInvert", "PrimitiveInt", "PrimitiveFloat", "PrimitiveBoolean", "PrimitiveString")
"""Those of ComfyUI's own classes that the server has."""


class Engine(EmbeddedEngine):
    """Runs the nodes that a server has: our own are those of `comfy_nodes`."""

    def _load(self) -> None:
        self._pack = pack
        self._classes = {"EmptyImage": pack.NODE_CLASS_MAPPINGS["EmptyImage"], **self._registered}


class Worker(double.Worker):  # type: ignore[misc]
    """Runs prompts one after another on the embedded scheduler."""

    def __init__(self, server: Any, classes: dict[str, Any]) -> None:
        classes = {name: made for name, made in classes.items() if made.__module__ != "double_nodes"}
        custom = double.double_nodes.BASE / "custom_nodes" / "behaviour_nodes.py"
        classes |= load_classes(custom)
        classes |= {name: pack.NODE_CLASS_MAPPINGS[name] for name in CORE}
        super().__init__(server, classes)
        self._install_nodes(double.double_nodes.BASE)
        self.engine = Engine(max_cache_gb=0.001)  # a server's cache keeps what its last prompts used
        self.engine.register(classes)

    def _install_nodes(self, base: Path) -> None:
        """Leave the modules by which nodes find ComfyUI's classes and folders."""
        for name, content in {
            "nodes": {"NODE_CLASS_MAPPINGS": self.classes},
            "folder_paths": {
                "get_user_directory": lambda: str(base / "user"),
                "get_input_directory": lambda: str(base / "input"),
            },
        }.items():
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(content)

    def execute(self, prompt_id: str, prompt: dict[str, Any], outputs: list[str]) -> tuple[list[Any], Any, str]:
        with double.executing(prompt_id, ""):
            return asyncio.run(self._execute(prompt_id, {node: prompt[node] for node in self.order(prompt, outputs)}))

    async def _execute(self, prompt_id: str, prompt: dict[str, Any]) -> tuple[list[Any], Any, str]:
        messages: list[Any] = []

        def send(kind: str, note: bool = True, **data: Any) -> None:
            data["prompt_id"] = prompt_id
            if note:
                messages.append([kind, data])
            self.server.send_sync(kind, data, self.server.client_id)

        send("execution_start")
        with WorkflowContext(max_ram_gb=0.01) as unused:
            running = asyncio.ensure_future(
                self.engine.run(PromptRequest(prompt, {}, unused), lambda event: pass_on(event, send))
            )
            while not running.done():
                if self.server.prompt_queue.interrupted:
                    running.cancel()
                await asyncio.wait([running], timeout=0.02)
            await asyncio.wait([running])
        try:
            result = await running
        except asyncio.CancelledError:
            send("execution_interrupted", node_id="", node_type="", executed=[])
            return messages, {}, "error"
        except NodeFailed as error:
            what: dict[str, Any] = {"exception_type": error.exception_type, "traceback": [error.trace]}
            what["exception_message"] = f"{error.exception_message}\n"
            send("execution_error", node_id=error.node, node_type="", executed=[], **what)
            return messages, {}, "error"
        except PromptRejected as error:
            text = f"the double runs what it should have refused: {error}"
            send("execution_error", node_id="", node_type="", executed=[], exception_type="", exception_message=text)
            return messages, {}, "error"
        for name, shown in result.ui.items():
            send("executed", note=False, node=name, display_node=name, output=shown)
        send("execution_success")
        return messages, dict(result.ui), "success"


def pass_on(event: Any, send: Any) -> None:
    """Send the scheduler's event to the client in ComfyUI's terms."""
    if isinstance(event, NodeStarted):
        send("executing", note=False, node=event.node, display_node=event.node)
    elif isinstance(event, NodeProgress):
        send("progress", note=False, value=event.value, max=event.maximum, node=event.node)
    elif isinstance(event, NodeFinished) and event.cached:
        send("execution_cached", nodes=[event.node])


if __name__ == "__main__":
    double.Worker = Worker
    double.main()
