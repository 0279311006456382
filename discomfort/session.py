"""A session: one engine, the contexts made next to it, and the documented `Discomfort` face of both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_awaiting
from discomfort.runtime.engines.protocol import Engine, EngineError
from discomfort.runtime.engines.select import make_engine, select_engine
from discomfort.runtime.running.engine_registry import catalog_to_compile_with, rebuild_refs_on
from discomfort.runtime.running.options import EffectsMode
from discomfort.tools import WorkflowTools

if TYPE_CHECKING:
    from discomfort.compiler import Rules
    from discomfort.compiler.plan.model import Source
    from discomfort.plan import Plan
    from discomfort.runtime.engines.comfyui.worker import Worker
    from discomfort.runtime.running.progress import OnProgress


class Discomfort:
    """A running session: workflows in, values out.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     async with await discomfort.Discomfort.create() as session:
        ...         with session.Context() as context:
        ...             context.save("photo", session.Tools.open_image_as_tensor("coffee.png"))
        ...             await session.run(["load_vae.json"], context=context)
        ...             results = await session.run(
        ...                 ["main_workflow.json"], inputs={"width": 64, "strength": 0.5}, context=context
        ...             )
        ...     return results["output"].shape
        >>> asyncio.run(main())
        torch.Size([1, 43, 64, 3])
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.Tools: WorkflowTools = WorkflowTools()
        self._worker: Worker | None = None
        self._closed = False

    @classmethod
    async def create(
        cls, config_path: str | os.PathLike[str] | None = None, engine: Engine | str | None = None
    ) -> Discomfort:
        """Start a session.

        Args:
            config_path: a `comfy_serverless.json` that says which ComfyUI to run on.
            engine: an engine or its name instead, as for `Plan.run`.

        Raises:
            EngineError: the engine cannot start; says what to do.
        """
        if config_path is not None and engine is None:
            from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine

            chosen: Engine = ComfyUIEngine.from_config(config_path)
        else:
            chosen = make_engine(engine) if isinstance(engine, str) else select_engine(engine)
        await run_awaiting(chosen.start())
        return cls(chosen)

    def Context(  # noqa: N802 - the documented name
        self,
        config_path: str | os.PathLike[str] | None = None,
        max_ram_gb: float | None = None,
        run_id: str | None = None,
        create: bool = True,
        max_memo_gb: float | None = None,
    ) -> WorkflowContext:
        """Return a new context, or with `create=False` the existing one called `run_id`."""
        context = WorkflowContext(config_path, max_ram_gb, run_id, create, max_memo_gb)
        rebuild_refs_on(self.engine, context)
        return context

    @property
    def Worker(self) -> Worker:  # noqa: N802 - the documented name
        """The ComfyUI server behind this session: uploads, prompts as they are, stopping it.

        Raises:
            EngineError: this session runs without a server.
        """
        from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
        from discomfort.runtime.engines.comfyui.worker import Worker

        if not isinstance(self.engine, ComfyUIEngine):
            raise EngineError(f"the engine {self.engine.name!r} has no server; create the session on a ComfyUI server")
        if self._worker is None:
            self._worker = Worker(self.engine)
        return self._worker

    async def run(
        self,
        workflows: Sequence[Source],
        inputs: Mapping[str, Any] | None = None,
        iterations: int = 1,
        use_ram: bool = True,
        context: WorkflowContext | None = None,
        *,
        effects: EffectsMode = "run",
        on_progress: OnProgress | None = None,
        rules: Rules = None,
    ) -> dict[str, Any]:
        """Run workflows in their order and return their results by unique_id.

        Args:
            workflows: paths or loaded workflows.
            inputs: values of this run by name; saved into the context together with its results.
            iterations: how often to run the whole; at least 1.
            use_ram: whether results may live in RAM.
            context: where parameters are and results go; without one, a temporary context lives for this call.
            effects: "skip" leaves out nodes that are run for what they do.
            on_progress: called at every event of the run.
            rules: which types travel by value and which by reference, as for `discomfort.compile`.

        Raises:
            CompileError: the workflows are wrong.
            ConfigError: the rules are wrong.
            BindError: values are missing or do not fit.
            EngineError: a node or the engine failed.
        """
        if self._closed:
            raise EngineError("this session is shut down; start another with Discomfort.create()")
        plan = await self.compile(workflows, rules=rules)
        run = partial(
            plan.arun,
            inputs=inputs,
            iterations=iterations,
            use_ram=use_ram,
            effects=effects,
            engine=self.engine,
            on_progress=on_progress,
        )
        if context is not None:
            return await run(context)
        with self.Context() as temporary:
            results = await run(temporary)
            return {name: _outlive(value) for name, value in results.items()}

    async def compile(self, workflows: Sequence[Source], *, rules: Rules = None) -> Plan:
        """Return the plan of `workflows` against what this session's engine can run.

        Raises:
            CompileError: the workflows are wrong.
            ConfigError: the rules are wrong.
        """
        from discomfort.plan import compile

        catalog = await run_awaiting(catalog_to_compile_with(self.engine))
        return compile(workflows, catalog=catalog, rules=rules)

    async def shutdown(self) -> None:
        """Stop the engine and let everything go; safe to call again."""
        if not self._closed:
            self._closed = True
            await run_awaiting(self.engine.close())

    async def __aenter__(self) -> Discomfort:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()


def _outlive(value: Any) -> Any:
    """Return `value` with its tensors copied out of the store, for use after their context is gone."""
    import copy

    return copy.deepcopy(value)
