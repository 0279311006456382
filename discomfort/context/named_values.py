"""Values by name."""

from __future__ import annotations

from typing import Any

from discomfort.context.base import OpenContext, Resolver
from discomfort.context.errors import CorruptValueError, UnknownKeyError, UnreadableValueError, UnresolvableRefError
from discomfort.context.holds import Holds
from discomfort.context.index.journal import Record
from discomfort.context.index.records import MISSING, Name, hold_record, name_gone_record, name_record
from discomfort.context.refs.recipes import Recipe, recipe_value, referenced_digests
from discomfort.context.tiers.store import INLINE_BYTES
from discomfort.context.transaction import ACTIVE, current
from discomfort.context.values import decode
from discomfort.context.values.encode import encode, encode_atom
from discomfort.context.values.encoded import Encoded, to_inline

_ATOMS = (str, int, float, bool, type(None))
_ATTEMPTS = 64


class NamedValues(OpenContext):
    """Saving and loading under a name, by value or by reference."""

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
            if text is not None and len(text) < INLINE_BYTES and self._index.read().inline_bytes < self._inline_limit:
                dropped = self._index.commit_value(unique_id, decode.TEXT + text.encode(), data)
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
        origin = self._origins.recipe_to_save(unique_id, data)
        if origin is not None:
            self._save_recipe(unique_id, origin)
        elif pass_by == "ref":
            self._save_recipe(unique_id, recipe_value(unique_id, data))
        else:
            self._save_value(unique_id, data, use_ram)

    def _save_value(self, unique_id: str, data: Any, use_ram: bool) -> None:
        encoded = encode(data)
        if use_ram and encoded.nbytes <= INLINE_BYTES:
            payload = to_inline(encoded)
            if self._store.fits_index(self._index.read(), len(payload)):
                transaction = current(self)
                if transaction is not None:
                    transaction.names[unique_id] = Name(payload, MISSING, "val", None, ())
                else:
                    self._store.free(self._index.commit_value(unique_id, payload, MISSING))
                return
        self._name_blob(unique_id, encoded, use_ram, "val", ())

    def _save_recipe(self, unique_id: str, recipe: Recipe) -> None:
        encoded = encode(recipe, allow_pickle=False)
        self._name_blob(unique_id, encoded, True, "ref", referenced_digests(encoded.structure))

    def _name_blob(
        self, unique_id: str, encoded: Encoded, use_ram: bool, pass_by: str, mentioned: tuple[str, ...]
    ) -> None:
        """Give a name to a value, which keeps those of the digests it mentions that are here when it is stored."""
        refs: tuple[str, ...] = ()
        transaction = current(self)

        def records(digest: str) -> list[Record]:
            nonlocal refs
            blobs = self._index.read().blobs
            refs = tuple(other for other in mentioned if other in blobs)
            if transaction is None:
                return [name_record(unique_id, pass_by, digest, (digest, *refs), refs, self._member.name)]
            return [hold_record(kept, 1, transaction.holder) for kept in (digest, *refs)]

        digest = self._store.put(encoded, use_ram, records)
        if transaction is not None:
            transaction.names[unique_id] = Name(None, MISSING, pass_by, digest, (digest, *refs))
            transaction.taken[unique_id] = refs

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
        for _ in range(_ATTEMPTS):
            name = self._name(unique_id)
            try:
                return self._read(unique_id, name)
            except UnknownKeyError:
                if self._name(unique_id) is name:  # else it was saved again while we looked
                    raise
        raise UnknownKeyError(f"{unique_id!r} changes faster than it can be read")

    def _read(self, unique_id: str, name: Name) -> Any:
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
        return self._resolve(unique_id, name) if name.pass_by == "ref" else self._store.get(name.digest)

    def _resolve(self, unique_id: str, name: Name) -> Any:
        if self._resolver is None:
            raise UnresolvableRefError(
                f"{unique_id!r} is passed by reference: the context holds the workflow that rebuilds it, and nothing "
                f'here can run it. Change the rule of its type to "val" in pass_by_rules.json to store the value '
                f"itself, or use context.recipe({unique_id!r}) for the workflow."
            )
        holds = Holds(self)
        if not holds.keep(name.refs):
            raise UnknownKeyError(f"{unique_id!r} was replaced while it was read")
        try:
            recipe: Recipe = self._store.get(str(name.digest))
            value = self._resolver(unique_id, recipe)
        finally:
            holds.release()
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
