"""What goes with an engine: its executor, the refs that contexts rebuild on it, the catalog to compile against."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.protocol import Engine, EngineError
from discomfort.runtime.engines.select import select_engine
from discomfort.runtime.running.executor import Executor
from discomfort.runtime.running.submit import Submitter

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext

_turns: weakref.WeakKeyDictionary[Engine, asyncio.Lock] = weakref.WeakKeyDictionary()
_completed: weakref.WeakKeyDictionary[Catalog, Catalog] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def executor_for(wish: Engine | str | None, context: WorkflowContext) -> Executor:
    """Return an executor of the engine that `wish` names, on which `context` rebuilds its refs from now on."""
    return rebuild_refs_on(select_engine(wish), context)


def rebuild_refs_on(engine: Engine, context: WorkflowContext) -> Executor:
    """Have `context` rebuild its refs on `engine`; return the executor that does so."""
    with _lock:
        turn = _turns.get(engine)
        if turn is None:
            turn = _turns[engine] = asyncio.Lock()
    executor = Executor(Submitter(engine, turn))
    context.refs.set_resolver(RefResolver(executor, context))
    return executor


async def catalog_to_compile_with(engine: Engine) -> Catalog:
    """Return the node classes that programs for `engine` are compiled against: those that it runs.

    To those of the embedded engine ComfyUI's other classes are added. So a program that needs them compiles, and the
    engine reports all of them at once, with where to run them, instead of each as an unknown node type.
    """
    await engine.start()  # it may have been stopped meanwhile, as Worker.kill_api does
    own = await engine.catalog()
    if engine.name != "embedded":
        return own
    with _lock:
        completed = _completed.get(own)
        if completed is None:
            completed = _completed[own] = default_catalog().merged(own)
    return completed


class RefResolver:
    """Rebuilds the refs of one context on one engine, for `context.load`."""

    def __init__(self, executor: Executor, context: WorkflowContext) -> None:
        self._executor = executor
        self._context = weakref.ref(context)

    def __call__(self, unique_id: str, recipe: Mapping[str, Any]) -> Any:
        """Return the live object that `recipe` makes.

        Raises:
            EngineError: the engine lives in another process and cannot hand over objects.
        """
        engine = self._executor.engine
        if not engine.hands_over_live_objects:
            raise EngineError(
                f"{unique_id!r} is stored by reference, and the engine {engine.name!r} cannot hand its object over to "
                'Python; to load it here, set its type to "val" in pass_by_rules.json (values that large cost time and '
                "memory), or run on the embedded or in-process engine; context.recipe(…) gives the graph"
            )
        context = self._context()
        assert context is not None, "a context resolves its own refs"
        return run_blocking(self._executor.build(unique_id, recipe, context))
