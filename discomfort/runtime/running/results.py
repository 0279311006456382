"""What a run returns for a result whose value this Python may be unable to rebuild."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from discomfort.context.errors import UnreadableValueError
from discomfort.context.values.opaque import opaque_value

if TYPE_CHECKING:
    from discomfort.compiler.plan.model import PlanOutput


def loaded_result(load: Callable[[str], Any], output: PlanOutput) -> Any:
    """Return the value of a result, or an `OpaqueValue` that names it; `load` gives the value of a name."""
    try:
        return load(output.name)
    except UnreadableValueError as error:
        return opaque_value(error, f"output {output.name!r} ({output.type})")
