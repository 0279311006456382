"""What refers to a value keeps it, in whatever order a commit says so (C4, C5)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from discomfort.context.index import records
from discomfort.context.index.journal import Record
from discomfort.context.index.records import Blob
from discomfort.context.index.references import blob_bytes
from discomfort.context.index.state import State
from discomfort.context.store.entries import Memo

Change = tuple[str, Any, Any]
DIGESTS = [f"d1-{number:032x}" for number in range(4)]
digests = st.sampled_from(DIGESTS)


def blob(digest: str) -> Blob:
    return Blob(digest, "disk", f"blob-{digest}", 1000, "", ("bytes", None, None), (), True)


class Model:
    """The same as a state, said plainly: who refers to what, counted from nothing after each commit."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}
        self.memos: dict[str, tuple[str, ...]] = {}
        self.holds: dict[str, Counter[str]] = {}
        self.put: Counter[str] = Counter()
        self.there: set[str] = set()

    def commit(self, changes: list[Change]) -> None:
        """All that the changes add, then all that they take away, then look at what is referred to."""
        for change in changes:
            self.add(*change)
        for change in changes:
            self.take_away(*change)
        for digest in [digest for kind, _, value in changes if kind == "name" for digest in value[1]]:
            self.put[digest] = max(0, self.put[digest] - 1)
        for holder in [key for kind, key, _ in changes if kind == "holder gone"]:
            self.holds.pop(holder, None)
        self.there &= self.referred()

    def add(self, kind: str, key: Any, value: Any) -> None:
        if kind == "name":
            self.names[key] = value[0]
        elif kind == "memo":
            self.memos[key] = value
        elif kind == "hold" and value > 0:
            self.holds.setdefault(key[0], Counter())[key[1]] += value
        elif kind == "put" and value > 0:
            self.put[key] += value
        elif kind == "blob":
            self.there.add(key)

    def take_away(self, kind: str, key: Any, value: Any) -> None:
        if kind == "name gone":
            self.names.pop(key, None)
        elif kind == "memo gone":
            self.memos.pop(key, None)
        elif kind == "hold" and value < 0:
            held = self.holds.get(key[0], Counter())
            held[key[1]] = max(0, held[key[1]] + value)
        elif kind == "put" and value < 0:
            self.put[key] = max(0, self.put[key] + value)

    def referred(self) -> set[str]:
        return self.by_others() | {digest for refs in self.memos.values() for digest in refs}

    def by_others(self) -> set[str]:
        named = {digest for refs in self.names.values() for digest in refs}
        return named | {digest for held in (*self.holds.values(), self.put) for digest in +held}


def record_of(kind: str, key: Any, value: Any) -> Record:
    if kind == "name":
        return records.name_record(key, "val", (value[0] or DIGESTS[:1])[0], value[0], value[1], "p1")
    if kind == "name gone":
        return records.name_gone_record(key)
    if kind == "memo":
        return records.memo_record(key, Memo("{}", value))
    if kind == "memo gone":
        return records.memo_gone_record(key)
    if kind == "hold":
        return records.hold_record(key[1], value, key[0])
    if kind == "put":
        return records.put_record(key, value, "p1")
    if kind == "holder gone":
        return records.holder_gone_record(key)
    return records.blob_record(blob(key))


refs = st.lists(digests, max_size=3, unique=True).map(tuple)
steps = st.one_of(
    st.tuples(st.just("name"), st.sampled_from("abc"), st.tuples(refs, refs)),
    st.tuples(st.just("name gone"), st.sampled_from("abc"), st.none()),
    st.tuples(st.just("memo"), st.sampled_from("kl"), refs),
    st.tuples(st.just("memo gone"), st.sampled_from("kl"), st.none()),
    st.tuples(st.just("hold"), st.tuples(st.sampled_from(["p1.1", "p2.1"]), digests), st.sampled_from([1, 1, -1])),
    st.tuples(st.just("put"), digests, st.sampled_from([1, 1, -1])),
    st.tuples(st.just("holder gone"), st.sampled_from(["p1.1", "p2.1"]), st.none()),
    st.tuples(st.just("blob"), digests, st.none()),
)
# One commit says of a name, or of a memo, one thing.
commits = st.lists(
    st.lists(steps, max_size=8, unique_by=lambda step: (step[0].split()[0], str(step[1]), step[0] in ("hold", "put"))),
    max_size=8,
)


def one_thing_each(commit: list[Change]) -> list[Change]:
    seen: set[tuple[str, str]] = set()
    kept = []
    for kind, key, value in commit:
        subject = (kind.split()[0], str(key))
        if kind.split()[0] not in ("name", "memo") or subject not in seen:
            kept.append((kind, key, value))
        seen.add(subject)
    return kept


@given(commits, st.randoms(use_true_random=False))
def test_C5_all_retains_of_a_commit_come_before_its_releases(history: list[list[Change]], random: Any) -> None:
    state, model = State(), Model()
    for commit in map(one_thing_each, history):
        # A value is stored with the first thing that refers to it, or not at all.
        commit = [step for step in commit if step[0] != "blob" or step[1] not in model.there]
        before = set(model.there)
        model.commit(commit)
        shuffled = list(commit)
        random.shuffle(shuffled)
        for step in shuffled:
            state.apply(*record_of(*step))
        state.settle()
        arrived = {key for kind, key, _ in commit if kind == "blob"}
        assert set(state.blobs) == model.there
        assert {dropped.digest for dropped in state.dropped} == (before | arrived) - model.there
        state.dropped.clear()
        assert {name: found.refs for name, found in state.names.items()} == model.names
        assert {key: memo.refs for key, memo in state.memos.items()} == model.memos
        assert state.holders.digests() == {digest for held in (*model.holds.values(), model.put) for digest in +held}
        only_memos = [digest for digest in model.there if digest not in model.by_others()]
        overhead = sum(len(key) + 2 + 1024 for key in model.memos)
        assert state.references.memo_bytes == overhead + sum(blob_bytes(blob(digest)) for digest in only_memos)
        assert state.disk_bytes == 1000 * len(model.there)
        again = State()
        for record in state.snapshot():
            again.apply(*record)
        again.settle()
        for one in (state, again):
            assert set(one.blobs) == model.there
            assert one.references.memo_bytes == state.references.memo_bytes
        assert again.holders.holds == state.holders.holds
        assert again.holders.put == state.holders.put


actions = st.lists(
    st.tuples(
        st.sampled_from(["save", "ref", "take", "delete", "memo"]),
        st.sampled_from("abcd"),
        st.integers(0, 2),
        st.lists(st.sampled_from("abcd"), max_size=2, unique=True),
    ),
    max_size=8,
)


def tensor(fill: int) -> torch.Tensor:
    return torch.full((3000,), fill, dtype=torch.int32)


class Transactions:
    """Transactions of a context, and what they must amount to: by name the fill of a value, or those of a reference."""

    def __init__(self, context: WorkflowContext) -> None:
        self.context = context
        self.model: dict[str, int | tuple[int, ...]] = {}

    def run(self, steps: list[tuple[str, str, int, list[str]]], fail: bool) -> None:
        after = dict(self.model)
        try:
            with self.context.transaction():
                for action, name, fill, others in steps:
                    self.step(after, action, name, fill, others)
                if fail:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return
        self.model = after

    def step(
        self, after: dict[str, int | tuple[int, ...]], action: str, name: str, fill: int, others: list[str]
    ) -> None:
        context = self.context
        values = [other for other in others if isinstance(after.get(other), int)]
        digests, fills = [context.digest(value) for value in values], [int(context.load(value)[0]) for value in values]
        if action == "save":
            context.save(name, tensor(fill))
            after[name] = fill
        elif action == "ref":  # captures values of names as they are now, which may be overwritten at once
            context.save(name, {"captured": digests}, pass_by="ref")
            after[name] = tuple(fills)
        elif action == "take" and digests:
            context.names.save_digest(name, digests[0])
            after[name] = fills[0]
        elif action == "memo" and digests:
            context.memos.put(name, {"value": digests[0]})
        elif action == "delete" and name in after:
            context.delete(name)
            del after[name]

    def check(self, reader: WorkflowContext) -> None:
        assert sorted(reader.list_keys()) == sorted(self.model)
        for name, expected in self.model.items():
            if isinstance(expected, int):
                assert torch.equal(reader.load(name), tensor(expected))
            else:
                captured = reader.recipe(name)["captured"]
                assert [int(reader.values.get(digest)[0]) for digest in captured] == list(expected)
        for key in reader.memos.list_keys():
            assert reader.values.has((reader.memos.get(key) or {})["value"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.lists(st.tuples(actions, st.sampled_from([False, False, False, True])), max_size=5))
def test_C5_a_transaction_leaves_what_its_model_does(
    config: Path, history: list[tuple[list[tuple[str, str, int, list[str]]], bool]]
) -> None:
    with WorkflowContext(config) as context:
        reader = WorkflowContext.attach(context.handle())
        transactions = Transactions(context)
        for steps, fail in history:
            transactions.run(steps, fail)
            transactions.check(context)
            transactions.check(reader)
            assert context.get_usage()["held_values_count"] == 0
        for key in context.memos.list_keys():
            context.memos.delete(key)
        used = {context.digest(name) for name in transactions.model}
        for name, expected in transactions.model.items():
            used.update(context.recipe(name)["captured"] if isinstance(expected, tuple) else ())
        assert set(context.store.read().blobs) == used
        reader.shutdown()
