"""The Context: a store of values, shared by processes, that lives as long as its owner."""

from __future__ import annotations

import difflib
import os
import secrets
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from discomfort.context import codec, exports, runs, summary
from discomfort.context.config import GIB, load_config
from discomfort.context.errors import (
    ContextClosedError,
    CorruptValueError,
    EncodingError,
    UnknownKeyError,
    UnresolvableRefError,
)
from discomfort.context.files import available_ram
from discomfort.context.index import Index
from discomfort.context.journal import Record
from discomfort.context.origins import Origins
from discomfort.context.recipes import Recipe, memo_of, recipe_value, referenced_digests
from discomfort.context.segments import Segments
from discomfort.context.state import (
    MISSING,
    Name,
    hold_record,
    memo_gone_record,
    memo_record,
    name_gone_record,
    name_record,
    put_record,
)
from discomfort.context.store import INLINE_BYTES, Store
from discomfort.context.summary import Description
from discomfort.context.transaction import ACTIVE, Gate, Transaction, current

Resolver = Callable[[str, Recipe], Any]
_ATOMS = (str, int, float, bool, type(None))
_ATTEMPTS = 64


class WorkflowContext:
    """Values by name: in RAM while they fit, on disk beyond, shared with other processes, gone after `shutdown`.

    Small values, tensors, arrays, containers of them and anything cloudpickle takes come back as they went in. A loaded
    tensor is a copy-on-write mapping: change it freely, the stored value never changes.

    Args:
        config_path: a ``workflow_context.json``; by default the one beside the package, if any.
        max_ram_gb: RAM budget in GiB; wins over the configuration.
        run_id: name of the run; generated when None.
        create: make a new run. False attaches to an existing one, or adopts it when its owner died.

    Raises:
        FileNotFoundError: there is no such run (create=False), or no such configuration file.
        FileExistsError: a run of this name is alive (create=True).
        UnsafeDirectoryError: a context directory is a link, another user's, or writable by others.

    Example:
        >>> with WorkflowContext() as context:
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
    ) -> None:
        config = load_config(config_path)
        roots = runs.Roots(config)
        if not create and run_id is None:
            raise ValueError("create=False attaches to an existing run: say which by run_id")
        with roots.locked():
            if create:
                roots.reclaim()
                budget = config.ram_budget(0 if max_ram_gb is not None else available_ram(), max_ram_gb)
                run, owner = roots.create(_new_run_id() if run_id is None else run_id, budget)
                self._open(run, owner, create=True)
            else:
                assert run_id is not None
                roots.reclaim(keep=run_id)
                run = roots.find(run_id)
                self._open(run, runs.adopt(run), create=False)
                if self._owner is not None:
                    self._store.sweep()

    @classmethod
    def attach(cls, handle: Mapping[str, Any]) -> WorkflowContext:
        """Open the context another process has, from the `handle` it gave. Shutting this one down removes nothing.

        Raises:
            ContextClosedError: that context is over.
        """
        context = cls.__new__(cls)
        context._open(runs.run_of_handle(dict(handle)), None, create=False)
        return context

    def _open(self, run: runs.Run, owner: int | None, create: bool) -> None:
        self._run = run
        self._owner = owner
        disk, ram = Path(run.disk), Path(run.ram)
        self._index = Index(ram, disk, create)
        self._segments = Segments(ram, run.capacity, self._index)
        self._store = Store(self._index, self._segments, disk / "blobs")
        self._gate = Gate(disk / "transaction.lock")
        self._inline_limit = run.capacity // 4
        self._origins = Origins()
        self._resolver: Resolver | None = None
        self._finalizer = weakref.finalize(
            self, _close, self._index, self._segments, self._gate, run, owner, os.getpid()
        )
        _CONTEXTS.add(self)

    # Values by name

    def save(self, unique_id: str, data: Any, use_ram: bool = True, pass_by: str = "val") -> None:
        """Store a value under a name; it is visible to all processes when this returns, and not before.

        Args:
            unique_id: any string.
            data: the value; for pass_by="ref" the workflow that rebuilds it.
            use_ram: keep it in RAM while there is room; False forces disk.
            pass_by: "val" stores the value, "ref" the recipe. An object that came out of a ref is stored as its recipe.

        Raises:
            EncodingError: the value cannot be stored; a TypeError.
            OSError: neither RAM nor disk has room; earlier values are intact.
        """
        if use_ram and pass_by == "val" and type(unique_id) is str and ACTIVE.get() is None:
            text = codec.encode_atom(data)
            if text is not None and len(text) < INLINE_BYTES and self._index.read().inline_bytes < self._inline_limit:
                dropped = self._index.commit_value(unique_id, b"J" + text.encode(), data)
                if dropped:
                    self._store.free(dropped)
                return
        self._save(unique_id, data, use_ram, pass_by)

    def _save(self, unique_id: str, data: Any, use_ram: bool, pass_by: str) -> None:
        if not isinstance(unique_id, str):
            raise TypeError(f"unique_id must be a string, not {unique_id!r}")
        if pass_by not in ("val", "ref"):
            raise ValueError(f'pass_by must be "val" or "ref", not {pass_by!r}')
        unique_id = str(unique_id)
        origin = self._origins.recipe_of(data)
        if origin is not None:
            self._save_recipe(unique_id, origin)
        elif pass_by == "ref":
            self._save_recipe(unique_id, recipe_value(unique_id, data))
        else:
            self._save_value(unique_id, data, use_ram)

    def _save_value(self, unique_id: str, data: Any, use_ram: bool) -> None:
        encoded = codec.encode(data)
        if use_ram and encoded.nbytes <= INLINE_BYTES:
            payload = codec.to_inline(encoded)
            if self._store.fits_index(self._index.read(), len(payload)):
                transaction = current(self)
                if transaction is not None:
                    transaction.names[unique_id] = Name(payload, MISSING, "val", None, ())
                else:
                    self._store.free(self._index.commit_value(unique_id, payload, MISSING))
                return
        self._name_blob(unique_id, encoded, use_ram, "val", ())

    def _save_recipe(self, unique_id: str, recipe: Recipe) -> None:
        encoded = codec.encode(recipe, allow_pickle=False)
        blobs = self._index.read().blobs
        captured = tuple(digest for digest in referenced_digests(encoded.structure) if digest in blobs)
        self._name_blob(unique_id, encoded, True, "ref", captured)

    def _name_blob(
        self, unique_id: str, encoded: codec.Encoded, use_ram: bool, pass_by: str, refs: tuple[str, ...]
    ) -> None:
        transaction = current(self)
        if transaction is None:
            self._store.put(
                encoded, use_ram, lambda digest: [name_record(unique_id, pass_by, digest, (digest, *refs), refs)]
            )
            return
        digest = self._store.put(encoded, use_ram, lambda digest: [hold_record(digest, 1)])
        transaction.held.append(digest)
        transaction.names[unique_id] = Name(None, MISSING, pass_by, digest, (digest, *refs))
        transaction.taken[unique_id] = refs

    def load(self, unique_id: str) -> Any:
        """The value of a name. Loading a ref runs its recipe, where something here can.

        Raises:
            UnknownKeyError: there is none; a KeyError that names near misses.
            CorruptValueError: the stored bytes are not those that were saved.
            UnresolvableRefError: the value is a ref and nothing here can run its recipe.
        """
        if ACTIVE.get() is None:
            name = self._index.read().names.get(unique_id)
            if name is not None and name.value is not MISSING:
                return name.value
        for _ in range(_ATTEMPTS):
            name = self._name(unique_id)
            try:
                return self._value_of(unique_id, name)
            except UnknownKeyError:
                if self._name(unique_id) is name:  # else it was saved anew while we looked
                    raise
            except CorruptValueError as error:
                raise CorruptValueError(f"{unique_id!r}: {error}") from error
        raise UnknownKeyError(f"{unique_id!r} changes faster than it can be read")

    def _value_of(self, unique_id: str, name: Name) -> Any:
        if name.value is not MISSING:
            return name.value
        if name.payload is not None:
            value = codec.from_inline(name.payload)
            if type(value) in _ATOMS:
                name.value = value
            return value
        assert name.digest is not None
        value = self._store.get(name.digest)
        return self._resolve(unique_id, value) if name.pass_by == "ref" else value

    def _resolve(self, unique_id: str, recipe: Recipe) -> Any:
        if self._resolver is None:
            raise UnresolvableRefError(
                f"{unique_id!r} is passed by reference: the context holds the workflow that rebuilds it, and nothing "
                f'here can run it. Change the rule of its type to "val" in pass_by_rules.json to store the value itself, '
                f"or use context.recipe({unique_id!r}) for the workflow."
            )
        value = self._resolver(unique_id, recipe)
        self.remember_origin(value, recipe)
        return value

    def delete(self, unique_id: str) -> None:
        """Remove a name; its value goes when nothing else refers to it.

        Raises:
            UnknownKeyError: there is no such name.
        """
        self._name(unique_id)
        transaction = current(self)
        if transaction is not None:
            transaction.names[unique_id] = None
        else:
            self._commit([name_gone_record(unique_id)])

    def list_keys(self) -> list[str]:
        """All names, in the order in which they were first saved."""
        names: dict[str, Name | None] = dict(self._index.read().names)
        transaction = current(self)
        if transaction is not None:
            names.update(transaction.names)
        return [unique_id for unique_id, name in names.items() if name is not None]

    def __contains__(self, unique_id: object) -> bool:
        """Is there a value of this name?"""
        return isinstance(unique_id, str) and self._find(unique_id) is not None

    def recipe(self, unique_id: str) -> Recipe:
        """The workflow that rebuilds a ref.

        Raises:
            TypeError: the value is not passed by reference.
        """
        name = self._name(unique_id)
        if name.pass_by != "ref" or name.digest is None:
            raise TypeError(f"{unique_id!r} is passed by value; only a ref has a recipe")
        recipe: Recipe = self._store.get(name.digest)
        return recipe

    def set_ref_resolver(self, resolver: Resolver | None) -> None:
        """Install what `load` calls for a ref: ``resolver(unique_id, recipe)`` gives the live object."""
        self._resolver = resolver

    def remember_origin(self, value: Any, recipe: Recipe) -> None:
        """Note that an object came out of a recipe, so that saving it stores the recipe again."""
        self._origins.remember(value, recipe)

    # Values by content

    def digest(self, unique_id: str) -> str:
        """The content digest of a value: equal content, equal digest; 1, 1.0, True and "1" all differ.

        `get_value` finds the value by it, in every process, for as long as something refers to it.
        """
        return self._as_blob(unique_id)[0]

    def _as_blob(self, unique_id: str) -> tuple[str, Name]:
        """A name's digest; a small value that lies with its name becomes a blob first, to be found by its digest."""
        name = self._name(unique_id)
        if name.digest is not None:
            return name.digest, name
        assert name.payload is not None
        encoded = codec.inline_encoded(name.payload)
        if current(self) is not None:
            self._name_blob(unique_id, encoded, True, "val", ())
        else:
            digest = self._store.put(encoded, True, lambda digest: [hold_record(digest, 1)])
            with self._index.writing() as state:
                records = [hold_record(digest, -1)]
                if state.names.get(unique_id) is name:
                    records.insert(0, name_record(unique_id, "val", digest, (digest,)))
                self._store.free(self._index.commit(records))
                if len(records) > 1:
                    state.names[unique_id].value = name.value
        return self._as_blob(unique_id)

    def put_value(self, value: Any, *, use_ram: bool = True) -> str:
        """Store a value without a name and return its digest.

        It stays until `save_digest`, `memo_put` or a recipe takes it over, and then for as long as anything refers to
        it; `release_value` gives up one that nothing took over.
        """
        return self._store.put(codec.encode(value), use_ram, lambda digest: [put_record(digest, 1)])

    def release_value(self, digest: str) -> None:
        """Undo one `put_value` that nothing has taken over; harmless where something has."""
        with self._index.writing() as state:
            if digest in state.put:
                self._store.free(self._index.commit([put_record(digest, -1)]))

    def save_digest(self, unique_id: str, digest: str) -> None:
        """Give a name to a value that is here already.

        Raises:
            UnknownKeyError: there is no value with this digest.
        """
        transaction = current(self)
        with self._index.writing() as state:
            if digest not in state.blobs:
                raise UnknownKeyError(f"{unique_id!r}: no value with digest {digest} in this context")
            if transaction is None:
                record = name_record(unique_id, "val", digest, (digest,), (digest,))
                self._store.free(self._index.commit([record]))
                return
            self._index.commit([hold_record(digest, 1)])
        transaction.held.append(digest)
        transaction.names[unique_id] = Name(None, MISSING, "val", digest, (digest,))
        transaction.taken[unique_id] = (digest,)

    def get_value(self, digest: str) -> Any:
        """The value of a digest.

        Raises:
            UnknownKeyError: there is none, or nothing refers to it any more.
        """
        return self._store.get(digest)

    def has_value(self, digest: str) -> bool:
        """Is there a value of this digest?"""
        return digest in self._index.read().blobs

    def describe(self, unique_id: str) -> Description:
        """What a name stands for: digest, kind, type, shape, size, tier, pass-by."""
        _, name = self._as_blob(unique_id)
        return summary.describe(self._index.read(), name)

    # Memo

    def memo_put(self, key: str, record: Mapping[str, Any]) -> None:
        """Remember a JSON-able record under a key. Values whose digests occur in it stay while it does.

        Raises:
            UnknownKeyError: it refers to a value that is not here.
            EncodingError: it is not JSON-able.
        """
        memo = memo_of(record)
        missing = [digest for digest in memo.refs if not self.has_value(digest)]
        if missing:
            raise UnknownKeyError(f"memo {key!r} refers to values that are not in this context: {', '.join(missing)}")
        transaction = current(self)
        if transaction is not None:
            transaction.memos[key] = memo
        else:
            self._commit([memo_record(key, memo)])

    def memo_get(self, key: str) -> dict[str, Any] | None:
        """The record of a key (a fresh copy), or None."""
        transaction = current(self)
        if transaction is not None and key in transaction.memos:
            memo = transaction.memos[key]
        else:
            memo = self._index.read().memos.get(key)
        return None if memo is None else memo.fields()

    def memo_delete(self, key: str) -> None:
        """Forget a key; nothing happens if it is not known."""
        transaction = current(self)
        if transaction is not None:
            transaction.memos[key] = None
        elif key in self._index.read().memos:
            self._commit([memo_gone_record(key)])

    def memo_keys(self) -> list[str]:
        """Every key remembered, oldest first."""
        return list(self._index.read().memos)

    def transaction(self) -> Transaction:
        """A ``with`` block whose saves, deletions and memos become visible together at its end, or not at all.

        Transactions of a run exclude each other across threads and processes: what one reads, none other changes.
        """
        return Transaction(self)

    # What there is

    def get_usage(self) -> dict[str, Any]:
        """Bytes in RAM and on disk, the RAM budget, and the number of names."""
        state = self._index.read()
        ram = state.inline_bytes + sum(state.segments.get(number, 0) for number in list(state.users))
        return {
            "ram_usage_bytes": ram,
            "ram_capacity_bytes": self._run.capacity,
            "ram_usage_gb": ram / GIB,
            "ram_capacity_gb": self._run.capacity / GIB,
            "temp_disk_usage_bytes": state.disk_bytes,
            "temp_disk_usage_mb": state.disk_bytes / 1024**2,
            "stored_keys_count": len(self.list_keys()),
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
        damaged = {blob.digest for blob in list(state.blobs.values()) if not self._store.verify(blob)}
        names = {name.digest: unique_id for unique_id, name in list(state.names.items())}
        return sorted(names.get(digest, digest) for digest in damaged if self.has_value(digest))

    # In and out

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
        exports.write_value(self.load(unique_id), Path(destination_path), overwrite, format)
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
        self.save(unique_id, exports.read_value(Path(source_path), format), use_ram)

    # Life

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
            self._finalizer()

    def __enter__(self) -> WorkflowContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkflowContext.attach, (self.handle(),)

    # Inside

    def _commit(self, records: Iterable[Record]) -> None:
        with self._index.writing():
            self._store.free(self._index.commit(records))

    def _find(self, unique_id: str) -> Name | None:
        transaction = current(self)
        if transaction is not None and unique_id in transaction.names:
            return transaction.names[unique_id]
        return self._index.read().names.get(unique_id)

    def _name(self, unique_id: str) -> Name:
        name = self._find(unique_id)
        if name is None:
            raise self._unknown(unique_id)
        return name

    def _unknown(self, unique_id: object) -> UnknownKeyError:
        keys = self.list_keys()
        shown = repr(unique_id)[:200]
        near = difflib.get_close_matches(unique_id[:200], keys, n=3) if isinstance(unique_id, str) else []
        if near:
            return UnknownKeyError(f"no value named {shown}; did you mean {', '.join(map(repr, near))}?")
        holds = f"{len(keys)} other value{'s' if len(keys) != 1 else ''}" if keys else "nothing yet"
        return UnknownKeyError(f"no value named {shown}; the context holds {holds}")

    def _after_fork(self) -> None:
        """In a child process: what the parent owns is not ours, and its locks are not ours to share."""
        self._finalizer.detach()
        if self._owner is not None:
            os.close(self._owner)
        if not self._index.closed:
            self._open(self._run, None, create=False)


_CONTEXTS: weakref.WeakSet[WorkflowContext] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for context in list(_CONTEXTS):
        context._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _new_run_id() -> str:
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(4)


def _close(index: Index, segments: Segments, gate: Gate, run: runs.Run, owner: int | None, pid: int) -> None:
    """Shut a context down; also called when one is collected, and at exit."""
    if owner is not None and pid == os.getpid():
        index.publish_closed()
    index.close(f"context {run.run_id!r} was shut down")
    segments.close()
    gate.close()
    if owner is not None and pid == os.getpid():
        runs.remove_run(Path(run.disk), Path(run.ram))
        os.close(owner)
