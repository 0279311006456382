"""The Context: a store of values, shared by processes, that lives as long as its owner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from discomfort.context import summary
from discomfort.context.errors import ContextClosedError, EncodingError
from discomfort.context.local_store import attach_run, open_run
from discomfort.context.memos import Memos
from discomfort.context.named_values import NamedValues
from discomfort.context.refs.live_refs import LiveRefs
from discomfort.context.refs.recipes import Recipe
from discomfort.context.store.entries import INLINE_BYTES, MISSING
from discomfort.context.store.protocol import Store
from discomfort.context.transaction import ACTIVE, Transaction
from discomfort.context.values import file_formats
from discomfort.context.values.decode import TEXT
from discomfort.context.values.encode import encode_atom
from discomfort.context.values_by_content import ValuesByContent

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
"""What programs use; the attributes are between the context and the engines, and may change."""


class WorkflowContext:
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
        self._use(open_run(config_path, max_ram_gb, run_id, create, max_memo_gb))

    @classmethod
    def attach(cls, handle: Mapping[str, Any]) -> WorkflowContext:
        """Open the context another process has, from the `handle` it gave. Shutting this one down removes nothing.

        Raises:
            ContextClosedError: that context is over.
        """
        return cls.over(attach_run(dict(handle)))

    @classmethod
    def over(cls, store: Store) -> WorkflowContext:
        """Return a context whose values lie in another store; it is shut down with the context."""
        context = cls.__new__(cls)
        context._use(store)
        return context

    def _use(self, store: Store) -> None:
        self.store: Store = store
        self._index = store.index
        self.refs: LiveRefs = LiveRefs(store)
        self.names: NamedValues = NamedValues(store, self.refs)
        self.values: ValuesByContent = ValuesByContent(store)
        self.memos: Memos = Memos(store)

    def save(self, unique_id: str, data: Any, use_ram: bool = True, pass_by: str = "val") -> None:
        """Store a value under a name; it is visible to all processes when this returns, and not before.

        Args:
            unique_id: any string.
            data: the value; for pass_by="ref" the workflow that rebuilds it.
            use_ram: keep it in RAM while there is room; False forces disk.
            pass_by: "val" stores the value, "ref" the recipe. An object that came out of a ref is stored as its recipe;
                a tensor or a container that has been changed since as the value that it is now.

        Raises:
            EncodingError: the value cannot be stored, or is a model that came out of a ref and has been changed since;
                a TypeError.
            OSError: neither RAM nor disk has room; earlier values are intact.
        """
        if use_ram and pass_by == "val" and type(unique_id) is str and ACTIVE.get() is None:
            text = encode_atom(data)
            if (
                text is not None
                and len(text) < INLINE_BYTES
                and self.store.save_small(unique_id, TEXT + text.encode(), data)
            ):
                return
        self.names.save(unique_id, data, use_ram, pass_by)

    def load(self, unique_id: str) -> Any:
        """The value of a name. Loading a ref runs its recipe, where something here can.

        What a ref gives may be changed where it is made of tensors and plain containers; other objects (a model) are
        shared with the engine, which uses them for further runs.

        Raises:
            UnknownKeyError: there is none; a KeyError that names near misses.
            CorruptValueError: the stored bytes are not those that were saved.
            UnreadableValueError: this Python cannot rebuild it, since only the server that made it has its class.
            UnresolvableRefError: the value is a ref and nothing here can run its recipe.
        """
        if ACTIVE.get() is None:
            name = self._index.read().names.get(unique_id)
            if name is not None and name.value is not MISSING:
                return name.value
        return self.names.load(unique_id)

    def delete(self, unique_id: str) -> None:
        """Remove a name; its value goes when nothing else refers to it.

        Raises:
            UnknownKeyError: the name does not exist.
        """
        self.names.delete(unique_id)

    def __contains__(self, unique_id: object) -> bool:
        """Is there a value of this name?"""
        return isinstance(unique_id, str) and self.names.find(unique_id) is not None

    def list_keys(self) -> list[str]:
        """All names, in the order in which they were first saved."""
        return self.names.keys()

    def recipe(self, unique_id: str) -> Recipe:
        """The workflow that rebuilds a ref.

        Raises:
            TypeError: the value is not passed by reference.
        """
        return self.names.recipe(unique_id)

    def digest(self, unique_id: str) -> str:
        """The content digest of a value: equal content, equal digest; 1, 1.0, True and "1" all differ.

        The value can be found by it, in every process, for as long as something refers to it.
        """
        return self.names.digest(unique_id)

    def transaction(self) -> Transaction:
        """A ``with`` block whose saves, deletions and memos become visible together at its end, or not at all.

        Transactions of a run exclude each other across threads and processes: what one reads, none other changes.
        """
        return Transaction(self.store)

    def get_usage(self) -> dict[str, Any]:
        """Bytes in RAM, on disk and of the memo, what they may be, and how many values have a name or are held.

        The bytes on disk include files that are being written, and those of killed processes until they are removed;
        `unfinished_disk_bytes` says how much that is. The memo's are those of results that nothing else needs.
        """
        return summary.usage(self.store, len(self.list_keys()))

    def get_storage_info(self, unique_id: str) -> dict[str, Any] | None:
        """Where a value lies: storage_type, size in bytes, pass_by, shm_name (RAM) or path (disk); None if unknown."""
        name = self.names.find(unique_id)
        return None if name is None else summary.storage_info(self.store, name)

    def summary(self) -> str:
        """A readable table: key, type and shape, size, tier, pass-by."""
        names = [(unique_id, self.names.find(unique_id)) for unique_id in self.list_keys()]
        shown = [(unique_id, name) for unique_id, name in names if name]
        return summary.table(self.run_id, self.store.read(), self.get_usage(), shown)

    def __repr__(self) -> str:
        try:
            return self.summary()
        except ContextClosedError as error:
            return f"<WorkflowContext {self.run_id!r}: {error}>"

    def verify(self) -> list[str]:
        """Recompute every digest from the stored bytes; returns the names and digests of values that are damaged."""
        contents = self.store.read()
        damaged = {digest for digest in list(contents.blobs) if not self.store.verify(digest)}
        names = {name.digest: unique_id for unique_id, name in list(contents.names.items())}
        return sorted(names.get(digest, digest) for digest in damaged if self.values.has(digest))

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
        if self.names.require(unique_id).pass_by == "ref":
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
        return self.store.run_id

    @property
    def closed(self) -> bool:
        """Was this context shut down?"""
        return self.store.closed

    def handle(self) -> dict[str, Any]:
        """A JSON-able ticket with which another process of this user on this machine can `attach`."""
        return self.store.handle()

    def shutdown(self) -> None:
        """Free everything: all RAM and disk when we own the run, our part of it otherwise. Twice is once.

        Values loaded before stay valid.
        """
        self.store.shutdown()

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
