"""Plans: the compiler's data with the methods that explain, write, compare and run it."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from discomfort.compiler import CompileError, compile_to
from discomfort.compiler.plan.explain import explain
from discomfort.compiler.plan.json_form import dumps, plan_from_json, plan_to_json
from discomfort.compiler.plan.model import PlanData
from discomfort.ir.gc_pause import paused_collector
from discomfort.near_names import did_you_mean

if TYPE_CHECKING:
    import networkx

    from discomfort.compiler import CompileOptions, Rules
    from discomfort.compiler.plan.model import Source
    from discomfort.context.context import WorkflowContext
    from discomfort.context.snapshot import Snapshot
    from discomfort.ir.catalog.catalog import Catalog
    from discomfort.runtime.engines.protocol import Engine
    from discomfort.runtime.running.options import EffectsMode, RunOptions
    from discomfort.runtime.running.progress import OnProgress
    from discomfort.runtime.running.sweep import SweepPoint

logger: logging.Logger = logging.getLogger("discomfort")


@dataclass(frozen=True, repr=False)
class Plan(PlanData):
    """An optimised program, ready to run on a context.

    Example:
        >>> plan = discomfort.compile(["load_vae.json", "main_workflow.json"])
        >>> with discomfort.Context() as context:
        ...     context.save("photo", discomfort.Tools.open_image_as_tensor("coffee.png"))
        ...     results = plan.run(context, inputs={"width": 64, "strength": 0.5})
        >>> results["output"].shape[2]
        64
    """

    @cached_property
    def editor_workflow(self) -> dict[str, Any] | None:
        """The program as one workflow that the editor opens; None where its parts cannot be joined in that form."""
        from discomfort.compiler.frontend import load_workflow
        from discomfort.editor_documents.join import stitch_documents
        from discomfort.ir.catalog.catalog import default_catalog

        catalog = default_catalog()
        try:
            return stitch_documents([load_workflow(source, catalog) for source in self.sources]).document()
        except CompileError:
            return None

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON-able data; equal input gives equal data, on every machine."""
        with paused_collector():
            return plan_to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Return the plan that `to_json` wrote.

        Raises:
            ValueError: the data is not a plan, one of another version, or one that cannot run (links to nodes that are
                not there, cycles, parameters that are not inputs): says what is wrong with it.
        """
        with paused_collector():
            return plan_from_json(cls, data)

    def to_networkx(self) -> networkx.MultiDiGraph[Any]:
        """Return the plan as a networkx graph; `discomfort.compiler.plan.networkx_form` lists its attributes."""
        from discomfort.compiler.plan.networkx_form import to_networkx

        return to_networkx(self)

    def explain(self) -> str:
        """Return the plan as text: what it needs, gives and does, and what was optimised away and why."""
        return explain(self)

    def diff(self, other: Plan) -> str:
        """Return what changes from this plan to `other`: a unified diff of their JSON, empty where they are equal."""
        before, after = dumps(self.to_json()), dumps(other.to_json())
        return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "before", "after", n=2))

    def run(
        self,
        context: WorkflowContext,
        *,
        inputs: Mapping[str, Any] | None = None,
        iterations: int = 1,
        use_ram: bool = True,
        effects: EffectsMode = "run",
        engine: Engine | str | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Any]:
        """Run the plan and return its results by name; blocks, also inside a running event loop (as in Jupyter).

        A run reads `inputs` and the context as it is when the run begins. Other runs and saves at the same time do not
        change that, nor what it returns. Inputs and results appear in the context together when the run ends. A run
        that fails saves neither; what it computed is remembered and not computed again.

        Args:
            context: holds the parameters, and the results afterwards.
            inputs: values of this run by name; saved into the context together with its results.
            iterations: how often to run; what is written under a name that is also read feeds the next iteration. Each
                iteration saves its results; one that fails leaves those of the iteration before.
            use_ram: whether results may live in RAM; False writes them to disk.
            effects: "skip" leaves out nodes that are run for what they do (SaveImage…).
            engine: an engine or its name: "embedded", "comfyui:PATH", "inprocess:PATH" or the URL of a running ComfyUI.
                By default what DISCOMFORT_ENGINE names, else the ComfyUI in whose folder this is, else embedded.
            on_progress: called with a `ProgressUpdate` at every event, from the engine's thread.

        Raises:
            BindError: values are missing or do not fit their ports.
            EngineError: a node failed (`NodeFailed`), or the engine did.
            TypeError, ValueError: an argument is not what it should be.
        """
        from discomfort.runtime.engine_thread import run_blocking
        from discomfort.runtime.running.options import RunOptions

        options = RunOptions(
            inputs={} if inputs is None else inputs,
            iterations=iterations,
            use_ram=use_ram,
            effects=effects,
            engine=engine,
            on_progress=on_progress,
        )
        return run_blocking(self._run(context, options))

    async def arun(
        self,
        context: WorkflowContext,
        *,
        inputs: Mapping[str, Any] | None = None,
        iterations: int = 1,
        use_ram: bool = True,
        effects: EffectsMode = "run",
        engine: Engine | str | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Any]:
        """Run the plan without blocking the event loop; otherwise as `run`."""
        from discomfort.runtime.engine_thread import run_awaiting
        from discomfort.runtime.running.options import RunOptions

        options = RunOptions(
            inputs={} if inputs is None else inputs,
            iterations=iterations,
            use_ram=use_ram,
            effects=effects,
            engine=engine,
            on_progress=on_progress,
        )
        return await run_awaiting(self._run(context, options))

    def sweep(
        self,
        context: WorkflowContext,
        parameters: Mapping[str, Iterable[Any]],
        *,
        engine: Engine | str | None = None,
        effects: EffectsMode = "run",
        on_progress: OnProgress | None = None,
    ) -> list[SweepPoint]:
        """Run the plan once for every combination of `parameters`, the last one varying fastest.

        Points whose results are remembered in the context are not run again, so that a sweep that was broken off
        continues. Each point reads the context as it was when the sweep began, and none reads what another wrote. The
        context holds the last point's values afterwards.

        Args:
            context: holds the other parameters, and remembers results.
            parameters: input name → the values to try.
            engine: as for `run`.
            effects: as for `run`.
            on_progress: as for `run`.

        Raises:
            SweepError: a point failed; `done` holds the points before it.
            TypeError, ValueError: an argument is not what it should be.
        """
        from discomfort.runtime.engine_thread import run_blocking
        from discomfort.runtime.running.engine_registry import executor_for
        from discomfort.runtime.running.options import RunOptions
        from discomfort.runtime.running.progress import RunProgress
        from discomfort.runtime.running.sweep import sweep

        options = RunOptions(effects=effects, engine=engine, on_progress=on_progress)
        check_context(context)
        points = list_points(parameters)

        async def work() -> list[SweepPoint]:
            total = 1
            for values in points.values():
                total *= len(values)
            executor = executor_for(options.engine, context)
            with RunProgress(total, options.on_progress) as progress, self._snapshot(context, points) as snapshot:
                return await sweep(executor, self, snapshot, points, options, progress)

        return run_blocking(work())

    async def _run(self, context: WorkflowContext, options: RunOptions) -> dict[str, Any]:
        from discomfort.runtime.running.engine_registry import executor_for
        from discomfort.runtime.running.progress import RunProgress

        check_context(context)
        inputs = options.inputs
        warn_misspelled_inputs(inputs, self.inputs)
        executor = executor_for(options.engine, context)
        progress = RunProgress(options.iterations, options.on_progress)
        with progress, self._snapshot(context, inputs) as snapshot:
            for name, value in inputs.items():
                snapshot.save(name, value, options.use_ram)
            return await executor.run(self, snapshot, options, progress, self._extra_pnginfo(options.effects))

    def _snapshot(self, context: WorkflowContext, inputs: Collection[str]) -> Snapshot:
        """Return what a run reads of `context` now, besides `inputs`."""
        from discomfort.context.snapshot import Snapshot

        return Snapshot(context, [name for name, port in self.inputs.items() if port.required and name not in inputs])

    def _extra_pnginfo(self, effects: EffectsMode) -> dict[str, Any]:
        """Return what pictures saved by this run carry, so that dropping one into the editor opens the program."""
        if effects == "skip" or not self.effects or not self.sources:
            return {}
        workflow = self.editor_workflow
        return {} if workflow is None else {"workflow": workflow}


def compile(
    workflows: Sequence[Source],
    *,
    catalog: Catalog | None = None,
    outputs: Sequence[str] | None = None,
    order: Literal["list", "auto"] = "list",
    rules: Rules = None,
    options: CompileOptions | None = None,
) -> Plan:
    """Compile workflows into one plan that can run.

    Args:
        workflows: paths, parsed JSON, JSON text, or the content of a media file that embeds a workflow.
        catalog: the node classes to check against; the bundled ones by default.
        outputs: the results to keep, PASSTHRU ports among them; by default all OUTPUT ports.
        order: "list" runs the workflows as given, "auto" sorts them by what they read and write.
        rules: which types travel by value and which by reference: a mapping of types to "val" or "ref", or a file; by
            default the user's `pass_by_rules.json`.
        options: see `CompileOptions`.

    Raises:
        CompileError: with everything that is wrong, each with its place.
        ConfigError, OSError: the rules are wrong, or their file cannot be read.
        TypeError: an argument is not what it should be.

    Example:
        >>> plan = discomfort.compile(["load_vae.json", "main_workflow.json"], outputs=["output"])
        >>> sorted(plan.inputs), list(plan.outputs)
        (['photo', 'strength', 'width'], ['output'])
    """
    return compile_to(Plan, workflows, catalog=catalog, outputs=outputs, order=order, rules=rules, options=options)


def check_context(context: object) -> None:
    """Check what a plan is to be run on.

    Raises:
        TypeError: it is not a Context.
    """
    from discomfort.context.context import WorkflowContext

    if not isinstance(context, WorkflowContext):
        raise TypeError(f"a plan runs on a Context, not on {context!r}; open one: with discomfort.Context() as context")


def warn_misspelled_inputs(inputs: Collection[str], expected: Collection[str]) -> None:
    """Warn of values for names that the plan does not read, where one that it reads and that has no value is similar.

    No error, since values may be meant for a later run. But an earlier value under the right name would be taken
    silently in their place.
    """
    left = [name for name in expected if name not in inputs]
    for name in inputs:
        if name not in expected and left and (hint := did_you_mean(str(name), left)):
            logger.warning("no input of this plan is called %r; %s", name, hint)


def list_points(parameters: object) -> dict[str, list[Any]]:
    """Return the values to try of each parameter of a sweep, as lists.

    Raises:
        TypeError: naming each parameter whose values are not a list.
    """
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters maps names to lists of values, found {type(parameters).__name__}")
    wrong = [
        f"{name!r} is {type(values).__name__} {values!r:.60}"
        for name, values in parameters.items()
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable)
    ]
    if wrong:
        raise TypeError(f"a sweep takes a list of values for each parameter, but {', '.join(wrong)}")
    return {name: list(values) for name, values in parameters.items()}
