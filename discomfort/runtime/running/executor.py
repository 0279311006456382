"""Drives bound runs on an engine: the one path that every run takes (law R1).

A run is bound to its inputs and one moment of the context, its prompts are cut down to what is not known yet, run, and
remembered one by one; inputs and results are committed together at the end (law C5). Whatever finished before a failure
stays remembered, so that running again continues instead of starting over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.plan.model import PlanData
from discomfort.context.holds import Holds
from discomfort.context.private_copy import private_copy
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.recipe import Recipe
from discomfort.runtime.binding.bind import bind, read_recipe
from discomfort.runtime.binding.prompts import BoundRun, recipe_run
from discomfort.runtime.binding.transfer_check import checked_crossing
from discomfort.runtime.engines.protocol import Engine, EngineLost, PromptRequest, PromptResult
from discomfort.runtime.running.progress import RunProgress
from discomfort.runtime.running.results import loaded_result
from discomfort.runtime.running.sources import with_keys
from discomfort.runtime.running.steps import RunReport, StepRunner

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.context.snapshot import Snapshot

logger: logging.Logger = logging.getLogger("discomfort")

ATTEMPTS = 3
"""How often a prompt is tried when the engine is lost under it."""

BACK_OFF = 0.5
"""Seconds before the second attempt; doubled before each further one."""

EffectsMode = Literal["run", "skip"]


@dataclass(frozen=True, eq=False)
class Reference:
    """What a run returns for a ref: its name, type and recipe. `context.save(name, reference)` stores the recipe.

    Example:
        >>> plan = discomfort.compile(["load_vae.json"])
        >>> with discomfort.Context() as context:
        ...     plan.run(context)["vae"]
        <Reference vae: VAE rebuilt by 1 nodes>
    """

    unique_id: str
    type: str
    recipe: Recipe

    def __repr__(self) -> str:
        return f"<Reference {self.unique_id}: {self.type} rebuilt by {len(self.recipe.graph.nodes)} nodes>"


class Executor:
    """Runs plans on one engine; all executors of an engine share its `turn`."""

    def __init__(self, engine: Engine, turn: asyncio.Lock) -> None:
        self.engine = engine
        self._turn = turn

    async def run(
        self,
        plan: PlanData,
        snapshot: Snapshot,
        *,
        iterations: int = 1,
        use_ram: bool = True,
        effects: EffectsMode = "run",
        progress: RunProgress,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], RunReport]:
        """Run `plan` `iterations` times on the values in `snapshot`; return the last results by name, and a report.

        Each iteration ends with a commit of the snapshot, which then holds what it gave; the next one reads that.

        Raises:
            BindError: values are missing, do not fit, or cannot be brought to the engine or back.
            EngineError: see `Engine.run`; what finished before is remembered.
        """
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, not {iterations}")
        await self.engine.start()
        report = RunReport()
        results: dict[str, Any] = {}
        for _ in range(iterations):
            progress.begin_iteration()
            one = _OneRun(self, plan, snapshot, use_ram, progress, report, dict(extra_pnginfo or {}))
            results = await one.finish(effects)
        return results, report

    async def build(self, unique_id: str, stored: Mapping[str, Any], context: WorkflowContext) -> Any:
        """Return the live object that a stored recipe makes; the engine must hand over live objects.

        Tensors and plain containers are copies, so that the caller may change them; objects such as models are shared.

        Raises:
            BindError: what is stored under `unique_id` is no recipe that can run.
            EngineError: see `Engine.run`.
        """
        await self.engine.start()
        catalog = await self.engine.catalog()
        recipe = read_recipe(stored, unique_id, catalog)
        run = recipe_run(recipe, Partition(0, for_speed=False)(recipe.graph, EffectTable(catalog)).steps, catalog)
        with RunProgress() as progress:
            steps = StepRunner(self, context, Holds(context), progress, RunReport(), live=recipe.output)
            try:
                await steps.run(run, steps.left(run))
            finally:
                steps.release()
        return private_copy(steps.live_value)

    async def validate(self, requests: Sequence[PromptRequest]) -> None:
        """Check all prompts of a program before the first of them runs; see `Engine.validate`."""
        if self.engine.pipelined:
            await self.engine.validate(requests)
            return
        async with self._turn:
            await self.engine.validate(requests)

    async def submit(self, request: PromptRequest, progress: RunProgress) -> PromptResult:
        """Run one prompt, again with back-off when the engine is lost; in turn where the engine takes one at a time."""
        if self.engine.pipelined:
            return await self._submit_with_retries(request, progress)
        async with self._turn:
            return await self._submit_with_retries(request, progress)

    async def _submit_with_retries(self, request: PromptRequest, progress: RunProgress) -> PromptResult:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self.engine.run(request, progress.listener)
            except EngineLost as error:
                if attempt == ATTEMPTS:
                    raise
                logger.warning("attempt %d of %d: %s", attempt, ATTEMPTS, error)
            request = replace(request, validated=False)  # another server may answer now
            await asyncio.sleep(BACK_OFF * 2 ** (attempt - 1))
            await self.engine.catalog()  # raises where it is gone for good; `start` would open one that was closed
        raise AssertionError("the loop returns or raises")


class _OneRun:
    """One iteration: the bound run, its steps, and its commit."""

    def __init__(
        self,
        executor: Executor,
        plan: PlanData,
        snapshot: Snapshot,
        use_ram: bool,
        progress: RunProgress,
        report: RunReport,
        extra_pnginfo: Mapping[str, Any],
    ) -> None:
        self._engine = executor.engine
        self._plan = plan
        self._snapshot = snapshot
        self._context = snapshot.context
        self._here = executor.engine.hands_over_live_objects
        self._steps = StepRunner(
            executor, snapshot.context, snapshot.part(), progress, report, use_ram, extra_pnginfo, here=self._here
        )

    async def finish(self, effects: EffectsMode) -> dict[str, Any]:
        """Run every step, commit, and return the results by name."""
        try:
            run = bind(
                self._plan,
                self._snapshot,
                await self._engine.catalog(),
                effects=effects == "run",
                digest_of=self._steps.store,
                splitting=self._engine.splitting,
            )
            run = await with_keys(run, self._engine)
            left = self._steps.left(run)
            crossing = await self._engine.crossing(self._context) if left else None
            run = checked_crossing(self._plan, run, left, crossing, self._steps.digests, self._context, self._here)
            await self._steps.run(run, left)
            return self._commit(run)
        finally:
            self._steps.release()

    def _commit(self, run: BoundRun) -> dict[str, Any]:
        """Make inputs and results visible together, and return the results: those of this run, whatever others save."""
        digests = {**run.known, **{name: self._steps.digests[link] for name, link in run.wanted.items()}}
        for name, digest in digests.items():
            self._snapshot.save_digest(name, digest, self._steps.holds)
        for name, recipe in run.recipes.items():
            self._snapshot.save_recipe(name, recipe.to_json())
        self._snapshot.commit(self._steps.memos())
        results: dict[str, Any] = {}
        for name, output in self._plan.outputs.items():
            if output.kind == "passthru" and name not in digests:
                continue
            if name in run.recipes:
                results[name] = self._reference(name, output.type, run.recipes[name])
            else:
                results[name] = loaded_result(self._snapshot.load, output)
        return results

    def _reference(self, name: str, type_name: str, recipe: Recipe) -> Reference:
        reference = Reference(name, type_name, recipe)
        self._context.remember_origin(reference, recipe.to_json())
        return reference
