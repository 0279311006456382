"""Values by content: what runs and nodes hand to each other by digest, without a name."""

from __future__ import annotations

from typing import Any

from discomfort.context.errors import UnknownKeyError, UnreadableValueError
from discomfort.context.store.changes import Change, Hold, Put
from discomfort.context.store.protocol import Store
from discomfort.context.values.decode import SERVER
from discomfort.context.values.encode import encode
from discomfort.context.values.opaque import ServerValue, opaque_value, server_value


class ValuesByContent:
    """The values of a store by their digests."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def has(self, digest: str) -> bool:
        """Return whether there is a value of this digest."""
        return digest in self._store.read().blobs

    def put(self, value: Any, *, use_ram: bool = True, letterbox: str | None = None) -> str:
        """Store a value without a name and return its digest.

        It stays until `NamedValues.save_digest` or a recipe takes it over, and then for as long as anything refers to
        it; `release` gives up one that nothing took over, and so does the death of this process. In a `letterbox` it
        stays for as long as whoever requested it wants (see `Holds.letterbox`).

        Raises:
            UnknownKeyError: no run waits for what comes into this letterbox (any more).
        """
        return self._store.put(encode(value), use_ram, lambda digest: self._kept(digest, letterbox))

    def hold(self, digest: str, *, letterbox: str | None = None) -> bool:
        """Keep a value that is here as `put` would; False where it is not here (any more)."""
        with self._store.writing() as contents:
            if digest not in contents.blobs:
                return False
            self._store.commit(self._kept(digest, letterbox))
            return True

    def _kept(self, digest: str, letterbox: str | None) -> list[Change]:
        if letterbox is None:
            return [Put(digest)]
        if not self._store.read().is_open(letterbox):
            raise UnknownKeyError("the run that requested this value has ended")
        return [Hold(letterbox, digest)]

    def release(self, digest: str) -> None:
        """Undo one `put` or `hold` that nothing has taken over; harmless where something has."""
        with self._store.writing() as contents:
            if contents.is_put(digest):
                self._store.commit([Put(digest, -1)])

    def get(self, digest: str) -> Any:
        """Return the value of a digest.

        Raises:
            UnknownKeyError: there is none, or nothing refers to it any more.
            UnreadableValueError: this Python cannot rebuild it.
        """
        return self._store.get(digest)

    def get_or_opaque(self, digest: str, place: str = "") -> Any:
        """Return a value, or an `OpaqueValue` where this Python cannot rebuild it; `place` is for its errors."""
        try:
            return self._store.get(digest)
        except UnreadableValueError as error:
            return opaque_value(error, place)

    def on_server(self, digest: str) -> ServerValue | None:
        """Return where the value of a digest lies instead; None where it is here, or unknown."""
        if not self.has(digest) or self.kind(digest) != SERVER:
            return None
        return server_value(self.get_or_opaque(digest))

    def kind(self, digest: str) -> str:
        """Return what a value is made of, as `Description.kind`, or "server" for one on a server; it is not decoded.

        Raises:
            UnknownKeyError: there is none.
        """
        blob = self._store.read().blobs.get(digest)
        if blob is None:
            raise UnknownKeyError(f"no value with digest {digest} in this context")
        return blob.info[0]
