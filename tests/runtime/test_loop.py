"""The engine loop: one place for engines, reachable from anywhere, interruptible."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest

from discomfort.runtime import engine_thread
from discomfort.runtime.engine_thread import CLEAN_UP, engine_loop, run_awaiting, run_blocking, within


async def which_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_blocking_and_awaiting_callers_share_one_loop() -> None:
    assert run_blocking(which_loop()) is engine_loop()

    async def elsewhere() -> None:
        assert await run_awaiting(which_loop()) is engine_loop()
        assert run_blocking(which_loop()) is engine_loop()  # inside a running loop, as in Jupyter

    asyncio.run(elsewhere())


def test_blocking_on_the_engine_loop_itself_is_refused() -> None:
    async def inner() -> None:
        run_blocking(which_loop())

    with pytest.raises(RuntimeError, match="await the asynchronous form"):
        run_blocking(inner())


def test_an_error_comes_back() -> None:
    async def fail() -> None:
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        run_blocking(fail())


def test_work_that_wants_to_end_the_program_ends_its_caller_and_not_the_loop() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        run_blocking(leave())
    assert run_blocking(which_loop()) is engine_loop()


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_interrupt_cancels_the_work_and_waits_for_its_clean_up() -> None:
    steps: list[str] = []

    async def work() -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            steps.append("cleaned up")

    # A test run started in the background may have inherited an ignored SIGINT; a person at a terminal has not.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_blocking(work())
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert steps == ["cleaned up"]


@pytest.mark.parametrize("handed_over", [True, False])
def test_R7_an_interrupt_while_the_work_is_handed_over_is_not_lost(
    handed_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over = engine_thread._Handoff.hand_over
    steps: list[str] = []
    began = threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            steps.append("cleaned up")

    def interrupted(handoff: engine_thread._Handoff[Any]) -> None:
        if handed_over:
            hand_over(handoff)
            assert began.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine_thread._Handoff, "hand_over", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_blocking(work())
    assert steps == (["cleaned up"] if handed_over else [])


def test_R7_an_interrupt_right_after_the_hand_over_keeps_the_work_from_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hand_over = engine_thread._Handoff.hand_over
    began = threading.Event()
    busy = threading.Event()

    async def work() -> None:
        began.set()

    def interrupted(handoff: engine_thread._Handoff[Any]) -> None:
        engine_loop().call_soon_threadsafe(busy.wait, 10)
        hand_over(handoff)
        threading.Timer(0.1, busy.set).start()
        raise KeyboardInterrupt

    monkeypatch.setattr(engine_thread._Handoff, "hand_over", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_blocking(work())
    assert not began.is_set()


def test_cancelling_an_awaiting_caller_cancels_the_work() -> None:
    cancelled = threading.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def caller() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(run_awaiting(work()), 0.05)

    asyncio.run(caller())
    assert cancelled.wait(5)


async def test_a_cancellation_in_the_moment_in_which_the_work_ends_is_not_lost() -> None:
    work: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    caller = asyncio.create_task(within(5, work))
    await asyncio.sleep(0)
    work.set_result(1)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_work_that_takes_too_long_is_cancelled() -> None:
    work = asyncio.create_task(asyncio.sleep(60))
    with pytest.raises(asyncio.TimeoutError):
        await within(0.01, work)
    assert work.cancelled()


async def test_a_cancelled_awaiting_caller_waits_for_the_clean_up() -> None:
    """A program may end right after: the server's job must be off the server by then."""
    began, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            cleaned.set()

    caller = asyncio.create_task(run_awaiting(work()))
    await asyncio.to_thread(began.wait)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert cleaned.is_set()


async def test_a_caller_that_is_cancelled_before_the_work_began_does_not_wait() -> None:
    busy = threading.Event()
    engine_loop().call_soon_threadsafe(busy.wait, 10)
    caller = asyncio.create_task(run_awaiting(which_loop()))
    await asyncio.sleep(0)
    caller.cancel()
    asyncio.get_running_loop().call_later(0.05, busy.set)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(caller, CLEAN_UP / 2)
