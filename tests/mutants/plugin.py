"""A pytest plugin that runs the collected tests on each mutant of one module: `pytest -p tests.mutants.plugin`.

The tests are collected once. Each mutant gets a process of its own by `os.fork`, where the code of one function is
replaced, and runs those tests that come by its lines, the likeliest to fail first, until one fails. A change outside
of functions has its effect on import, so its process is forked before anything is imported and collects again.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest

from tests.mutants.mutate import Mutant, functions_in, mutants_of

MEMORY = 4 << 30
"""Bytes of address space beyond which a mutant that fills the memory is stopped."""


@dataclass
class Child:
    """A process that runs tests on a mutant."""

    mutant: Mutant
    pid: int
    folder: Path
    deadline: float


@dataclass
class Campaign:
    """The mutants of one module, and what became of them: `killed`, `slow` (stopped at a limit) or `survived`."""

    module: str
    path: Path
    jobs: int
    found: dict[str, list[Mutant]] = field(default_factory=lambda: {"killed": [], "slow": [], "survived": []})
    killers: Counter[str] = field(default_factory=Counter)
    running: list[Child] = field(default_factory=list)

    @classmethod
    def of(cls, module: str, jobs: int) -> Campaign:
        """Return the campaign of a module, which is found but not imported."""
        path = Path(*module.split(".")).with_suffix(".py").resolve()
        return cls(module, path, jobs)

    def mutants(self) -> list[Mutant]:
        """Return all mutants of the module."""
        return mutants_of(self.module, self.path.read_text(encoding="utf-8"), str(self.path))

    def start(self, mutant: Mutant, seconds: float) -> bool:
        """Fork; return True in the new process, which has `seconds` of processor time, and False in this one."""
        while len(self.running) >= self.jobs:
            self.reap()
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        pid = os.fork()
        if pid:
            self.running.append(Child(mutant, pid, folder, time.monotonic() + 20 * seconds))
            return False
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        limit_processor_time(seconds)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        return True

    def reap(self) -> None:
        """Wait until one process has ended, and note how."""
        while True:
            for child in self.running:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                late = time.monotonic() > child.deadline
                if pid or late:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                    if late and not pid:
                        os.waitpid(child.pid, 0)
                    self.running.remove(child)
                    self._note(child, status if pid else signal.SIGKILL)
                    return
            time.sleep(0.005)

    def _note(self, child: Child, status: int) -> None:
        killer = child.folder / "killer"
        if killer.exists():
            self.killers[killer.read_text()] += 1
        shutil.rmtree(child.folder, ignore_errors=True)
        verdict = "slow" if os.WIFSIGNALED(status) else "killed" if os.waitstatus_to_exitcode(status) else "survived"
        self.found[verdict].append(child.mutant)


def limit_processor_time(seconds: float) -> None:
    """Have this process stopped when it has taken so many seconds more of processor time than it has by now."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), hard))


@dataclass
class Timing:
    """Which lines of the module a test comes by, and how many seconds of processor time it takes."""

    seconds: float
    lines: frozenset[int]


class Plugin:
    """Takes the place of pytest's own loop over tests."""

    def __init__(self, campaign: Campaign, report: Path) -> None:
        self._campaign = campaign
        self._report = report
        self._is_child = False

    def start_imports(self) -> None:
        """Fork for each of the mutants that are changes outside of functions, which collect their tests again."""
        if any(name == self._campaign.module for name in sys.modules):
            raise pytest.UsageError(f"{self._campaign.module} is imported before its mutants are made")
        for mutant in self._campaign.mutants():
            if mutant.function is None and self._campaign.start(mutant, 300):
                self._is_child = True
                sys.meta_path.insert(0, _Finder(mutant.module, self._campaign.path, mutant.code))
                return

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run the tests on each mutant."""
        if self._is_child:
            return None
        timings = self._time(session)
        functions = _functions(self._campaign.path)
        for mutant in self._campaign.mutants():
            if mutant.function is not None:
                self._try(session, mutant, timings, functions)
        while self._campaign.running:
            self._campaign.reap()
        found = {
            verdict: [(mutant.first, mutant.source, *mutant.name) for mutant in mutants]
            for verdict, mutants in self._campaign.found.items()
        }
        self._report.write_text(json.dumps(found))
        return True

    def _time(self, session: pytest.Session) -> Mapping[str, Timing]:
        """Run all tests once in a process of their own, on the module as it is."""
        folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        pid = os.fork()
        if not pid:
            os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir = str(folder)
            timings: dict[str, tuple[float, list[int]]] = {}
            tracer = _Tracer(str(self._campaign.path))
            threading.settrace(tracer)
            for item in session.items:
                tracer.lines = set()
                sys.settrace(tracer)
                before = time.process_time()
                _run(session, item)
                sys.settrace(None)
                timings[item.nodeid] = (time.process_time() - before, sorted(tracer.lines))
                if session.testsfailed:
                    print(f"\nfails on the module as it is: {item.nodeid}", flush=True)
                    os._exit(1)
            (folder / "timings").write_text(json.dumps(timings))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        read = json.loads((folder / "timings").read_text()) if status == 0 else None
        shutil.rmtree(folder, ignore_errors=True)
        if read is None:
            pytest.exit("a test fails on the module as it is", returncode=3)
        return {name: Timing(seconds, frozenset(lines)) for name, (seconds, lines) in read.items()}

    def _try(
        self,
        session: pytest.Session,
        mutant: Mutant,
        timings: Mapping[str, Timing],
        functions: Mapping[tuple[str, int], Sequence[FunctionType]],
    ) -> None:
        lines = set(range(mutant.first, mutant.last + 1))
        passing = [item for item in session.items if lines & timings[item.nodeid].lines]
        assert mutant.function is not None
        if not passing:
            self._campaign.found["survived"].append(mutant)
            return
        killers = self._campaign.killers
        passing.sort(key=lambda item: (-killers[item.nodeid], timings[item.nodeid].seconds))
        if not self._campaign.start(mutant, 10 + 3 * sum(timings[item.nodeid].seconds for item in passing)):
            return
        for function in functions[mutant.function]:
            function.__code__ = mutant.code
        for item in passing:
            limit_processor_time(5 + 3 * timings[item.nodeid].seconds)
            _run(session, item)
            if session.testsfailed:
                Path(tempfile.gettempdir(), "killer").write_text(item.nodeid)
                os._exit(1)
        os._exit(0)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from other code."""

    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self._module = module
        self._path = path
        self._code = code

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)

    def get_source(self, name: str) -> str:
        return self._path.read_text(encoding="utf-8")


def _run(session: pytest.Session, item: pytest.Item) -> None:
    session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


class _Tracer:
    """Notes the lines of one file that run, in threads that start later too, which outlive the test they start in."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.lines: set[int] = set()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename == self._path else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.lines.add(frame.f_lineno)
        return self._line


def _functions(path: Path) -> Mapping[tuple[str, int], Sequence[FunctionType]]:
    """Return the functions of a module that are in memory, whatever they are wrapped in."""
    found: dict[tuple[str, int], list[FunctionType]] = {
        place: []
        for place in functions_in(compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True))
    }
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename == str(path):
            place = thing.__code__.co_name, thing.__code__.co_firstlineno
            if place in found:
                found[place].append(thing)
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mutants")
    group.addoption("--mutate", metavar="MODULE", help="the module whose mutants are made")
    group.addoption("--mutant-jobs", metavar="COUNT", type=int, default=2, help="processes at once")
    group.addoption("--mutant-report", metavar="FILE", help="where the result is written, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Register the plugin, before anything is collected."""
    campaign = Campaign.of(str(config.getoption("mutate")), int(config.getoption("mutant_jobs")))
    plugin = Plugin(campaign, Path(str(config.getoption("mutant_report"))))
    config.pluginmanager.register(plugin)
    plugin.start_imports()
