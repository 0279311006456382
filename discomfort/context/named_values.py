"""Values by name, by value or by reference."""

from __future__ import annotations

from typing import Any

from discomfort.context import summary
from discomfort.context.errors import CorruptValueError, UnknownKeyError, UnreadableValueError
from discomfort.context.refs.live_refs import LiveRefs
from discomfort.context.refs.recipes import Recipe, recipe_value, referenced_digests
from discomfort.context.store.changes import Change, CloseHolder, DropName, Hold, SetName
from discomfort.context.store.entries import INLINE_BYTES, MISSING, Name
from discomfort.context.store.protocol import Store
from discomfort.context.transaction import current
from discomfort.context.values import decode
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import Encoded, inline_encoded, to_inline
from discomfort.near_names import did_you_mean

_ATOMS = (str, int, float, bool, type(None))
_ATTEMPTS = 64


class NamedValues:
    """The names of a store as this task or thread sees them: with what its open transaction saved."""

    def __init__(self, store: Store, refs: LiveRefs) -> None:
        self._store = store
        self._refs = refs

    def keys(self) -> list[str]:
        """Return all names, in the order in which they were first saved."""
        names: dict[str, Name | None] = dict(self._store.read().names)
        transaction = current(self._store)
        if transaction is not None:
            names.update(transaction.names)
        return [unique_id for unique_id, name in names.items() if name is not None]

    def find(self, unique_id: str) -> Name | None:
        """Return what a name refers to; None if the name does not exist."""
        transaction = current(self._store)
        if transaction is not None and unique_id in transaction.names:
            return transaction.names[unique_id]
        return self._store.read().names.get(unique_id)

    def require(self, unique_id: str) -> Name:
        """Return what a name refers to.

        Raises:
            UnknownKeyError: the name does not exist.
        """
        name = self.find(unique_id)
        if name is None:
            raise self.unknown(unique_id)
        return name

    def unknown(self, unique_id: object) -> UnknownKeyError:
        """Return the error of a name that is not here, with near misses."""
        keys = self.keys()
        shown = repr(unique_id)[:200]
        question = did_you_mean(unique_id, keys) if isinstance(unique_id, str) else None
        if question is not None:
            return UnknownKeyError(f"no value named {shown}; {question}")
        holds = f"{len(keys)} other value{'s' if len(keys) != 1 else ''}" if keys else "nothing yet"
        return UnknownKeyError(f"no value named {shown}; the context holds {holds}")

    def save(self, unique_id: str, data: Any, use_ram: bool, pass_by: str) -> None:
        """Store a value under a name; see `WorkflowContext.save`."""
        if not isinstance(unique_id, str):
            raise TypeError(f"unique_id must be a string, not {unique_id!r}")
        if pass_by not in ("val", "ref"):
            raise ValueError(f'pass_by must be "val" or "ref", not {pass_by!r}')
        unique_id = str(unique_id)
        recipe = self._refs.recipes.recipe_to_save(unique_id, data)
        if recipe is not None:
            self._save_recipe(unique_id, recipe)
        elif pass_by == "ref":
            self._save_recipe(unique_id, recipe_value(unique_id, data))
        else:
            self._save_value(unique_id, data, use_ram)

    def _save_value(self, unique_id: str, data: Any, use_ram: bool) -> None:
        encoded = encode(data)
        if use_ram and encoded.nbytes <= INLINE_BYTES and self._save_small(unique_id, to_inline(encoded)):
            return
        self._name_blob(unique_id, encoded, use_ram, "val", ())

    def _save_small(self, unique_id: str, payload: bytes) -> bool:
        transaction = current(self._store)
        if transaction is None:
            return self._store.save_small(unique_id, payload, MISSING)
        if not self._store.takes_small(len(payload)):
            return False
        transaction.names[unique_id] = Name(payload, MISSING, "val", None, ())
        return True

    def _save_recipe(self, unique_id: str, recipe: Recipe) -> None:
        encoded = encode(recipe, allow_pickle=False)
        self._name_blob(unique_id, encoded, True, "ref", referenced_digests(encoded.structure))

    def _name_blob(
        self, unique_id: str, encoded: Encoded, use_ram: bool, pass_by: str, mentioned: tuple[str, ...]
    ) -> None:
        """Give a name to a value, which keeps those of the digests it mentions that are here when it is stored."""
        refs: tuple[str, ...] = ()
        transaction = current(self._store)

        def changes(digest: str) -> list[Change]:
            nonlocal refs
            blobs = self._store.read().blobs
            refs = tuple(other for other in mentioned if other in blobs)
            if transaction is None:
                return [SetName(unique_id, pass_by, digest, (digest, *refs), taken=refs)]
            return [Hold(transaction.holder, kept) for kept in (digest, *refs)]

        digest = self._store.put(encoded, use_ram, changes)
        if transaction is not None:
            transaction.names[unique_id] = Name(None, MISSING, pass_by, digest, (digest, *refs))
            transaction.taken[unique_id] = refs

    def save_digest(self, unique_id: str, digest: str) -> None:
        """Give a name to a value that is here already.

        Raises:
            UnknownKeyError: the store has no value with this digest.
        """
        transaction = current(self._store)
        with self._store.writing() as contents:
            if digest not in contents.blobs:
                raise UnknownKeyError(f"{unique_id!r}: no value with digest {digest} in this context")
            if transaction is None:
                self._store.commit([SetName(unique_id, "val", digest, (digest,), taken=(digest,))])
                return
            self._store.commit([Hold(transaction.holder, digest)])
        transaction.names[unique_id] = Name(None, MISSING, "val", digest, (digest,))
        transaction.taken[unique_id] = (digest,)

    def load(self, unique_id: str) -> Any:
        """Return the value of a name; see `WorkflowContext.load`."""
        for _ in range(_ATTEMPTS):
            name = self.require(unique_id)
            try:
                return self.read(unique_id, name)
            except UnknownKeyError:
                if self.require(unique_id) is name:  # else it was saved again while we looked
                    raise
        raise UnknownKeyError(f"{unique_id!r} changes faster than it can be read")

    def read(self, unique_id: str, name: Name) -> Any:
        """Return the value of what `find` returned; errors say that it is that of `unique_id`."""
        try:
            return self._value_of(unique_id, name)
        except CorruptValueError as error:
            raise CorruptValueError(f"{unique_id!r}: {error}") from error
        except UnreadableValueError as error:
            error.place = repr(unique_id)
            raise

    def _value_of(self, unique_id: str, name: Name) -> Any:
        if name.value is not MISSING:
            return name.value
        if name.payload is not None:
            value = decode.from_inline(name.payload)
            if type(value) in _ATOMS:
                name.value = value
            return value
        assert name.digest is not None
        return self._refs.load(unique_id, name) if name.pass_by == "ref" else self._store.get(name.digest)

    def delete(self, unique_id: str) -> None:
        """Remove a name; its value goes when nothing else refers to it.

        Raises:
            UnknownKeyError: the name does not exist.
        """
        self.require(unique_id)
        transaction = current(self._store)
        if transaction is not None:
            transaction.names[unique_id] = None
        else:
            self._store.commit([DropName(unique_id)])

    def recipe(self, unique_id: str) -> Recipe:
        """Return the workflow that rebuilds a ref.

        Raises:
            TypeError: the value is not passed by reference.
        """
        name = self.require(unique_id)
        if name.pass_by != "ref" or name.digest is None:
            raise TypeError(f"{unique_id!r} is passed by value; only a ref has a recipe")
        recipe: Recipe = self._store.get(name.digest)
        return recipe

    def digest(self, unique_id: str) -> str:
        """Return the content digest of a value; see `WorkflowContext.digest`."""
        return self._by_digest(unique_id)[0]

    def describe(self, unique_id: str) -> summary.Description:
        """Return what a name refers to: digest, kind, type, shape, size, tier, pass-by."""
        _, name = self._by_digest(unique_id)
        return summary.describe(self._store.read(), name)

    def _by_digest(self, unique_id: str) -> tuple[str, Name]:
        """A name's digest; a small value that lies with its name is stored by its content first."""
        name = self.require(unique_id)
        if name.digest is not None:
            return name.digest, name
        assert name.payload is not None
        encoded = inline_encoded(name.payload)
        if current(self._store) is not None:
            self._name_blob(unique_id, encoded, True, "val", ())
        else:
            self._replace_small(unique_id, name, encoded)
        return self._by_digest(unique_id)

    def _replace_small(self, unique_id: str, name: Name, encoded: Encoded) -> None:
        """Let a name refer to the same value by its digest, unless the name was saved again meanwhile."""
        holder = self._store.new_holder()
        digest = self._store.put(encoded, True, lambda digest: [Hold(holder, digest)])
        with self._store.writing() as contents:
            unchanged = contents.names.get(unique_id) is name
            renamed: list[Change] = [SetName(unique_id, "val", digest, (digest,))] if unchanged else []
            self._store.commit([*renamed, CloseHolder(holder)])
            if unchanged:
                self._store.read().names[unique_id].value = name.value
