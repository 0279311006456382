"""The Context: a store of values, shared by processes, that lives as long as its owner."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from discomfort.context import summary
from discomfort.context.base import leave
from discomfort.context.errors import (
    ContextClosedError,
    EncodingError,
)
from discomfort.context.home import ownership
from discomfort.context.home.os_support import available_ram, free_bytes
from discomfort.context.values import file_formats
from discomfort.context.values_by_content import ContentValues
from discomfort.settings.context import GIB, load_config

_PUBLIC = (
    "attach",
    "closed",
    "delete",
    "digest",
    "export_data",
    "get_storage_info",
    "get_usage",
    "handle",
    "import_data",
    "list_keys",
    "load",
    "recipe",
    "run_id",
    "save",
    "shutdown",
    "summary",
    "transaction",
    "verify",
)
"""What programs use; the other methods are between the context and the engines, and may change."""


class WorkflowContext(ContentValues):
    """Values by name: in RAM while they fit, on disk beyond, shared with other processes, gone after `shutdown`.

    Small values, tensors, arrays, containers of them and anything cloudpickle takes come back as they went in. A loaded
    tensor is a copy-on-write mapping: change it freely, the stored value never changes.

    Args:
        config_path: a ``workflow_context.json``; by default the one next to the package, if any.
        max_ram_gb: RAM budget in GiB; wins over the configuration.
        run_id: name of the run; generated when None.
        create: make a new run. False attaches to an existing one, or adopts it when its owner died.
        max_memo_gb: how much remembered results may take, in GiB, that nothing else needs; wins over the configuration.

    Raises:
        FileNotFoundError: there is no such run (create=False), or no such configuration file.
        FileExistsError: a run of this name is alive (create=True).
        UnsafeDirectoryError: a context directory is a link, another user's, or writable by others.

    Example:
        >>> with discomfort.Context() as context:
        ...     context.save("seed", 7)
        ...     context.load("seed")
        7
    """

    def __init__(
        self,
        config_path: str | os.PathLike[str] | None = None,
        max_ram_gb: float | None = None,
        run_id: str | None = None,
        create: bool = True,
        max_memo_gb: float | None = None,
    ) -> None:
        config = load_config(config_path)
        roots = ownership.Roots(config)
        if not create and run_id is None:
            raise ValueError("create=False attaches to an existing run: say which by run_id")
        with roots.locked():
            if create:
                roots.reclaim()
                budget = config.ram_budget(0 if max_ram_gb is not None else available_ram(), max_ram_gb)
                memo_budget = config.memo_budget(free_bytes(roots.disk), max_memo_gb)
                run, owner = roots.create(_new_run_id() if run_id is None else run_id, budget, memo_budget)
                self._open(run, owner, create=True)
            else:
                assert run_id is not None
                roots.reclaim(keep=run_id)
                run = roots.find(run_id)
                self._open(run, ownership.adopt(run), create=False)

    @classmethod
    def attach(cls, handle: Mapping[str, Any]) -> WorkflowContext:
        """Open the context another process has, from the `handle` it gave. Shutting this one down removes nothing.

        Raises:
            ContextClosedError: that context is over.
        """
        context = cls.__new__(cls)
        context._open(ownership.run_of_handle(dict(handle)), None, create=False)
        return context

    def get_usage(self) -> dict[str, Any]:
        """Bytes in RAM, on disk and of the memo, what they may be, and how many values have a name or are held.

        The bytes on disk include files that are being written, and those of killed processes until they are removed;
        `unfinished_disk_bytes` says how much that is. The memo's are those of results that nothing else needs.
        """
        state = self._index.read()
        ram = state.inline_bytes + sum(state.segments.get(number, 0) for number in list(state.users))
        unfinished = self._store.unfinished_bytes()
        disk = state.disk_bytes + unfinished
        return {
            "ram_usage_bytes": ram,
            "ram_capacity_bytes": self._run.capacity,
            "ram_usage_gb": ram / GIB,
            "ram_capacity_gb": self._run.capacity / GIB,
            "temp_disk_usage_bytes": disk,
            "temp_disk_usage_mb": disk / 1024**2,
            "unfinished_disk_bytes": unfinished,
            "memo_usage_bytes": state.references.memo_bytes,
            "memo_capacity_bytes": self._run.memo_capacity,
            "memo_usage_gb": state.references.memo_bytes / GIB,
            "memo_capacity_gb": self._run.memo_capacity / GIB,
            "memo_keys_count": len(state.memos),
            "stored_keys_count": len(self.list_keys()),
            "held_values_count": len(state.holders.digests()),
        }

    def get_storage_info(self, unique_id: str) -> dict[str, Any] | None:
        """Where a value lies: storage_type, size in bytes, pass_by, shm_name (RAM) or path (disk); None if unknown."""
        name = self._find(unique_id)
        if name is None:
            return None
        return summary.storage_info(self._index.read(), self._store, name)

    def summary(self) -> str:
        """A readable table: key, type and shape, size, tier, pass-by."""
        state = self._index.read()
        names = [(unique_id, self._find(unique_id)) for unique_id in self.list_keys()]
        return summary.table(self._run.run_id, state, self.get_usage(), [(key, name) for key, name in names if name])

    def __repr__(self) -> str:
        try:
            return self.summary()
        except ContextClosedError as error:
            return f"<WorkflowContext {self._run.run_id!r}: {error}>"

    def verify(self) -> list[str]:
        """Recompute every digest from the stored bytes; returns the names and digests of values that are damaged."""
        state = self._index.read()
        damaged = {digest for digest in list(state.blobs) if not self._store.verify(digest)}
        names = {name.digest: unique_id for unique_id, name in list(state.names.items())}
        return sorted(names.get(digest, digest) for digest in damaged if self.has_value(digest))

    def export_data(
        self,
        unique_id: str,
        destination_path: str | os.PathLike[str],
        overwrite: bool = False,
        format: str = "pkl",
    ) -> None:
        """Write a value to a file of its own, completely or not at all; it then leaves the context.

        Args:
            unique_id: which value.
            destination_path: where to; missing folders are created.
            overwrite: replace a file that exists.
            format: "pkl" (cloudpickle, any value), "safetensors", "npy" or "png" where the value allows.

        Raises:
            UnknownKeyError: no such name; a KeyError.
            EncodingError: a ref, or a value this format cannot hold; a TypeError.
            FileExistsError: the file exists and overwrite is False.
        """
        if self._name(unique_id).pass_by == "ref":
            raise EncodingError(
                f"{unique_id!r} is passed by reference and has no value to export; "
                f'context.recipe({unique_id!r}) gives its workflow, and the rule "val" for its type stores the value'
            )
        file_formats.write_value(self.load(unique_id), Path(destination_path), overwrite, format)
        self.delete(unique_id)

    def import_data(
        self,
        unique_id: str,
        source_path: str | os.PathLike[str],
        use_ram: bool = True,
        format: str | None = None,
    ) -> None:
        """Save what `export_data` wrote; the format is that of the file name unless given.

        A .pkl runs code when read, as every pickle does: import only files you trust.
        """
        self.save(unique_id, file_formats.read_value(Path(source_path), format), use_ram)

    @property
    def run_id(self) -> str:
        """The name of the run."""
        return self._run.run_id

    @property
    def closed(self) -> bool:
        """Was this context shut down?"""
        return self._index.closed

    def handle(self) -> dict[str, Any]:
        """A JSON-able ticket with which another process of this user on this machine can `attach`."""
        return self._run.to_json()

    def shutdown(self) -> None:
        """Free everything: all RAM and disk when we own the run, our part of it otherwise. Twice is once.

        Values loaded before stay valid.
        """
        if self._finalizer.alive:
            if self._owner is None:
                leave(self._index, self._store, self._member, wait=True)
            self._finalizer()

    def __dir__(self) -> list[str]:
        """The methods and properties that programs use, for completion in editors and notebooks."""
        return list(_PUBLIC)

    def __enter__(self) -> WorkflowContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkflowContext.attach, (self.handle(),)


def _new_run_id() -> str:
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(4)
