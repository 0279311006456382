"""Steps of the conformance suite, written against the protocol alone, and any commits for it to compare."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from hypothesis import strategies as st

from discomfort.context.refs.recipes import memo_of
from discomfort.context.store.changes import (
    Change,
    CloseHolder,
    DropName,
    Forget,
    Hold,
    OpenHolder,
    Put,
    Remember,
    SetName,
    SetSmall,
)
from discomfort.context.store.protocol import Store
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import to_inline


def small(value: Any) -> bytes:
    return to_inline(encode(value))


def tensor(fill: int, count: int = 3000) -> torch.Tensor:
    return torch.full((count,), fill, dtype=torch.int32)


def put(store: Store, value: Any, *changes: Change) -> str:
    """Store a value with a `Put`, or with the given changes."""
    return store.put(encode(value), True, lambda digest: changes or [Put(digest)])


def remember(store: Store, key: str, value: Any) -> str:
    """Store a value that only the memo keeps."""
    encoded = encode(value)
    return store.put(encoded, True, lambda digest: [Remember(key, memo_of({"value": digest}))])


def names(store: Store) -> dict[str, Any]:
    return {unique_id: name.payload or name.digest for unique_id, name in store.read().names.items()}


def clear(store: Store, holders: list[str]) -> None:
    contents = store.read()
    ends: list[Change] = [*map(DropName, contents.names), *map(Forget, contents.memos), *map(CloseHolder, holders)]
    store.commit([*ends, *(Put(digest, -100) for digest in contents.blobs)])


def commits(digests: list[str], holders: list[str]) -> st.SearchStrategy[list[Change]]:
    """Commits that refer to values that are there; of a name or a memo each says one thing."""
    steps: list[st.SearchStrategy[Any]] = [
        st.builds(SetSmall, st.sampled_from("abc"), st.just(small(1))),
        st.builds(DropName, st.sampled_from("abc")),
        st.builds(Forget, st.sampled_from("kl")),
        st.builds(OpenHolder, st.sampled_from(holders)),
        st.builds(CloseHolder, st.sampled_from(holders)),
    ]
    if digests:
        one, some = st.sampled_from(digests), st.lists(st.sampled_from(digests), max_size=2, unique=True).map(tuple)
        steps += [
            st.builds(
                lambda name, digest, more, taken: SetName(name, "val", digest, (digest, *more), taken),
                *(st.sampled_from("abc"), one, some, some),
            ),
            st.builds(lambda key, digest: Remember(key, memo_of({"value": digest})), st.sampled_from("kl"), one),
            st.builds(Hold, st.sampled_from(holders), one, st.sampled_from([1, 1, 2, -1])),
            st.builds(Put, one, st.sampled_from([1, 1, -1])),
        ]

    def subject(change: Any) -> object:
        return getattr(change, "unique_id", None) or getattr(change, "key", None) or change

    return st.lists(st.one_of(steps), max_size=6, unique_by=subject)


def translated(change: Change, holders: dict[str, str]) -> Change:
    """The same change for the model, whose holders have other names."""
    if not isinstance(change, OpenHolder | CloseHolder | Hold):
        return change
    holder = holders[change.holder]
    return Hold(holder, change.digest, change.count) if isinstance(change, Hold) else type(change)(holder)


def publish(store: Store, changes: list[Change], stored: int | None) -> None:
    if stored is None:
        store.commit(changes)
    else:
        store.put(encode(tensor(stored, 600 * stored)), True, lambda digest: [*changes, Put(digest)])


def seen(store: Store, holders: list[str]) -> object:
    contents = store.read()
    return (
        names(store),
        {unique_id: name.refs for unique_id, name in contents.names.items()},
        set(contents.blobs),
        {key: memo.record for key, memo in contents.memos.items()},
        {digest for digest in contents.blobs if contents.is_put(digest)},
        [contents.is_open(holder) for holder in holders],
        store.usage().held,
    )


@contextmanager
def gate_of(store: Store) -> Iterator[None]:
    store.gate.acquire()
    try:
        yield
    finally:
        store.gate.release()


def together(jobs: list[Callable[[], None]]) -> None:
    """Run jobs in threads, and raise what one of them raised."""
    errors: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
