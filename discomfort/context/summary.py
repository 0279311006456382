"""What a context holds, for people and for the runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from discomfort.context.store.entries import Name, StoredValue
from discomfort.context.store.protocol import Contents, Store
from discomfort.context.values import decode
from discomfort.context.values.encoded import describe_value
from discomfort.settings.context import GIB

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


def describe(contents: Contents, name: Name) -> Description:
    """Describe a name that refers to a value by its digest."""
    assert name.digest is not None
    blob = contents.blobs[name.digest]
    kind, dtype, shape = blob.info
    if name.pass_by == "ref":
        kind = "recipe"
    return Description(name.digest, kind, blob.text, shape, dtype, blob.size, blob.tier, name.pass_by)


def storage_info(store: Store, name: Name) -> dict[str, Any]:
    """What `get_storage_info` returns for a name."""
    blob = _blob(store.read(), name)
    info: dict[str, Any] = {"storage_type": _tier(blob), "size": _size(name, blob), "pass_by": name.pass_by}
    info["path" if _tier(blob) == "disk" else "shm_name"] = store.location(name.digest)
    return info


def usage(store: Store, names: int) -> dict[str, Any]:
    """What `get_usage` returns."""
    used, memos = store.usage(), len(store.read().memos)
    return {
        "ram_usage_bytes": used.ram,
        "ram_capacity_bytes": used.ram_capacity,
        "ram_usage_gb": used.ram / GIB,
        "ram_capacity_gb": used.ram_capacity / GIB,
        "temp_disk_usage_bytes": used.disk,
        "temp_disk_usage_mb": used.disk / 1024**2,
        "unfinished_disk_bytes": used.unfinished,
        "memo_usage_bytes": used.memo,
        "memo_capacity_bytes": used.memo_capacity,
        "memo_usage_gb": used.memo / GIB,
        "memo_capacity_gb": used.memo_capacity / GIB,
        "memo_keys_count": memos,
        "stored_keys_count": names,
        "held_values_count": used.held,
    }


def table(run_id: str, contents: Contents, usage: dict[str, Any], names: Sequence[tuple[str, Name]]) -> str:
    """The readable table of `summary()`."""
    rows = [_TITLES, *(_row(contents, unique_id, name) for unique_id, name in names)]
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


def _row(contents: Contents, unique_id: str, name: Name) -> tuple[str, ...]:
    blob = _blob(contents, name)
    if name.pass_by == "ref":
        text = "recipe"
    elif blob is not None:
        text = blob.text
    else:
        text = describe_value(decode.from_inline(name.payload)) if name.payload is not None else "?"
    shown = json.dumps(unique_id, ensure_ascii=not unique_id.isprintable())[1:-1]
    if len(shown) > _KEY_WIDTH:
        shown = shown[: _KEY_WIDTH - 1] + "…"
    return shown, text, readable_size(_size(name, blob)), _tier(blob), name.pass_by


def _blob(contents: Contents, name: Name) -> StoredValue | None:
    return None if name.digest is None else contents.blobs.get(name.digest)


def _tier(blob: StoredValue | None) -> str:
    return "ram" if blob is None else blob.tier


def _size(name: Name, blob: StoredValue | None) -> int:
    if blob is not None:
        return blob.size
    return 0 if name.payload is None else len(name.payload)
