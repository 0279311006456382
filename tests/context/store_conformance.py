"""The promises of `discomfort.context.store.protocol.Store`, each as a test that any store can run.

A test file of another store derives a class whose name begins with ``Test`` from `StoreConformance`, and gives it the
fixture `rig`. Nothing here looks behind the protocol.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discomfort.context.errors import ContextClosedError, ContextError, CorruptValueError, UnknownKeyError
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
from discomfort.context.store.entries import INLINE_BYTES, MISSING
from discomfort.context.store.protocol import Store
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import leaf_digests
from tests.context.memory_store import MemoryStore
from tests.context.store_steps import (
    clear,
    commits,
    gate_of,
    names,
    publish,
    put,
    remember,
    seen,
    small,
    tensor,
    together,
    translated,
)

VALUES: dict[str, Any] = {
    "nothing": None,
    "text": "é\ud800" * 2000,
    "tensor": torch.arange(12000, dtype=torch.float16).reshape(2, 60, 100),
    "containers": {"a": [1, (2.5, None)], "latent": torch.ones(1, 4, 8, 8), "$": b"bytes"},
    "pickle": {1, 2, 3},
    "empty tensor": torch.empty(0, 3),
}
NOWHERE = "d1-" + "0" * 32


@dataclass
class Rig:
    """A store to be tested, opened by its owner.

    Attributes:
        store: at least 8 MB may lie in it, and 1 MiB of that for the memo alone.
        attach: opens it once more, as another process would.
        damage: changes a bit of the stored bytes of a value.
    """

    store: Store
    attach: Callable[[], Store]
    damage: Callable[[str], None]


class StoreConformance:
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        raise NotImplementedError("give the store that is to be tested")

    @pytest.fixture
    def store(self, rig: Rig) -> Store:
        return rig.store

    @pytest.fixture
    def other(self, rig: Rig) -> Iterator[Store]:
        other = rig.attach()
        yield other
        other.shutdown()

    # Names.

    def test_names_keep_the_order_of_their_first_save(self, store: Store, other: Store) -> None:
        store.commit([SetSmall("b", small(1)), SetSmall("a", small(2))])
        digest = store.put(encode(tensor(1)), True, lambda digest: [SetName("b", "ref", digest, (digest,))])
        other.commit([SetSmall("a", small(3))])
        assert names(store) == names(other) == {"b": digest, "a": small(3)}
        assert list(names(store)) == list(names(other)) == ["b", "a"]
        found = other.read().names["b"]
        assert (found.pass_by, found.digest, found.refs, found.payload) == ("ref", digest, (digest,), None)
        store.commit([DropName("b"), DropName("unknown")])
        store.commit([SetSmall("b", small(4))])
        assert list(names(other)) == ["a", "b"]

    def test_any_string_is_a_name(self, store: Store, other: Store) -> None:
        odd = ["", "/", "..", "a\0b", "\ud800", "é" * 5000, "d1-" + "0" * 32]
        for number, unique_id in enumerate(odd):
            assert store.save_small(unique_id, small(number), number)
        assert names(other) == {unique_id: small(number) for number, unique_id in enumerate(odd)}

    def test_a_name_is_the_same_object_until_it_is_saved_again(self, store: Store) -> None:
        store.commit([SetSmall("a", small(1))])
        first = store.read().names["a"]
        assert first.value is MISSING
        first.value = 1
        store.commit([SetSmall("b", small(1))])
        assert store.read().names["a"] is first
        assert store.read().names["a"].value == 1
        store.commit([SetSmall("a", small(1))])
        assert store.read().names["a"] is not first
        assert store.read().names["a"].value is MISSING

    def test_a_small_value_lies_with_its_name(self, store: Store, other: Store) -> None:
        assert store.takes_small(INLINE_BYTES)
        assert not store.takes_small(INLINE_BYTES + 1)
        assert store.save_small("x", small("y"), "y")
        assert store.read().names["x"].value == "y"
        assert other.read().names["x"].payload == small("y")
        assert not store.save_small("x", b"J" * (INLINE_BYTES + 1), MISSING)
        assert names(store) == names(other) == {"x": small("y")}
        digest = put(store, tensor(1))
        store.commit([SetName("x", "val", digest, (digest,), taken=(digest,))])
        assert store.save_small("x", small(1), MISSING)
        assert digest not in store.read().blobs

    # Values.

    @pytest.mark.parametrize("use_ram", [True, False])
    @pytest.mark.parametrize("kind", VALUES)
    def test_a_value_comes_back_as_it_went_in(self, store: Store, other: Store, kind: str, use_ram: bool) -> None:
        value, encoded = VALUES[kind], encode(VALUES[kind])
        digest = store.put(encoded, use_ram, lambda digest: [Put(digest)])
        assert digest == encoded.digest(leaf_digests(encoded))
        for one in (store, other):
            again = encode(one.get(digest))
            assert again.digest(leaf_digests(again)) == digest
            assert type(one.get(digest)) is type(value)
            blob = one.read().blobs[digest]
            assert (blob.digest, blob.text, blob.info) == (digest, encoded.text, encoded.info())
            assert blob.size > 0
            assert blob.tier in ("ram", "disk")
            assert one.verify(digest)
            assert one.location(digest)

    def test_what_was_loaded_may_be_changed(self, store: Store, other: Store) -> None:
        digest = put(store, {"image": tensor(1), "list": [1]})
        loaded = store.get(digest)
        loaded["image"] += 1
        loaded["list"].append(2)
        for one in (store, other):
            assert torch.equal(one.get(digest)["image"], tensor(1))
            assert one.get(digest)["list"] == [1]
        assert store.verify(digest)

    def test_the_bytes_are_copied(self, store: Store) -> None:
        value = tensor(1)
        digest = put(store, value)
        value += 1
        assert torch.equal(store.get(digest), tensor(1))

    def test_C4_equal_values_are_stored_once(self, store: Store, other: Store) -> None:
        first, second = put(store, tensor(1)), put(other, tensor(1))
        assert first == second
        assert list(store.read().blobs) == [first]
        store.commit([Put(first, -1)])
        assert torch.equal(store.get(first), tensor(1))
        store.commit([Put(first, -1)])
        assert not store.read().blobs

    def test_an_unknown_digest(self, store: Store) -> None:
        with pytest.raises(UnknownKeyError):
            store.get(NOWHERE)
        assert store.verify(NOWHERE)

    def test_damage_is_noticed(self, rig: Rig) -> None:
        store = rig.store
        digest = store.put(encode(tensor(1)), False, lambda digest: [Put(digest)])
        rig.damage(digest)
        assert not store.verify(digest)
        with pytest.raises(CorruptValueError):
            store.get(digest)

    # What is published with a value.

    def test_a_value_and_its_changes_appear_together(self, store: Store, other: Store) -> None:
        seen: list[bool] = []

        def changes(digest: str) -> list[Change]:
            with store.writing() as contents:  # held already
                seen.append("x" in contents.names)
            return [SetName("x", "val", digest, (digest,)), SetSmall("y", small(1))]

        digest = store.put(encode(tensor(1)), True, changes)
        assert seen
        assert not any(seen)
        assert names(other) == {"x": digest, "y": small(1)}

    def test_what_the_changes_raise_is_raised_and_nothing_stored(self, store: Store) -> None:
        def changes(digest: str) -> list[Change]:
            raise ZeroDivisionError

        before = store.usage()
        for value in (1, tensor(1)):
            for use_ram in (True, False):
                with pytest.raises(ZeroDivisionError):
                    store.put(encode(value), use_ram, changes)
        assert not store.read().blobs
        assert store.usage() == before

    # What keeps a value.

    def test_a_value_stays_while_anything_refers_to_it(self, store: Store) -> None:
        digest, holder = put(store, tensor(1)), store.new_holder()
        steps: list[tuple[list[Change], list[Change]]] = [
            ([SetName("x", "val", digest, (digest,))], [DropName("x")]),
            ([SetName("x", "ref", digest, (digest,))], [SetSmall("x", small(1))]),
            ([Remember("k", memo_of({"value": digest}))], [Forget("k")]),
            ([Remember("k", memo_of({"value": digest}))], [Remember("k", memo_of({}))]),
            ([Hold(holder, digest)], [Hold(holder, digest, -1)]),
            ([Hold(holder, digest, 2)], [CloseHolder(holder)]),
            ([Put(digest)], [Put(digest, -1)]),
        ]
        for keep, release in steps:
            store.commit([*keep, Put(digest, -1)])
            assert torch.equal(store.get(digest), tensor(1))
            assert store.read().is_put(digest) is (keep == [Put(digest)])
            store.commit([Put(digest)])
            store.commit(release)
            assert digest in store.read().blobs
        store.commit([Put(digest, -1)])
        assert digest not in store.read().blobs

    def test_a_name_keeps_what_it_captured(self, store: Store) -> None:
        captured = put(store, tensor(1))
        recipe = store.put(
            encode({"captured": captured}),
            True,
            lambda digest: [SetName("model", "ref", digest, (digest, captured), taken=(captured,))],
        )
        assert not store.read().is_put(captured)
        assert set(store.read().blobs) == {captured, recipe}
        store.commit([DropName("model")])
        assert not store.read().blobs

    def test_C5_what_a_commit_adds_counts_before_what_it_takes_away(self, store: Store) -> None:
        digest, holder = put(store, tensor(1)), store.new_holder()
        store.commit([Hold(holder, digest), Put(digest, -1)])
        store.commit([CloseHolder(holder), SetName("a", "val", digest, (digest,))])
        store.commit([DropName("a"), SetName("b", "val", digest, (digest,))])
        store.commit([SetSmall("b", small(1)), Remember("k", memo_of({"value": digest}))])
        store.commit([Forget("k"), Put(digest)])
        assert torch.equal(store.get(digest), tensor(1))

    def test_a_name_takes_over_one_put(self, store: Store, other: Store) -> None:
        digest = put(store, tensor(1))
        put(other, tensor(1))
        other.commit([SetName("x", "val", digest, (digest,), taken=(digest,))])
        other.commit([DropName("x")])
        assert store.read().is_put(digest)
        other.commit([SetName("x", "val", digest, (digest,), taken=(digest,))])  # of any other opening
        assert not store.read().is_put(digest)
        other.commit([DropName("x")])
        assert not store.read().blobs

    # Holders.

    def test_a_holder_is_open_until_it_is_closed(self, store: Store, other: Store) -> None:
        first, second, third = store.new_holder(), store.new_holder(), other.new_holder()
        assert len({first, second, third}) == 3
        assert not store.read().is_open(first)
        digest = put(store, tensor(1))
        store.commit([OpenHolder(first), Hold(second, digest), Put(digest, -1)])
        assert other.read().is_open(first)
        assert other.read().is_open(second)
        other.commit([Hold(first, digest)])
        store.commit([CloseHolder(second), CloseHolder(third)])
        assert not other.read().is_open(second)
        assert torch.equal(other.get(digest), tensor(1))
        assert store.usage().held == 1
        store.commit([CloseHolder(first)])
        assert not store.read().blobs
        assert store.usage().held == 0

    def test_the_holders_of_an_opening_end_with_it_and_what_it_put_does_not(self, rig: Rig) -> None:
        store, other = rig.store, rig.attach()
        holder = other.new_holder()
        held, left = put(other, tensor(1)), put(other, tensor(2))
        other.commit([Hold(holder, held), Put(held, -1)])
        other.shutdown()
        assert not store.read().is_open(holder)
        assert set(store.read().blobs) == {left}
        store.commit([SetName("x", "val", left, (left,), taken=(left,))])
        assert not store.read().is_put(left)

    # Memos.

    def test_memos_are_in_the_order_of_their_use(self, store: Store, other: Store) -> None:
        for key in "abc":
            store.commit([Remember(key, memo_of({"key": key}))])
        assert list(other.read().memos) == ["a", "b", "c"]
        other.use_memo("a")
        store.use_memo("unknown")
        assert list(store.read().memos) == ["b", "c", "a"]
        store.commit([Remember("b", memo_of({"key": "again"}))])
        assert list(other.read().memos) == ["c", "a", "b"]
        assert other.read().memos["b"].fields() == {"key": "again"}
        store.commit([Forget("a"), Forget("unknown")])
        assert list(store.read().memos) == ["c", "b"]

    def test_the_memo_stays_within_its_bound(self, store: Store) -> None:
        capacity = store.usage().memo_capacity
        count = capacity // (8 * 4)
        named = put(store, tensor(-1, count))
        store.commit([SetName("named", "val", named, (named,), taken=(named,))])
        store.commit([Remember("named", memo_of({"value": named}))])
        digests = []
        for number in range(24):
            digests.append(remember(store, f"k{number}", tensor(number, count)))
            store.use_memo("k2")
            assert store.usage().memo <= capacity
        kept = list(store.read().memos)
        assert kept[-1] == "k2"
        assert "k23" in kept
        assert "k0" not in kept
        assert len(kept) >= 4
        for number, digest in enumerate(digests):
            assert (digest in store.read().blobs) is (f"k{number}" in kept)
        assert torch.equal(store.get(named), tensor(-1, count))

    # Several at once.

    def test_C5_a_commit_is_visible_as_a_whole(self, store: Store, other: Store) -> None:
        def write() -> None:
            for number in range(200):
                store.commit([SetSmall("a", small(number)), SetSmall("b", small(number))])

        writer = threading.Thread(target=write)
        writer.start()
        while writer.is_alive():
            with other.writing() as contents:
                pair = [contents.names.get(unique_id) for unique_id in "ab"]
            assert len({name and name.payload for name in pair}) == 1
        writer.join()
        assert names(store) == {"a": small(199), "b": small(199)}

    def test_no_other_thread_commits_while_the_store_is_held(self, store: Store, other: Store) -> None:
        def work(one: Store) -> None:
            for _ in range(25):
                with one.writing() as contents, one.writing():
                    count = int(contents.names["count"].payload[1:])  # type: ignore[index]
                    time.sleep(0.0005)  # for others to come in between
                    one.commit([SetSmall("count", small(count + 1))])

        store.commit([SetSmall("count", small(0))])
        together([partial(work, one) for one in (store, store, other, other)])
        assert names(store) == {"count": small(100)}

    def test_one_transaction_at_a_time(self, store: Store, other: Store) -> None:
        inside: list[Store] = []

        def work(one: Store) -> None:
            for _ in range(10):
                with gate_of(one):
                    assert one.gate.holder == threading.get_ident()
                    inside.append(one)
                    one.commit([SetSmall("x", small(1))])
                    assert len(inside) == 1
                    inside.clear()

        together([partial(work, one) for one in (store, store, other)])
        assert store.gate.holder is None

    def test_a_commit_does_not_wait_for_a_transaction(self, store: Store, other: Store) -> None:
        with gate_of(store):
            together([lambda: other.commit([SetSmall("x", small(1))])])
        assert names(store) == {"x": small(1)}

    # Usage, and the end.

    def test_usage(self, store: Store) -> None:
        before = store.usage()
        assert (before.held, before.memo, before.unfinished) == (0, 0, 0)
        digest = put(store, tensor(1, 30_000))
        after = store.usage()
        assert after.ram + after.disk >= before.ram + before.disk + 120_000
        assert after.held == 1
        store.commit([Put(digest, -1)])
        assert store.usage() == before

    def test_a_handle_is_json_or_refused(self, store: Store) -> None:
        try:
            handle = store.handle()
        except ContextError:
            return
        assert json.loads(json.dumps(handle)) == handle

    def test_after_the_end(self, rig: Rig) -> None:
        store, other = rig.store, rig.attach()
        digest = put(store, tensor(1))
        loaded = other.get(digest)
        assert not store.closed
        store.shutdown()
        store.shutdown()
        for one in (store, other):
            assert one.closed
            assert one.run_id == store.run_id
            uses: list[Callable[[], object]] = [
                one.read,
                one.writing().__enter__,
                partial(one.commit, [SetSmall("x", small(1))]),
                partial(one.save_small, "x", small(1), 1),
                partial(one.takes_small, 1),
                partial(put, one, 1),
                partial(one.get, digest),
                partial(one.verify, digest),
                partial(one.use_memo, "k"),
                one.usage,
            ]
            for use in uses:
                with pytest.raises(ContextClosedError):
                    use()
        other.shutdown()
        assert torch.equal(loaded, tensor(1))

    @settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=40)
    @given(data=st.data())
    def test_any_commits_leave_what_the_store_in_memory_has(self, rig: Rig, data: st.DataObject) -> None:
        """Compared with the plain model, in which each commit counts everything from nothing."""
        model = MemoryStore()
        pairs = [(rig.store, model), (rig.attach(), model.attach())]
        holders = {one.new_holder(): other.new_holder() for one, other in pairs for _ in range(2)}
        try:
            for _ in range(data.draw(st.integers(1, 8))):
                ours, plain = pairs[data.draw(st.integers(0, 1))]
                changes = data.draw(commits(list(ours.read().blobs), list(holders)))
                stored = data.draw(st.none() | st.integers(0, 3))
                publish(ours, changes, stored)
                publish(plain, [translated(change, holders) for change in changes], stored)
                for one, other in pairs:
                    assert seen(one, list(holders)) == seen(other, list(holders.values()))
        finally:
            clear(rig.store, list(holders))
            pairs[1][0].shutdown()
        assert not rig.store.read().blobs
        assert rig.store.usage().held == 0
