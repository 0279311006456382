"""What `compile` was called with: mistakes of the call itself, all of them reported before anything is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from discomfort.ir.catalog.catalog import Catalog
from discomfort.printable import shortened

ORDERS = ("list", "auto")
_LONGEST_SHOWN = 60


def list_sources(workflows: object) -> tuple[Any, ...]:
    """Return the workflows as a tuple.

    Raises:
        TypeError: they are a single workflow, or nothing that can be listed.
    """
    if isinstance(workflows, (str, bytes, os.PathLike, Mapping)) or not isinstance(workflows, Iterable):
        raise TypeError(
            f"expected a list of workflows, found {_shown(workflows)}; one workflow is a list, too: [workflow]"
        )
    return tuple(workflows)


def check_arguments(catalog: object, outputs: object, order: object) -> None:
    """Check the rest of a call.

    Raises:
        TypeError: naming each argument that is not what it should be.
    """
    wrong = []
    if catalog is not None and not isinstance(catalog, Catalog):
        hint = "discomfort.read_catalog(path) reads one"
        wrong.append(f"catalog is {_shown(catalog)}, expected a Catalog: {hint}")
    if outputs is not None and not _are_names(outputs):
        wrong.append(f"outputs is {_shown(outputs)}, expected a list of names")
    if order not in ORDERS:
        wrong.append(f"order is {_shown(order)}, expected {' or '.join(map(repr, ORDERS))}")
    if wrong:
        raise TypeError("; ".join(wrong))


def _are_names(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(name, str) for name in value)


def _shown(value: object) -> str:
    return f"{type(value).__name__} {shortened(repr(value), _LONGEST_SHOWN)}"
