"""Regular expressions run in a process of their own: the results of `re`, an end in time, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.pack.values import regular_expression_process, regular_expressions, strings
from discomfort.runtime.engines.protocol import NodeFailed, PromptRequest

EVIL = "(a+)+$"
TEXT = "a" * 64 + "b"


def processes(of: int | None = None) -> list[int]:
    """The processes for regular expressions of a process."""
    found = []
    for child in psutil.Process(of).children(recursive=True):
        try:
            if (
                any("regular_expression_process" in part for part in child.cmdline())
                and child.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    regular_expressions.close()
    yield
    regular_expressions.close()
    assert not processes()


def test_one_process_is_kept() -> None:
    assert strings.regex_match("hello", "L+") == (True,)
    (first,) = processes()
    for _ in range(20):
        assert strings.regex_extract("a1b2", r"\d", "All Matches") == ("1\n2",)
    assert processes() == [first]


@pytest.mark.parametrize(
    "call",
    [
        lambda: strings.regex_match(TEXT, EVIL),
        lambda: strings.regex_extract(TEXT, EVIL, "All Groups"),
        lambda: strings.regex_replace(TEXT, EVIL, ""),
    ],
)
def test_a_pattern_that_takes_too_long_is_ended(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(regular_expressions.VARIABLE, "0.5")
    with pytest.raises(TimeoutError, match=re.escape("'(a+)+$' did not end within 0.5 s on a text of 65 characters")):
        call()
    assert not processes()
    assert strings.regex_match("hello", "l") == (True,)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the other way is the only one")
def test_what_does_not_look_for_signals_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on Windows, where there is no timer: a thread without Python's lock ends the process."""
    program = Path(regular_expression_process.__file__).read_text(encoding="utf-8")
    program = program.replace('hasattr(signal, "setitimer")', "False").replace(
        "GRACE_SECONDS = 2.0", "GRACE_SECONDS = 0.2"
    )
    (tmp_path / "regular_expression_process.py").write_text(program, encoding="utf-8")
    monkeypatch.setattr(regular_expression_process, "__file__", str(tmp_path / "regular_expression_process.py"))
    monkeypatch.setenv(regular_expressions.VARIABLE, "0.5")
    with pytest.raises(TimeoutError):
        strings.regex_match(TEXT, EVIL)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "inf", "1e999"])
def test_a_limit_that_is_none_is_the_usual_one(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(regular_expressions.VARIABLE, text)
    assert regular_expressions.longest_seconds() in (regular_expressions.LONGEST_SECONDS, 86400.0)
    assert strings.regex_match("hello", "l") == (True,)


def prompt_of(text: str, pattern: str) -> dict[str, Any]:
    inputs = {"string": text, "regex_pattern": pattern, "case_insensitive": True, "multiline": False, "dotall": False}
    return {
        "1": {"class_type": "RegexMatch", "inputs": inputs, "_meta": {"title": "Look"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


def test_a_node_that_takes_too_long_names_itself_and_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(regular_expressions.VARIABLE, "0.5")

    async def run() -> None:
        engine = EmbeddedEngine()
        with WorkflowContext() as context:
            await engine.run(PromptRequest(prompt_of(TEXT, EVIL), {}, context, {}))

    with pytest.raises(NodeFailed, match=r"(?s)RegexMatch.*TimeoutError.*\(a\+\)\+\$.*0\.5 s"):
        run_blocking(run())


def test_cancelling_a_run_ends_the_process() -> None:
    async def run() -> float:
        engine = EmbeddedEngine()
        with WorkflowContext() as context:
            task = asyncio.ensure_future(engine.run(PromptRequest(prompt_of(TEXT, EVIL), {}, context, {})))
            while not processes():
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            await asyncio.to_thread(wait_until, lambda: not processes())
            outcome = await engine.run(PromptRequest(prompt_of("hello", "l"), {}, context, {}))
            await engine.close()
            assert not processes()
        return len(outcome.executed)

    assert run_blocking(run()) == 2


def test_closing_the_engine_ends_the_process() -> None:
    async def run() -> None:
        engine = EmbeddedEngine()
        with WorkflowContext() as context:
            await engine.run(PromptRequest(prompt_of("hello", "l"), {}, context, {}))
            assert len(processes()) == 1
            await engine.close()
        assert not processes()

    run_blocking(run())


PROGRAM = """
import sys
from discomfort.runtime.engines.embedded.pack.values import regular_expressions as patterns
patterns.match("search", "l", 0, "hello")
print("ready", flush=True)
if sys.argv[1] == "busy":
    patterns.match("search", "(a+)+$", 0, "a" * 64 + "b")
elif sys.argv[1] == "idle":
    sys.stdin.read()
elif sys.argv[1] == "run":
    import discomfort
    prompt = {
        "1": {"class_type": "RegexMatch", "inputs": {"string": "a" * 64 + "b", "regex_pattern": "(a+)+$",
              "case_insensitive": True, "multiline": False, "dotall": False}},
        "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "x", "tags": "", "input": ["1", 0]}},
    }
    plan = discomfort.compile([prompt])
    with discomfort.Context() as context:
        plan.run(context, engine="embedded")
"""


@pytest.fixture
def program() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(what: str) -> subprocess.Popen[str]:
        options: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
        options["env"] = {**os.environ, "DISCOMFORT_REGEX_SECONDS": "600"}  # no limit ends it first
        command = [sys.executable, "-c", PROGRAM, what]
        pipe = subprocess.PIPE
        made = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options)
        started.append(made)
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        return made

    yield start
    for made in started:
        made.kill()
        made.communicate()


def busy(of: int) -> list[int]:
    """The process of another program once it works: its time counts up."""
    wait_until(lambda: any(psutil.Process(pid).cpu_times().user > 0.3 for pid in processes(of)))
    return processes(of)


@pytest.mark.parametrize("what", ["busy", "idle"])
def test_a_killed_program_leaves_no_process(what: str, program: Callable[[str], subprocess.Popen[str]]) -> None:
    made = program(what)
    wait_until(lambda: bool(processes(made.pid)))
    (child,) = busy(made.pid) if what == "busy" else processes(made.pid)
    made.kill()
    made.wait()
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as a terminal does")
@pytest.mark.parametrize("what", ["busy", "run"])
def test_control_c_ends_a_pattern_at_once(what: str, program: Callable[[str], subprocess.Popen[str]]) -> None:
    made = program(what)
    wait_until(lambda: bool(processes(made.pid)))
    (child,) = busy(made.pid)
    os.killpg(made.pid, signal.SIGINT)
    _, errors = made.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not psutil.pid_exists(child)


def test_a_program_that_ends_leaves_no_process(program: Callable[[str], subprocess.Popen[str]]) -> None:
    made = program("nothing")
    _, errors = made.communicate(timeout=60)
    assert (made.returncode, errors) == (0, "")


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_other_processes_have_their_own(method: Any) -> None:
    strings.regex_match("hello", "l")
    before = processes()
    context: Any = multiprocessing.get_context(method)
    other = context.Process(target=regular_expressions.match, args=("search", "l", 0, "hello"))
    other.start()
    other.join()
    assert other.exitcode == 0
    assert strings.regex_match("hello", "l") == (True,)
    assert processes() == before


def test_side_by_side_calls_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(regular_expressions.VARIABLE, "3")
    ended: list[str] = []

    def evil() -> None:
        with pytest.raises(TimeoutError):
            strings.regex_match(TEXT, EVIL)
        ended.append("evil")

    with ThreadPoolExecutor(5) as pool:
        slow = pool.submit(evil)
        wait_until(lambda: bool(processes()))
        for _ in pool.map(lambda _: [strings.regex_match("hello", "l") for _ in range(20)], range(4)):
            ended.append("good")
        slow.result()
    assert ended == ["good"] * 4 + ["evil"]
    assert len(processes()) <= 1


def test_a_process_that_ended_meanwhile_is_replaced() -> None:
    strings.regex_match("hello", "l")
    (pid,) = processes()
    psutil.Process(pid).kill()
    wait_until(lambda: not processes())
    assert strings.regex_match("hello", "l") == (True,)
    psutil.Process(processes()[0]).suspend()
    timer = threading.Timer(0.3, lambda: psutil.Process(processes()[0]).kill())
    timer.start()
    with pytest.raises(RuntimeError, match="the process for regular expressions ended"):
        strings.regex_match("hello", "l")
    timer.join()


def test_where_no_process_can_be_started_this_one_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert strings.regex_match("hello", "l") == (True,)
    monkeypatch.delattr(sys, "frozen")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert strings.regex_extract("hello", "l+", "First Match") == ("ll",)
    assert not processes()


@pytest.mark.parametrize(
    "call",
    [
        lambda: strings.regex_replace("a" * 20_000, "(?=(.*))", r"\1"),
        lambda: strings.regex_replace("a" * 100_000, "", "b" * 1000),
        lambda: strings.regex_extract("a" * 20_000, "(?=(.*))", "All Matches"),
        lambda: strings.regex_extract("a" * 20_000, "(?=(.*))", "All Groups"),
    ],
)
def test_a_small_text_does_not_become_gigabytes(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="more than 67108864 characters"):
        call()


@pytest.mark.parametrize("value", [None, b"a", 3.5, ["a"]])
def test_what_is_not_text_is_an_error(value: Any) -> None:
    with pytest.raises(TypeError, match="expected text"):
        strings.regex_match(value, "a")
    with pytest.raises(TypeError, match="expected text"):
        strings.regex_match("a", value)


class Texts(str):
    """A text of another class."""


def test_texts_of_other_classes_are_texts() -> None:
    assert strings.regex_replace(Texts("abc"), Texts("b"), Texts("x")) == ("axc",)


_PATTERNS = st.lists(
    st.sampled_from(
        ["a", "b", ".", "a*", "b+?", "(a)", "(a|b)", "(?=a)", "(?P<n>b)?", "^", "$", r"\w", r"\b", "[ab]", "("]
    ),
    max_size=4,
).map("".join)
_TEXTS = st.text(alphabet="abAB \n\ud800é", max_size=8)
_TEMPLATES = st.sampled_from(["", "x", r"\1", r"\g<0>", r"\g<n>", "\\", r"\n", r"\9", "é"])
_FLAGS = st.tuples(st.booleans(), st.booleans(), st.booleans())


def as_before(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 — compared
        return type(error).__name__, str(error)


@given(_PATTERNS, _TEXTS, _TEMPLATES, _FLAGS, st.integers(0, 3), st.integers(0, 3))
def test_results_are_those_of_re(
    pattern: str, text: str, template: str, flags: tuple[bool, bool, bool], count: int, group: int
) -> None:
    number = strings._flags(*flags)
    expected = as_before(lambda: re.sub(pattern, template, text, count=count, flags=number))
    assert as_before(lambda: strings.regex_replace(text, pattern, template, *flags, count)[0]) == expected
    limit = regular_expression_process.LARGEST_TEXT
    regular_expression_process.LARGEST_TEXT = len(text) + 200
    try:  # the way of long results
        assert as_before(lambda: regular_expression_process.replace(pattern, number, text, template, count)) in (
            expected,
            (expected[0], expected[1]) if isinstance(expected, tuple) else expected,
        )
    finally:
        regular_expression_process.LARGEST_TEXT = limit
    found = as_before(lambda: re.findall(pattern, text, number))
    if isinstance(found, list):
        lines = "\n".join(each[0] if isinstance(each, tuple) else each for each in found)
        assert strings.regex_extract(text, pattern, "All Matches", *flags) == (lines,)
        assert strings.regex_match(text, pattern, *flags) == (bool(re.search(pattern, text, number)),)
    else:
        assert strings.regex_match(text, pattern, *flags) == (False,)
    assert json.dumps(as_before(lambda: strings.regex_extract(text, pattern, "All Groups", *flags, group)))
