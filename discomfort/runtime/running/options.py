"""How a plan is run: one checked value that goes from `Plan.run` down to the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from discomfort.runtime.engines.protocol import Engine
    from discomfort.runtime.running.progress import OnProgress

EffectsMode = Literal["run", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `Plan.run` gets besides the context; see there.

    Raises:
        TypeError, ValueError: a field is not what it should be.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    iterations: int = 1
    use_ram: bool = True
    effects: EffectsMode = "run"
    engine: Engine | str | None = None
    on_progress: OnProgress | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, Mapping):
            raise TypeError(f"inputs maps names to values, found {type(self.inputs).__name__}")
        if isinstance(self.iterations, bool) or not isinstance(self.iterations, int):
            raise TypeError(f"iterations is a whole number, found {self.iterations!r}")
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, not {self.iterations}")
        if self.effects not in ("run", "skip"):
            raise ValueError(f"effects is 'run' or 'skip', found {self.effects!r}")
