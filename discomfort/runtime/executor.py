"""Drives bound runs on an engine: the one path that every run takes (law R1).

A run is bound, its prompts are cut down to what is not known yet, run, and remembered one by one; its results are
committed together at the end (law C5). Whatever finished before a failure stays remembered, so that running again
continues instead of starting over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from discomfort.compiler.graph import Link
from discomfort.compiler.plan import Plan, Step
from discomfort.compiler.recipe import Recipe
from discomfort.runtime.bind import BoundPrompt, BoundRun, bind, cut_prompt, read_recipe, recipe_prompt
from discomfort.runtime.engine import Delivered, Engine, EngineLost, PromptRequest, PromptResult
from discomfort.runtime.progress import RunProgress

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext

logger = logging.getLogger("discomfort")

ATTEMPTS = 3
"""How often a prompt is tried when the engine is lost under it."""

BACK_OFF = 0.5
"""Seconds before the second attempt; doubled before each further one."""

EffectsMode = Literal["run", "skip"]


@dataclass(frozen=True, eq=False)
class Reference:
    """What a run returns for a ref: its name, type and recipe. `context.save(name, reference)` stores the recipe."""

    unique_id: str
    type: str
    recipe: Recipe

    def __repr__(self) -> str:
        return f"<Reference {self.unique_id}: {self.type} rebuilt by {len(self.recipe.graph.nodes)} nodes>"


@dataclass(slots=True)
class RunReport:
    """What one run did: how many prompts were submitted, which nodes ran and which were cached, and `ui` answers."""

    prompts: int = 0
    executed: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    ui: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def add(self, result: PromptResult) -> None:
        """Count one prompt's result in."""
        self.prompts += 1
        self.executed += result.executed
        self.cached += result.cached
        self.ui.update(result.ui)


class Executor:
    """Runs plans on one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._turn = asyncio.Lock()

    async def run(
        self,
        plan: Plan,
        context: WorkflowContext,
        *,
        iterations: int = 1,
        use_ram: bool = True,
        effects: EffectsMode = "run",
        progress: RunProgress,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], RunReport]:
        """Run `plan` `iterations` times on the values in `context`; return the last results by name, and a report.

        Raises:
            BindError: values are missing or do not fit.
            EngineError: see `Engine.run`; what finished before is remembered.
        """
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, not {iterations}")
        await self.engine.start()
        report = RunReport()
        results: dict[str, Any] = {}
        for _ in range(iterations):
            progress.begin_iteration()
            one = _OneRun(self, plan, context, use_ram, progress, report, dict(extra_pnginfo or {}))
            results = await one.finish(effects)
        return results, report

    async def build(self, unique_id: str, stored: Mapping[str, Any], context: WorkflowContext) -> Any:
        """Return the live object that a stored recipe makes; the engine must hand over live objects.

        Raises:
            BindError: what is stored under `unique_id` is no recipe that can run.
            EngineError: see `Engine.run`.
        """
        await self.engine.start()
        recipe = read_recipe(stored, unique_id, await self.engine.catalog())
        bound = recipe_prompt(recipe)
        with RunProgress() as progress:
            request = PromptRequest(bound.prompt, bound.outputs, context, bound.places)
            result = await self.submit(request, progress)
        (delivered,) = result.outputs.values()
        return delivered.value

    async def submit(self, request: PromptRequest, progress: RunProgress) -> PromptResult:
        """Run one prompt, again with back-off when the engine is lost; in turn where the engine takes one at a time."""
        if self.engine.pipelined:
            return await self._submit_with_retries(request, progress)
        async with self._turn:
            return await self._submit_with_retries(request, progress)

    async def _submit_with_retries(self, request: PromptRequest, progress: RunProgress) -> PromptResult:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self.engine.run(request, progress.listen)
            except EngineLost as error:
                if attempt == ATTEMPTS:
                    raise
                logger.warning("attempt %d of %d: %s", attempt, ATTEMPTS, error)
            await asyncio.sleep(BACK_OFF * 2 ** (attempt - 1))
            await self.engine.start()
        raise AssertionError("the loop returns or raises")


class _OneRun:
    """One iteration: the bound run, what its steps have delivered so far, and its commit."""

    def __init__(
        self,
        executor: Executor,
        plan: Plan,
        context: WorkflowContext,
        use_ram: bool,
        progress: RunProgress,
        report: RunReport,
        extra_pnginfo: Mapping[str, Any],
    ) -> None:
        self._executor = executor
        self._plan = plan
        self._context = context
        self._use_ram = use_ram
        self._progress = progress
        self._report = report
        self._extra_pnginfo = extra_pnginfo
        self._edges: dict[Link, str] = {}
        self._held: list[str] = []

    async def finish(self, effects: EffectsMode) -> dict[str, Any]:
        """Run every step, commit, and return the results by name."""
        try:
            return await self._finish(effects)
        finally:
            for digest in self._held:
                self._context.release_value(digest)

    async def _finish(self, effects: EffectsMode) -> dict[str, Any]:
        engine = self._executor.engine
        run = bind(
            self._plan,
            self._context,
            await engine.catalog(),
            stamp=getattr(engine, "stamp", None),
            effects=effects == "run",
            digest_of=self._store,
        )
        for link in run.wanted.values():
            self._recall(run, link)
        await self._run_steps(run)
        return self._commit(run)

    async def _run_steps(self, run: BoundRun) -> None:
        """Start each step as soon as the steps it reads from are done; the first failure cancels the rest."""
        writer = {link: step.id for step in run.steps for link in step.writes}
        tasks: dict[str, asyncio.Task[None]] = {}
        for step in run.steps:
            needs = [tasks[writer[link]] for link in step.reads]
            tasks[step.id] = asyncio.ensure_future(self._run_step(run, step, needs))
        try:
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _run_step(self, run: BoundRun, step: Step, needs: list[asyncio.Task[None]]) -> None:
        if needs:
            await asyncio.gather(*(asyncio.shield(task) for task in needs))
        for link in step.writes:
            self._recall(run, link)
        bound = cut_prompt(run, step, self._edges, self._remembered)
        if bound is None:
            return
        self._progress.add_prompt(bound.places, len(bound.prompt))
        result = await self._executor.submit(self._request(bound), self._progress)
        self._report.add(result)
        for name, link in bound.links.items():
            digest = self._keep(result.outputs[name])
            self._edges[link] = digest
            key = run.memo_key(link)
            if key is not None:
                self._context.memo_put(key, {"value": digest})

    def _request(self, bound: BoundPrompt) -> PromptRequest:
        return PromptRequest(bound.prompt, bound.outputs, self._context, bound.places, bound.keys, self._extra_pnginfo)

    def _recall(self, run: BoundRun, link: Link) -> None:
        """Take the value of `link` from the memo where it is there."""
        key = run.memo_key(link)
        digest = self._remembered(key) if key is not None else None
        if digest is not None:
            self._edges[link] = digest

    def _remembered(self, key: str) -> str | None:
        """Return the digest of a remembered value, which stays from here on until this run has ended."""
        record = self._context.memo_get(key)
        if record is None or not self._context.hold_value(record["value"]):
            return None
        self._held.append(record["value"])
        return str(record["value"])

    def _keep(self, delivered: Delivered) -> str:
        if delivered.digest is None:
            return self._store(delivered.value)
        self._held.append(delivered.digest)
        return delivered.digest

    def _store(self, value: Any) -> str:
        digest = self._context.put_value(value, use_ram=self._use_ram)
        self._held.append(digest)
        return digest

    def _commit(self, run: BoundRun) -> dict[str, Any]:
        """Make the results visible together, and return them."""
        digests = {**run.known, **{name: self._edges[link] for name, link in run.wanted.items()}}
        with self._context.transaction():
            for name, digest in digests.items():
                self._context.save_digest(name, digest)
            for name, recipe in run.recipes.items():
                self._context.save(name, recipe.to_json(), pass_by="ref")
        results: dict[str, Any] = {}
        for name, output in self._plan.outputs.items():
            if output.kind == "passthru" and name not in digests:
                continue
            if name in run.recipes:
                results[name] = self._reference(name, output.type, run.recipes[name])
            else:
                results[name] = self._context.load(name)
        return results

    def _reference(self, name: str, type_name: str, recipe: Recipe) -> Reference:
        reference = Reference(name, type_name, recipe)
        self._context.remember_origin(reference, recipe.to_json())
        return reference
