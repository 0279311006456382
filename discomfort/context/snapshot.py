"""What one run reads and writes: values as they were when it began, and its own, which appear at its end together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from discomfort.context.holds import Holds
from discomfort.context.refs.recipes import Recipe, referenced_digests
from discomfort.context.store.entries import INLINE_BYTES, MISSING, Name
from discomfort.context.transaction import current
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import inline_encoded, to_inline

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext


class Snapshot:
    """Names of a context at one moment, and what is saved on top of them without showing outside.

    What others save afterwards is not seen; every value that can be read here stays alive until `release`, with all
    that a reference captured, whatever becomes of its name. `commit` gives the context what was saved here, at once.

    Attributes:
        context: whose values these are.
    """

    def __init__(self, context: WorkflowContext, names: Iterable[str] = ()) -> None:
        """Take the values of `names`, as far as there are such."""
        self.context = context
        self._before: dict[str, Name] = {}
        self._own: dict[str, Name] = {}
        self._digests: dict[str, str] = {}
        self._store = context.store
        self._holds = Holds(context.store)
        wanted = list(names)
        if wanted:
            with context.store.writing():
                self._before = {name: found for name in wanted if (found := context.names.find(name)) is not None}
                self._holds.keep(digest for found in self._before.values() for digest in found.refs)

    def fork(self) -> Snapshot:
        """Return another snapshot of the same moment, without what was saved here; this one must outlive it."""
        other = Snapshot(self.context)
        other._before = self._before
        return other

    def __contains__(self, unique_id: object) -> bool:
        return unique_id in self._own or unique_id in self._before

    def part(self) -> Holds:
        """Return what keeps further values for the same run; it must be released before this."""
        return Holds(self._store, self._holds)

    def list_keys(self) -> list[str]:
        """Return the names in the context now, and those saved here."""
        return list(dict.fromkeys([*self.context.list_keys(), *self._own]))

    def is_ref(self, unique_id: str) -> bool:
        """Return whether a value is passed by reference."""
        return self._name(unique_id).pass_by == "ref"

    def is_pickled(self, unique_id: str) -> bool:
        """Return whether only pickle holds a value, as far as that is known without decoding it."""
        digest = self._name(unique_id).digest
        return digest is not None and self.context.values.kind(digest) == "pickle"

    def load(self, unique_id: str) -> Any:
        """Return the value of a name that is passed by value.

        Raises:
            UnknownKeyError: it was not there.
            CorruptValueError: the stored bytes are not those that were saved.
            UnreadableValueError: this Python cannot rebuild it.
        """
        return self.context.names.read(unique_id, self._name(unique_id))

    def recipe(self, unique_id: str) -> Recipe:
        """Return the workflow that rebuilds a value that is passed by reference."""
        recipe: Recipe = self._store.get(str(self._name(unique_id).digest))
        return recipe

    def digest(self, unique_id: str) -> str:
        """Return the content digest of a value, by which it can be loaded until `release`."""
        name = self._name(unique_id)
        if name.digest is not None:
            return name.digest
        if unique_id not in self._digests:
            assert name.payload is not None
            self._digests[unique_id], _ = self._holds.put_encoded(inline_encoded(name.payload))
        return self._digests[unique_id]

    def save(self, unique_id: str, data: Any, use_ram: bool = True) -> None:
        """Save a value here; large ones are stored now, and once. An object that came out of a ref is saved as that.

        Raises:
            EncodingError, OSError: as `WorkflowContext.save`.
        """
        if not isinstance(unique_id, str):
            raise TypeError(f"unique_id must be a string, not {unique_id!r}")
        origin = self.context.refs.recipes.recipe_to_save(unique_id, data)
        if origin is not None:
            self.save_recipe(unique_id, origin)
            return
        encoded = encode(data)
        if use_ram and encoded.nbytes <= INLINE_BYTES:
            payload = to_inline(encoded)
            if self._store.takes_small(len(payload)):
                self._set(unique_id, Name(payload, MISSING, "val", None, ()))
                return
        digest, _ = self._holds.put_encoded(encoded, use_ram)
        self._set(unique_id, Name(None, MISSING, "val", digest, (digest,)))

    def save_digest(self, unique_id: str, digest: str, held: Holds) -> None:
        """Give a name here to a value that is in the context, kept by this or by `held`, which is a `part` of this.

        Raises:
            UnknownKeyError: it is not.
        """
        if not held.move(digest, self._holds) and not self._holds.keep([digest]):
            raise self.context.names.unknown(digest)
        self._set(unique_id, Name(None, MISSING, "val", digest, (digest,)))

    def save_recipe(self, unique_id: str, recipe: Recipe) -> None:
        """Save a recipe here, with the values that it captures."""
        encoded = encode(recipe, allow_pickle=False)
        digest, captured = self._holds.put_encoded(encoded, mentioned=referenced_digests(encoded.structure))
        self._set(unique_id, Name(None, MISSING, "ref", digest, (digest, *captured)))

    def commit(self, memos: Mapping[str, Mapping[str, Any]]) -> None:
        """Give the context everything that was saved here so far, and `memos`, at once.

        Inside a transaction of the caller's it appears when that ends.
        """
        outer = current(self._store)
        with self.context.transaction() as transaction:
            for key, record in memos.items():
                self.context.memos.put(key, record)
            transaction.names.update(self._own)
            for unique_id in self._own:
                transaction.taken.pop(unique_id, None)
            if outer is not None:
                transaction.hold(digest for name in self._own.values() for digest in name.refs)

    def release(self) -> None:
        """Keep nothing alive any longer; safe to call again."""
        self._holds.release()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _name(self, unique_id: str) -> Name:
        name = self._own.get(unique_id) or self._before.get(unique_id)
        if name is None:
            raise self.context.names.unknown(unique_id)
        return name

    def _set(self, unique_id: str, name: Name) -> None:
        """Put a name in place of one saved before, whose values are kept no longer on its account."""
        old = self._own.get(unique_id)
        self._own[unique_id] = name
        unwanted = list(old.refs) if old is not None else []
        if unique_id in self._digests:
            unwanted.append(self._digests.pop(unique_id))
        self._holds.drop(unwanted)
