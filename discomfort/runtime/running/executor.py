"""Drives bound runs on an engine: the one path that every run takes (law R1).

A run is bound to its inputs and one moment of the context, its prompts are cut down to what is not known yet, run, and
remembered one by one; inputs and results are committed together at the end (law C5). Whatever finished before a failure
stays remembered, so that running again continues instead of starting over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discomfort.compiler.partition.partition_pass import Partition
from discomfort.compiler.plan.model import PlanData
from discomfort.context.holds import Holds
from discomfort.context.private_copy import private_copy
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.recipe import Recipe
from discomfort.printable import counted
from discomfort.runtime.binding.bind import bind, read_recipe
from discomfort.runtime.binding.prompts import BoundRun, recipe_run
from discomfort.runtime.binding.transfer_check import checked_transfer
from discomfort.runtime.running.options import RunOptions
from discomfort.runtime.running.progress import RunProgress
from discomfort.runtime.running.results import loaded_result
from discomfort.runtime.running.sources import with_keys
from discomfort.runtime.running.steps import StepRunner
from discomfort.runtime.running.submit import Submitter

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.context.snapshot import Snapshot


@dataclass(frozen=True, eq=False)
class Reference:
    """What a run returns for a ref: its name, type and recipe. `context.save(name, reference)` stores the recipe.

    Example:
        >>> plan = discomfort.compile(["load_vae.json"])
        >>> with discomfort.Context() as context:
        ...     plan.run(context)["vae"]
        <Reference vae: VAE rebuilt by 1 node>
    """

    unique_id: str
    type: str
    recipe: Recipe

    def __repr__(self) -> str:
        return f"<Reference {self.unique_id}: {self.type} rebuilt by {counted(len(self.recipe.graph.nodes), 'node')}>"


class Executor:
    """Runs plans on the engine of one submitter."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self.engine = submitter.engine

    async def run(
        self,
        plan: PlanData,
        snapshot: Snapshot,
        options: RunOptions,
        progress: RunProgress,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Run `plan` `options.iterations` times on the values in `snapshot`; return the last results by name.

        Each iteration ends with a commit of the snapshot, which then holds what it gave; the next one reads that.
        `extra_pnginfo` ends up in the pictures that a run saves.

        Raises:
            BindError: values are missing, do not fit, or cannot be sent to the engine or back.
            EngineError: see `Engine.run`; what finished before is remembered.
        """
        await self.engine.start()
        results: dict[str, Any] = {}
        for _ in range(options.iterations):
            progress.begin_iteration()
            steps = StepRunner(
                self._submitter,
                snapshot.context,
                snapshot.part(),
                progress,
                use_ram=options.use_ram,
                extra_pnginfo=extra_pnginfo,
            )
            try:
                run = await self._run_once(plan, snapshot, options, steps)
                results = _commit(plan, snapshot, run, steps)
            finally:
                steps.release()
        return results

    async def _run_once(self, plan: PlanData, snapshot: Snapshot, options: RunOptions, steps: StepRunner) -> BoundRun:
        """Bind the plan and run every step that is left."""
        run = bind(
            plan,
            snapshot,
            await self.engine.catalog(),
            effects=options.effects == "run",
            digest_of=steps.store,
            splitting=self.engine.splitting,
        )
        run = await with_keys(run, self.engine)
        left = steps.left(run)
        crossing = await self.engine.transfer_limits(snapshot.context) if left else None
        here = self.engine.hands_over_live_objects
        run = checked_transfer(plan, run, left, crossing, steps.digests, snapshot.context, here)
        await steps.run(run, left)
        return run

    async def build(self, unique_id: str, stored: Mapping[str, Any], context: WorkflowContext) -> Any:
        """Return the live object that a stored recipe makes; the engine must hand over live objects.

        Tensors and plain containers are copies, so that the caller may change them; objects such as models are shared.

        Raises:
            BindError: what is stored under `unique_id` is not a recipe that can run.
            EngineError: see `Engine.run`.
        """
        await self.engine.start()
        catalog = await self.engine.catalog()
        recipe = read_recipe(stored, unique_id, catalog)
        run = recipe_run(recipe, Partition(0, for_speed=False)(recipe.graph, EffectTable(catalog)).steps, catalog)
        with RunProgress() as progress:
            steps = StepRunner(self._submitter, context, Holds(context.store), progress, live=recipe.output)
            try:
                await steps.run(run, steps.left(run))
            finally:
                steps.release()
        return private_copy(steps.live_value)


def _commit(plan: PlanData, snapshot: Snapshot, run: BoundRun, steps: StepRunner) -> dict[str, Any]:
    """Make inputs and results visible together, and return the results: those of this run, whatever others save."""
    digests = {**run.known, **{name: steps.digests[link] for name, link in run.wanted.items()}}
    for name, digest in digests.items():
        snapshot.save_digest(name, digest, steps.holds)
    for name, recipe in run.recipes.items():
        snapshot.save_recipe(name, recipe.to_json())
    snapshot.commit(steps.memos())
    results: dict[str, Any] = {}
    for name, output in plan.outputs.items():
        if output.kind == "passthru" and name not in digests:
            continue
        if name in run.recipes:
            reference = Reference(name, output.type, run.recipes[name])
            snapshot.context.refs.recipes.remember(reference, reference.recipe.to_json())
            results[name] = reference
        else:
            results[name] = loaded_result(snapshot.load, output)
    return results
