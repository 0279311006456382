"""A catalog from a file, or from an answer of `/object_info`, with our own classes in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discomfort.ir.catalog.catalog import Catalog, own_catalog
from discomfort.ir.catalog.checked import LARGEST_CATALOG, checked_catalog, parse_catalog


def read_catalog(source: str | os.PathLike[str] | Mapping[str, Any]) -> Catalog:
    """Return the catalog in `source` with our own node classes where it lacks them.

    Entries that cannot be used are left out; `Catalog.unusable` says which and why.

    Args:
        source: a snapshot or a saved `/object_info` answer (JSON, gzip or not), or the answer itself.

    Raises:
        ValueError: the source is not a mapping of node classes, or not a single entry of it can be used.
        OSError: the file cannot be read.

    Example:
        >>> twice = {"input": {"required": {"number": ["INT"]}}, "output": ["INT"]}
        >>> catalog = discomfort.read_catalog({"Twice": twice})
        >>> [spec.name for spec in catalog["Twice"].inputs]
        ['number']
    """
    if isinstance(source, Mapping):
        return own_catalog().merged(checked_catalog(source, "<dict>"))
    with Path(source).open("rb") as file:
        content = file.read(LARGEST_CATALOG + 1)
    return own_catalog().merged(parse_catalog(content, str(source)))
