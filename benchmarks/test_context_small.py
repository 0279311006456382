"""Small values: saves and loads a second from one process. Peers: SQLite, and a dict in a manager process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

import pytest

from discomfort.context.context import WorkflowContext

COUNT = 5000
NAMES = [f"name{number % 500}" for number in range(COUNT)]
VALUES: dict[str, list[Any]] = {
    "int": list(range(COUNT)),
    "str": [f"a lighthouse, {number}" for number in range(COUNT)],
    "dict": [{"seed": number, "sampler": "euler"} for number in range(COUNT)],
}


@pytest.fixture(params=VALUES)
def values(request: pytest.FixtureRequest) -> list[Any]:
    return VALUES[request.param]


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=1) as opened:
        yield opened


def save_all(context: WorkflowContext, values: list[Any]) -> None:
    save = context.save
    for name, value in zip(NAMES, values, strict=True):
        save(name, value)


def load_all(context: WorkflowContext) -> None:
    load = context.load
    for name in NAMES:
        load(name)


def test_save_small(benchmark: Any, context: WorkflowContext, values: list[Any]) -> None:
    benchmark.group = f"save {COUNT} values of {type(values[0]).__name__}"
    benchmark(save_all, context, values)
    benchmark.extra_info["saves_per_second"] = COUNT / benchmark.stats.stats.min


def test_load_small(benchmark: Any, context: WorkflowContext, values: list[Any]) -> None:
    benchmark.group = f"load {COUNT} values of {type(values[0]).__name__}"
    save_all(context, values)
    benchmark(load_all, context)
    benchmark.extra_info["loads_per_second"] = COUNT / benchmark.stats.stats.min


def test_save_small_sqlite(benchmark: Any, tmp_path: Path) -> None:
    """One commit a value, as a store that others read needs."""
    benchmark.group = f"save {COUNT} values of int"
    connection = sqlite3.connect(tmp_path / "values.sqlite", isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=off")
    connection.execute("create table names (name text primary key, value)")

    def save() -> None:
        for name, value in zip(NAMES, VALUES["int"], strict=True):
            connection.execute("insert or replace into names values (?, ?)", (name, value))

    benchmark(save)
    connection.close()


def test_save_small_manager(benchmark: Any) -> None:
    """A dict in a server process, as `multiprocessing.Manager` gives."""
    benchmark.group = f"save {COUNT} values of int"
    manager = SyncManager()
    manager.start()
    shared: Any = manager.dict()

    def save() -> None:
        for name, value in zip(NAMES, VALUES["int"], strict=True):
            shared[name] = value

    benchmark.pedantic(save, rounds=2)
    manager.shutdown()


def test_transaction_small(benchmark: Any, context: WorkflowContext) -> None:
    """All of them in one commit."""
    benchmark.group = f"save {COUNT} values of int"

    def save() -> None:
        with context.transaction():
            save_all(context, VALUES["int"])

    benchmark(save)
