"""Parameter sweeps: one run for every combination of values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discomfort.compiler.plan.model import PlanData
from discomfort.errors import DiscomfortError
from discomfort.printable import counted
from discomfort.runtime.running.executor import Executor
from discomfort.runtime.running.options import RunOptions
from discomfort.runtime.running.progress import RunProgress

if TYPE_CHECKING:
    from discomfort.context.snapshot import Snapshot


class SweepError(DiscomfortError, RuntimeError):
    """A point of a sweep failed; `done` holds the points before it, `parameters` the failing point's values."""

    def __init__(self, parameters: Mapping[str, Any], done: Sequence[SweepPoint], cause: BaseException) -> None:
        self.parameters: dict[str, Any] = dict(parameters)
        self.done: list[SweepPoint] = list(done)
        at = ", ".join(f"{name}={value!r}" for name, value in parameters.items())
        super().__init__(f"the sweep failed at {at} after {counted(len(self.done), 'point')}: {cause}")


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One point of a sweep: the values it ran with and what came out, by name.

    Example:
        >>> plan = discomfort.compile([{"1": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "size"}},
        ...     "2": {"class_type": "EmptyImage", "inputs": {
        ...         "width": ["1", 0], "height": 8, "batch_size": 1, "color": 0}},
        ...     "3": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "picture", "input": ["2", 0]}}}])
        >>> with discomfort.Context() as context:
        ...     points = plan.sweep(context, {"size": [16, 32]})
        >>> [(point.parameters["size"], point.results["picture"].shape[2]) for point in points]
        [(16, 16), (32, 32)]
    """

    parameters: Mapping[str, Any]
    results: Mapping[str, Any]


async def sweep(
    executor: Executor,
    plan: PlanData,
    snapshot: Snapshot,
    parameters: Mapping[str, Sequence[Any]],
    options: RunOptions,
    progress: RunProgress,
) -> list[SweepPoint]:
    """Run `plan` at every combination of `parameters`, the last one varying fastest, and return the points in order.

    Every point is bound to `snapshot` and its own values, and sees neither another point nor what others save.

    Raises:
        ValueError: a name is not an input of the plan.
        SweepError: a point failed; the points before it are in the error, and remembered in the context.
    """
    unknown = [name for name in parameters if name not in plan.inputs]
    if unknown:
        raise ValueError(f"no input of the plan is called {', '.join(unknown)}; it has {', '.join(plan.inputs)}")
    done: list[SweepPoint] = []
    for values in itertools.product(*parameters.values()):
        point = dict(zip(parameters, values, strict=True))
        with snapshot.fork() as own:
            for name, value in point.items():
                own.save(name, value)
            try:
                results = await executor.run(plan, own, options, progress)
            except DiscomfortError as error:
                raise SweepError(point, done, error) from error
        done.append(SweepPoint(point, results))
    return done
