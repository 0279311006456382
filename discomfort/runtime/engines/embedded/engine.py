"""The engine that needs no ComfyUI: node classes of the V1 protocol, run in this process."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from discomfort.ir.catalog.catalog import Catalog, default_catalog, own_catalog
from discomfort.ir.catalog.checked import usable_entries
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Node, NodeId
from discomfort.ir.keys import Source
from discomfort.runtime.engines.embedded.classes.describe import describe_safely
from discomfort.runtime.engines.embedded.classes.registration import check_classes, load_classes
from discomfort.runtime.engines.embedded.dependencies.definitions import EMBEDDED, Supplier
from discomfort.runtime.engines.embedded.dependencies.node_sources import NodeSources
from discomfort.runtime.engines.embedded.dependencies.survey import Survey
from discomfort.runtime.engines.embedded.execution.loop_bridge import Bridge
from discomfort.runtime.engines.embedded.execution.run_prompt import run_prompt, validate_prompts
from discomfort.runtime.engines.embedded.execution.scheduler import Instances
from discomfort.runtime.engines.embedded.for_node_authors.folders import FolderFinder, Folders, use_folders
from discomfort.runtime.engines.embedded.pack.values import regular_expressions
from discomfort.runtime.engines.embedded.prompt_nodes.cache import ResultCache
from discomfort.runtime.engines.protocol import (
    EngineError,
    Listener,
    PromptRequest,
    PromptResult,
    Splitting,
    TransferLimits,
)
from discomfort.settings.context import GIB

if TYPE_CHECKING:
    from types import ModuleType

    from discomfort.context.context import WorkflowContext

Value = TypeVar("Value")


class EmbeddedEngine:
    """Runs prompts on its pack of ComfyUI's model-free nodes and on classes that users register.

    Nodes run in one worker thread, so that the event loop stays free; results are kept between runs.

    Example:
        >>> engine = discomfort.EmbeddedEngine(max_cache_gb=1)
        >>> plan = discomfort.compile([{
        ...     "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        ...     "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "picture", "input": ["1", 0]}}}])
        >>> with discomfort.Context() as context:
        ...     plan.run(context, engine=engine)["picture"].shape
        torch.Size([1, 8, 8, 3])
    """

    name = "embedded"
    hands_over_live_objects = True
    pipelined = False
    splitting = Splitting.NEVER

    def __init__(self, folders: Folders | None = None, max_cache_gb: float | None = None) -> None:
        """Make an engine.

        Args:
            folders: for the files that nodes read and write; default: those in use where `run` is called.
            max_cache_gb: how much the results kept between runs may take, in GiB; see `ResultCache`.
        """
        self._folders = folders
        self._registered: dict[str, Any] = {}
        self._classes: Mapping[str, Any] | None = None
        self._supplier: Supplier = EMBEDDED
        self._pack: ModuleType | None = None
        self._cache = ResultCache(max_bytes=None if max_cache_gb is None else int(max_cache_gb * GIB))
        self._instances: Instances = {}
        self._pool: ThreadPoolExecutor | None = None
        self._described: dict[str, Any] = {}
        self._catalog: Catalog | None = None
        self._sources = NodeSources(FolderFinder(folders), partial(_origin, self._registered))

    def register(self, classes: Mapping[str, Any] | str | os.PathLike[str]) -> tuple[str, ...]:
        """Add node classes, and return their names; a name that is known already is replaced.

        Args:
            classes: NODE_CLASS_MAPPINGS; or a Python file, a package, or a folder of custom nodes.

        Raises:
            EngineError: something is not a node class, or cannot be imported.
        """
        registered = dict(classes) if isinstance(classes, Mapping) else load_classes(Path(classes).expanduser())
        check_classes(registered)
        self._registered.update(registered)
        self._classes = self._catalog = None
        self._cache.clear()
        return tuple(registered)

    async def start(self) -> None:
        """Load the pack, when that has not been done."""
        if self._classes is None:
            await self._in_worker(self._load)

    async def catalog(self) -> Catalog:
        """Return the classes that can run: the pack with the files that are there now, registered ones, and our own."""
        await self.start()
        return await self._in_worker(self._read_catalog)

    async def run(self, request: PromptRequest, listener: Listener | None = None) -> PromptResult:
        """Run one prompt to its end; see `Engine.run`. Cancelling stops between two nodes."""
        await self.start()
        assert self._classes is not None
        classes = self._classes
        bridge = Bridge(asyncio.get_running_loop(), listener)
        try:
            return await self._in_worker(
                lambda: run_prompt(
                    request, classes, self._supplier, self._cache, self._instances, bridge, self._sources
                )
            )
        except asyncio.CancelledError:
            bridge.cancel()
            raise
        finally:
            await bridge.close()

    async def validate(self, requests: Sequence[PromptRequest]) -> None:
        """Check the prompts of a program before the first of them runs; see `Engine.validate`."""
        await self.start()
        assert self._classes is not None
        classes = self._classes
        bridge = Bridge(asyncio.get_running_loop(), None)
        try:
            await self._in_worker(lambda: validate_prompts(requests, classes, self._supplier, bridge, self._sources))
        except asyncio.CancelledError:
            bridge.cancel()
            raise
        finally:
            await bridge.close()

    async def transfer_limits(self, context: WorkflowContext) -> TransferLimits | None:
        """Return None: values are handed over in this process."""
        return None

    async def close(self) -> None:
        """Let results, objects and the worker thread go."""
        self._cache.clear()
        self._instances.clear()
        regular_expressions.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    async def sources(self, nodes: Collection[Node], effects: EffectTable) -> Mapping[NodeId, Source]:
        """Return what nodes depend on besides their inputs; see `Engine.sources`."""
        await self.start()
        assert self._classes is not None
        stopped = threading.Event()
        survey = Survey(self._sources, self._classes, self._supplier, effects, stopped.is_set)
        rest = survey.quickly(nodes)
        if rest:
            try:
                await self._in_worker(lambda: survey.thoroughly(rest))
            finally:
                stopped.set()
        return survey.found

    def doubt(self, sources: Collection[tuple[Node, Source]]) -> None:
        """Do nothing: what a node reads is looked at right before it runs, and right after."""

    def surroundings(self) -> AbstractContextManager[Any]:
        """Return what nodes run in, in the worker thread."""
        return nullcontext() if self._folders is None else use_folders(self._folders)

    async def _in_worker(self, work: Callable[[], Value]) -> Value:
        """Run `work` in the worker thread, in the caller's context variables and our surroundings."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="discomfort-embedded")
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(self._surrounded, work))

    def _surrounded(self, work: Callable[[], Value]) -> Value:
        """Do `work`; what would end the event loop that waits for it (a node class that calls `sys.exit`) is an error.

        Raises:
            EngineError: something tried to end the program.
        """
        with self.surroundings():
            try:
                return work()
            except (SystemExit, KeyboardInterrupt) as error:
                raise EngineError(f"a node class tried to end the program ({error!r})") from error

    def _load(self) -> None:
        from discomfort.runtime.engines.embedded import pack
        from discomfort.runtime.engines.embedded.classes import discomfort_nodes

        self._pack = pack
        own = discomfort_nodes.native_classes(self._read_catalog, self._known_classes)
        self._classes = {**pack.NODE_CLASS_MAPPINGS, **self._registered, **own}

    def _known_classes(self) -> Mapping[str, Any]:
        return self._classes or {}

    def _read_catalog(self) -> Catalog:
        """Describe what may have changed; the same catalog is returned while nothing has."""
        pack = self._pack
        assert pack is not None
        classes = {name: kind for name, kind in pack.NODE_CLASS_MAPPINGS.items() if name not in self._registered}
        fresh = self._catalog is None
        described: dict[str, Any] = {
            name: {**pack.describe(name), "python_module": default_catalog()[name].python_module}
            for name, kind in classes.items()
            if fresh or kind.LIVE_OPTIONS
        }
        described.update({name: describe_safely(name, kind) for name, kind in self._registered.items()})
        if self._catalog is None or any(self._described.get(name) != entry for name, entry in described.items()):
            self._described = described if fresh else {**self._described, **described}
            self._catalog = own_catalog().merged(self._checked_catalog())
        return self._catalog

    def _checked_catalog(self) -> Catalog:
        """Return the classes whose descriptions can be used; the pack's are our own and need no check."""
        registered = {name: entry for name, entry in self._described.items() if name in self._registered}
        pack = {name: entry for name, entry in self._described.items() if name not in self._registered}
        return Catalog(pack).merged(usable_entries(registered, "<registered classes>"))


def _origin(registered: Container[str], name: str, node_class: Any) -> str:
    """Return where a class comes from, as its description says; no method, which would keep the engine in a cycle."""
    return "custom_nodes" if name in registered else "nodes"
