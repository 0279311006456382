"""The engine that runs a ComfyUI checkout's node classes in this Python: no HTTP, and no copies of values."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

from discomfort.input_files.comfy_folders import ComfyFolders
from discomfort.ir.catalog.catalog import OWN_CLASSES, Catalog
from discomfort.ir.catalog.checked import LiveCatalog
from discomfort.ir.catalog.node_origin import python_module
from discomfort.runtime.engines.embedded.classes import discomfort_nodes
from discomfort.runtime.engines.embedded.classes.describe import declared_effect, describe_class
from discomfort.runtime.engines.embedded.dependencies.definitions import Supplier
from discomfort.runtime.engines.embedded.dependencies.node_sources import NodeSources
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.for_node_authors.node_api import current
from discomfort.runtime.engines.inprocess.checkout import Checkout, load_checkout
from discomfort.runtime.engines.inprocess.node_adapters import ComfyCalls, NodeAdapter, make_adapter
from discomfort.runtime.engines.protocol import Listener, PromptRequest, PromptResult

_ticket: ContextVar[object] = ContextVar("discomfort_inprocess_run", default=None)
"""Identifies the run that asks; the worker thread has a copy of the asker's context."""


class InProcessEngine(EmbeddedEngine):
    """Runs prompts on the node classes of a ComfyUI checkout, its model management and inference mode included.

    Example:
        >>> engine = discomfort.InProcessEngine("/path/to/ComfyUI", ["--cpu"])
        >>> engine.name
        'inprocess'
    """

    name = "inprocess"

    def __init__(
        self,
        path: str | os.PathLike[str],
        arguments: Sequence[str] | None = None,
        max_cache_gb: float | None = None,
    ) -> None:
        """Name the checkout; it is imported when the engine starts.

        Args:
            path: the folder with ComfyUI's `main.py`.
            arguments: ComfyUI's command line (`--lowvram`, `--base-directory`…); None means none, and `--cpu` where
                torch sees no accelerator.
            max_cache_gb: as for `EmbeddedEngine`.
        """
        super().__init__(max_cache_gb=max_cache_gb)
        self._path = Path(path)
        self._supplier = Supplier(
            f"the ComfyUI at {path}", "install the custom node that has it there; the log says which failed to load"
        )
        self._arguments = arguments
        self._calls: ComfyCalls | None = None
        self._listener: _Listener | None = None

    async def run(self, request: PromptRequest, listener: Listener | None = None) -> PromptResult:
        """Run one prompt to its end; see `Engine.run`. Cancelling stops nodes that ask ComfyUI, too."""
        await self.start()
        assert self._calls is not None
        turns, ticket = self._calls.checkout.turns, object()
        _ticket.set(ticket)
        try:
            return await super().run(request, listener)
        except asyncio.CancelledError:
            turns.interrupt(ticket, self._calls.management)
            raise

    async def catalog(self) -> Catalog:
        """Return the checkout's classes with ours; each is described, its lists of files too, when it is looked up."""
        await self.start()
        return self._read_catalog()

    async def close(self) -> None:
        """Let results and the worker thread go; the checkout stays imported, its models are unloaded."""
        calls, self._calls, self._listener, self._classes = self._calls, None, None, None
        await super().close()
        if calls is not None:
            calls.management.unload_all_models()

    def surroundings(self) -> AbstractContextManager[Any]:
        """Return what nodes run in: inference mode, and ComfyUI's progress reported to the run's listener."""
        calls, listener = self._calls, self._listener
        return nullcontext() if calls is None or listener is None else _surroundings(calls, listener)

    def _load(self) -> None:
        calls = ComfyCalls(load_checkout(self._path, self._arguments))
        own = discomfort_nodes.native_classes(self._read_catalog, self._known_classes)
        self._classes = _Classes(calls, {**self._registered, **own})
        self._sources = NodeSources(ComfyFolders(calls.checkout.folder_paths), partial(_origin, self._registered))
        self._calls, self._listener = calls, _Listener(calls)
        self._supplier = self._supplier._replace(checks_combos=_checks_combos(calls.checkout))

    def _read_catalog(self) -> Catalog:
        assert isinstance(self._classes, _Classes)
        return LiveCatalog(_ObjectInfo(self._classes), str(self._path))


def _checks_combos(checkout: Checkout) -> bool:
    """Return whether a checkout compares literals with the options of an input whose type equals COMBO (0.3.64: no)."""
    code = getattr(checkout.module("execution").validate_inputs, "__code__", None)
    return code is None or "Combo" in code.co_names


@contextmanager
def _surroundings(calls: ComfyCalls, listener: _Listener) -> Iterator[None]:
    import torch

    with calls.checkout.turns.taken(_ticket.get(), calls.management):
        calls.prompt_id = uuid.uuid4().hex
        listener.listen(calls.prompt_id)
        with torch.inference_mode():
            yield


class _Classes(Mapping[str, Any]):
    """The classes of a checkout as the scheduler runs them, each made when it is first used."""

    def __init__(self, calls: ComfyCalls, own: Mapping[str, Any]) -> None:
        self.checkout = calls.checkout
        self._calls = calls
        self._own = own
        self._adapters: dict[str, type[NodeAdapter]] = {}
        self._io = calls.checkout.module("comfy_api.latest._io")

    def __getitem__(self, name: str) -> Any:
        own = self._own.get(name)
        if own is not None:
            return own
        node_class = self.checkout.classes[name]
        adapter = self._adapters.get(name)
        if adapter is None or adapter.node_class is not node_class:
            adapter = self._adapters[name] = make_adapter(name, node_class, self._calls, self._io)
        return adapter

    def python_module(self, name: str) -> str:
        """Return where a class comes from."""
        return "custom_nodes" if name in self._own else python_module(self.checkout.classes[name])

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self.checkout.classes

    def __iter__(self) -> Iterator[str]:
        return iter({**self.checkout.classes, **self._own})

    def __len__(self) -> int:
        return len({**self.checkout.classes, **self._own})


class _ObjectInfo(Mapping[str, Mapping[str, Any]]):
    """What `/object_info` would say of the classes, made class by class when it is requested."""

    def __init__(self, classes: _Classes) -> None:
        self._classes = classes

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        if name in OWN_CLASSES:
            return OWN_CLASSES[name]
        node_class: Any = self._classes.checkout.classes.get(name)
        if hasattr(node_class, "GET_NODE_INFO_V1"):
            info: dict[str, Any] = node_class.GET_NODE_INFO_V1()
            return {**info, "python_module": python_module(node_class), **declared_effect(node_class)}
        described = describe_class(name, self._classes[name])
        return {
            **described,
            "display_name": self._classes.checkout.display_name(name),
            "python_module": self._classes.python_module(name),
        }

    def __contains__(self, name: object) -> bool:
        return name in self._classes or name in OWN_CLASSES

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._classes), **dict.fromkeys(OWN_CLASSES)})

    def __len__(self) -> int:
        return len({*self._classes, *OWN_CLASSES})


class _Listener:
    """Passes ComfyUI's progress reports, of both kinds, to the run; both also stop a node whose run was cancelled."""

    def __init__(self, calls: ComfyCalls) -> None:
        self._progress = calls.checkout.module("comfy_execution.progress")
        self._set_hook = calls.checkout.module("comfy.utils").set_progress_bar_global_hook
        self._management = calls.management

        class Handler(self._progress.ProgressHandler):  # type: ignore[name-defined,misc]
            def update_handler(
                self, node_id: str, value: float, max_value: float, state: Any, prompt_id: str, image: Any = None
            ) -> None:
                _report(node_id, value, max_value)

        self._handler = Handler

    def listen(self, prompt_id: str) -> None:
        """Listen for the time of a run; nodes of an earlier one may have put something else in our place."""
        self._progress.reset_progress_state(prompt_id, None)
        self._progress.add_progress_handler(self._handler("discomfort"))
        self._set_hook(self._hook)

    def _hook(
        self, value: float, total: float, _preview: Any, prompt_id: str | None = None, node_id: str | None = None
    ) -> None:
        self._management.throw_exception_if_processing_interrupted()
        _report(node_id, value, total)


def _report(node: str | None, value: float, maximum: float) -> None:
    running = current.get()
    if running is not None and (run := running.run) is not None:
        run.report(running.node if node is None else node, value, maximum)


def _origin(registered: Container[str], name: str, node_class: Any) -> str:
    """Return where a class comes from; no method, which would keep the engine in a cycle."""
    return "custom_nodes" if name in registered else python_module(getattr(node_class, "node_class", None))
