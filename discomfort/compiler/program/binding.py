"""Which definition of a name reached a use of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

BindingKind: TypeAlias = Literal["output", "passthru", "context", "carried"]


@dataclass(frozen=True, slots=True)
class Binding:
    """Which definition reached a use: workflow `reader` reads `name` from workflow `writer`, or from outside (None).

    `kind` is "output" or "passthru" (the port that defines it), "context" (from outside), or "carried" (from outside
    at first, from the previous iteration after that).
    """

    name: str
    reader: str
    writer: str | None
    kind: BindingKind
