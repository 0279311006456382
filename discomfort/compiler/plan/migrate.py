"""Plans that older releases wrote, converted to the present version of plan JSON.

Whoever changes the JSON of plans raises `PLAN_VERSION`, adds the step from the version before to `MIGRATIONS`, and
keeps a plan of that version in `tests/golden/plan/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from discomfort.compiler.plan.model import PLAN_VERSION

Migration: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns the data of a plan in the next version; never changes what it is given."""

MIGRATIONS: Mapping[int, Migration] = {}
"""Version → the step to the version after it. Version 1 is the first one, so there is none yet."""


def migrated(
    data: Mapping[str, Any], migrations: Mapping[int, Migration] = MIGRATIONS, newest: int = PLAN_VERSION
) -> Mapping[str, Any]:
    """Return the data of a plan in version `newest`.

    Raises:
        ValueError: it has no version, a newer one, or one from which no migration leads here.
    """
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"this plan has version {version!r:.40}, expected a whole number from 1: it is damaged")
    if version > newest:
        raise ValueError(
            f"this plan has version {version}, and this release of Discomfort reads plans up to version {newest}: "
            "update Discomfort, or compile the workflows again"
        )
    for step in range(version, newest):
        if step not in migrations:
            raise ValueError(
                f"this plan has version {version}, which this release of Discomfort no longer reads (it writes version "
                f"{newest}): compile the workflows again"
            )
        data = {**migrations[step](data), "version": step + 1}
    return data
