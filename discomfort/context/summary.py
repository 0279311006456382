"""What a context holds, for people and for the runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discomfort.context.index.records import Blob, Name
from discomfort.context.index.state import State
from discomfort.context.values import decode
from discomfort.context.values.encoded import describe_value

if TYPE_CHECKING:
    from discomfort.context.tiers.store import Store

_TITLES = ("key", "type", "size", "tier", "pass by")
_KEY_WIDTH = 40


@dataclass(frozen=True, slots=True)
class Description:
    """A value, without its bytes.

    Attributes:
        digest: content digest.
        kind: "json", "tensor", "array", "bytes", "pickle", "tree" (a container with bulk data in it) or "recipe".
        type: type and shape, for people.
        shape: of a tensor or array, else None.
        dtype: of a tensor or array as torch or numpy writes it ("float32", "<f4"), else None.
        size: bytes stored.
        tier: "ram" or "disk".
        pass_by: "val" or "ref".
    """

    digest: str
    kind: str
    type: str
    shape: tuple[int, ...] | None
    dtype: str | None
    size: int
    tier: str
    pass_by: str


def describe(state: State, name: Name) -> Description:
    """Describe a name of a blob."""
    assert name.digest is not None
    blob = state.blobs[name.digest]
    kind, dtype, shape = blob.info
    if name.pass_by == "ref":
        kind = "recipe"
    return Description(name.digest, kind, blob.text, shape, dtype, blob.size, tier(blob), name.pass_by)


def tier(blob: Blob | None) -> str:
    """Which tier a blob is in, "ram" or "disk"; what lies in the index is in RAM."""
    return "disk" if blob is not None and blob.place == "disk" else "ram"


def storage_info(state: State, store: Store, name: Name) -> dict[str, Any]:
    """What `get_storage_info` returns for a name."""
    blob = None if name.digest is None else state.blobs.get(name.digest)
    size = _size(name, blob)
    info: dict[str, Any] = {"storage_type": tier(blob), "size": size, "pass_by": name.pass_by}
    if blob is not None and blob.place != "index":
        info["path" if blob.place == "disk" else "shm_name"] = str(store.path(blob))
    else:
        info["shm_name"] = str(store.index_path)
    return info


def table(run_id: str, state: State, usage: dict[str, Any], names: Sequence[tuple[str, Name]]) -> str:
    """The readable table of `summary()`."""
    rows = [_TITLES, *(_row(state, unique_id, name) for unique_id, name in names)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    ram = f"RAM {readable_size(usage['ram_usage_bytes'])} of {readable_size(usage['ram_capacity_bytes'])}"
    disk = f"disk {readable_size(usage['temp_disk_usage_bytes'])}"
    count = f"{len(names)} value{'s' if len(names) != 1 else ''}"
    head = f"WorkflowContext {run_id!r}: {count}, {ram}, {disk}"
    return "\n".join([head, *lines] if names else [head])


def readable_size(size: int) -> str:
    """Bytes in the unit that fits: ``786.4 kB`` (decimal)."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def _row(state: State, unique_id: str, name: Name) -> tuple[str, ...]:
    blob = None if name.digest is None else state.blobs.get(name.digest)
    if name.pass_by == "ref":
        text = "recipe"
    elif blob is not None:
        text = blob.text
    else:
        text = describe_value(decode.from_inline(name.payload)) if name.payload is not None else "?"
    shown = json.dumps(unique_id, ensure_ascii=not unique_id.isprintable())[1:-1]
    if len(shown) > _KEY_WIDTH:
        shown = shown[: _KEY_WIDTH - 1] + "…"
    return shown, text, readable_size(_size(name, blob)), tier(blob), name.pass_by


def _size(name: Name, blob: Blob | None) -> int:
    if blob is not None:
        return blob.size
    return 0 if name.payload is None else len(name.payload)
