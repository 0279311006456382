"""A store in the memory of one process: the smallest one that keeps the promises of `store.protocol`.

Each commit makes a new state and looks for what nothing refers to from nothing, so it is also the plain model that the
conformance suite compares other stores with.
"""

from __future__ import annotations

import copy
import itertools
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from discomfort.context.errors import ContextClosedError, ContextError, CorruptValueError, UnknownKeyError
from discomfort.context.store import changes as change_types
from discomfort.context.store.changes import Change
from discomfort.context.store.entries import INLINE_BYTES, MISSING, Info, Memo, Name, Usage
from discomfort.context.store.gate import Gate
from discomfort.context.store.protocol import ChangesOf
from discomfort.context.values import decode
from discomfort.context.values.encoded import Encoded, leaf_digests

CAPACITY = 1 << 30


@dataclass
class Blob:
    digest: str
    text: str
    info: Info
    data: bytes
    tier: str = "ram"

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass
class State:
    """What is there at one moment; never changed once it is published."""

    names: dict[str, Name] = field(default_factory=dict)
    blobs: dict[str, Blob] = field(default_factory=dict)
    memos: dict[str, Memo] = field(default_factory=dict)
    holds: dict[str, Counter[str]] = field(default_factory=dict)
    puts: dict[str, Counter[str]] = field(default_factory=dict)
    """Opening → digest → how often it was put and not taken over."""

    def is_open(self, holder: str) -> bool:
        return holder in self.holds

    def is_put(self, digest: str) -> bool:
        return any(put[digest] > 0 for put in self.puts.values())

    def held(self) -> set[str]:
        return {digest for count in (*self.holds.values(), *self.puts.values()) for digest in +count}

    def needed(self) -> set[str]:
        """What anything but the memo refers to."""
        return self.held() | {digest for name in self.names.values() for digest in name.refs}

    def memo_bytes(self) -> int:
        only = {digest for memo in self.memos.values() for digest in memo.refs} - self.needed()
        records = sum(len(key) + len(memo.record) for key, memo in self.memos.items())
        return records + sum(self.blobs[digest].size for digest in only if digest in self.blobs)


class Shared:
    """What the openings of a store have in common."""

    def __init__(self, memo_capacity: int) -> None:
        self.memo_capacity = memo_capacity
        self.lock = threading.RLock()
        self.gate = Gate(threading.Lock())
        self.state = State()
        self.closed = False
        self.openings = itertools.count(1)


class MemoryStore:
    """One opening of such a store; the first one is the owner's."""

    def __init__(self, memo_capacity: int = CAPACITY, shared: Shared | None = None) -> None:
        self._owner = shared is None
        self._shared = Shared(memo_capacity) if shared is None else shared
        self._opening = f"opening{next(self._shared.openings)}"
        self._holders = itertools.count(1)
        self._left = False

    def attach(self) -> MemoryStore:
        return MemoryStore(shared=self._shared)

    def damage(self, digest: str) -> None:
        blob = self._shared.state.blobs[digest]
        data = bytearray(blob.data)
        data[len(data) // 2] ^= 1
        blob.data = bytes(data)

    @property
    def run_id(self) -> str:
        return "memory"

    @property
    def closed(self) -> bool:
        return self._left or self._shared.closed

    @property
    def gate(self) -> Gate:
        return self._shared.gate

    @property
    def index(self) -> MemoryStore:
        return self

    def read(self) -> State:
        if self.closed:
            raise ContextClosedError("the store in memory was shut down")
        return self._shared.state

    @contextmanager
    def writing(self) -> Iterator[State]:
        with self._shared.lock:
            yield self.read()

    def commit(self, changes: Iterable[Change]) -> None:
        with self.writing():
            self._publish(list(changes), None)

    def takes_small(self, nbytes: int) -> bool:
        self.read()
        return nbytes <= INLINE_BYTES

    def save_small(self, unique_id: str, payload: bytes, value: Any) -> bool:
        if not self.takes_small(len(payload)):
            return False
        with self.writing():
            self.commit([change_types.SetSmall(unique_id, payload)])
            self.read().names[unique_id].value = value
        return True

    def put(self, encoded: Encoded, use_ram: bool, changes: ChangesOf) -> str:
        digest = encoded.digest(leaf_digests(encoded))
        blob = Blob(digest, encoded.text, encoded.info(), encoded.to_bytes())
        with self.writing():
            self._publish(list(changes(digest)), blob)
        return digest

    def get(self, digest: str) -> Any:
        blob = self.read().blobs.get(digest)
        if blob is None:
            raise UnknownKeyError(f"no value with digest {digest} in this context")
        if not self.verify(digest):
            raise CorruptValueError(f"value {digest} is damaged")
        return decode.decode(bytearray(blob.data))

    def verify(self, digest: str) -> bool:
        blob = self.read().blobs.get(digest)
        return blob is None or decode.blob_digest(blob.data) == digest

    def location(self, digest: str | None) -> str:
        self.read()
        return "memory of this process"

    def use_memo(self, key: str) -> None:
        with self.writing() as state:
            if key in state.memos:
                self.commit([change_types.Remember(key, state.memos[key])])

    def new_holder(self) -> str:
        self.read()
        return f"{self._opening}.{next(self._holders)}"

    def usage(self) -> Usage:
        state = self.read()
        small = sum(len(name.payload) for name in state.names.values() if name.payload is not None)
        return Usage(
            ram=small + sum(blob.size for blob in state.blobs.values()),
            ram_capacity=CAPACITY,
            disk=0,
            unfinished=0,
            memo=state.memo_bytes(),
            memo_capacity=self._shared.memo_capacity,
            held=len(state.held()),
        )

    def handle(self) -> dict[str, Any]:
        raise ContextError("a store in memory cannot be opened by another process")

    def shutdown(self) -> None:
        with self._shared.lock:
            if self.closed:
                return
            own = [holder for holder in self.read().holds if holder.startswith(f"{self._opening}.")]
            self.commit(map(change_types.CloseHolder, own))
            self._left = True
            if self._owner:
                self._shared.closed = True
                self._shared.state = State()

    def _publish(self, changes: list[Change], blob: Blob | None) -> None:
        before = self._shared.state
        state = State(
            dict(before.names), dict(before.blobs), dict(before.memos), *copy.deepcopy((before.holds, before.puts))
        )
        if blob is not None:
            state.blobs.setdefault(blob.digest, blob)
        for change in changes:
            self._add(state, change)
        for change in changes:
            self._take_away(state, change)
        for change in changes:
            if isinstance(change, change_types.CloseHolder):
                state.holds.pop(change.holder, None)
        while state.memos and state.memo_bytes() > self._shared.memo_capacity:
            del state.memos[next(iter(state.memos))]
        kept = state.needed() | {digest for memo in state.memos.values() for digest in memo.refs}
        state.blobs = {digest: one for digest, one in state.blobs.items() if digest in kept}
        self._shared.state = state

    def _add(self, state: State, change: Change) -> None:
        if isinstance(change, change_types.SetSmall):
            state.names[change.unique_id] = Name(change.payload, MISSING, "val", None, ())
        elif isinstance(change, change_types.SetName):
            state.names[change.unique_id] = Name(None, MISSING, change.pass_by, change.digest, change.refs)
        elif isinstance(change, change_types.Remember):
            state.memos.pop(change.key, None)
            state.memos[change.key] = change.memo
        elif isinstance(change, change_types.OpenHolder):
            state.holds.setdefault(change.holder, Counter())
        elif isinstance(change, change_types.Hold) and change.count > 0:
            state.holds.setdefault(change.holder, Counter())[change.digest] += change.count
        elif isinstance(change, change_types.Put) and change.count > 0:
            state.puts.setdefault(self._opening, Counter())[change.digest] += change.count

    def _take_away(self, state: State, change: Change) -> None:
        if isinstance(change, change_types.DropName):
            state.names.pop(change.unique_id, None)
        elif isinstance(change, change_types.Forget):
            state.memos.pop(change.key, None)
        elif isinstance(change, change_types.Hold) and change.count < 0:
            held = state.holds.get(change.holder, Counter())
            held[change.digest] = max(0, held[change.digest] + change.count)
        elif isinstance(change, change_types.Put) and change.count < 0:
            self._take(state, change.digest, -change.count)
        elif isinstance(change, change_types.SetName):
            for digest in change.taken:
                self._take(state, digest, 1)

    def _take(self, state: State, digest: str, count: int) -> None:
        for opening in sorted(state.puts, key=lambda one: one != self._opening):
            taken = min(count, state.puts[opening][digest])
            state.puts[opening][digest] -= taken
            count -= taken
