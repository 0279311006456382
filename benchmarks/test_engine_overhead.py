"""What an engine adds to the work of its nodes: chains of nodes that add 1, against a bare loop over their functions.

With COMFYUI_PATH a ComfyUI takes part, in-process in both node protocols (when this Python has its requirements) and as
a server: `COMFYUI_PATH=… [COMFYUI_PYTHON=…] pytest benchmarks/test_engine_overhead.py -s`. Everything is measured
alternately in one run, and the smallest of each is reported; what an engine adds is what it takes beyond the bare loop.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.chain_nodes import ChainV1, chain
from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.inprocess import InProcessEngine
from discomfort.runtime.engines.protocol import Engine, EngineError, PromptRequest

LENGTHS = {100: 40, 1_000: 8, 10_000: 2}
"""How often a chain of each length runs."""

_starts = itertools.count(1_000_000, 1_000_000)
Run = Callable[[int], float]
"""Runs a chain of a length that no cache knows and returns the seconds that took."""


def bare_loop(length: int) -> float:
    """Run a chain with nothing but a table of results."""
    prompt = chain("ChainV1", length, next(_starts))
    del prompt["save"]
    begin = time.perf_counter()
    results: dict[str, tuple[Any, ...]] = {}
    for name, body in prompt.items():
        inputs = {
            key: results[value[0]][value[1]] if isinstance(value, list) else value
            for key, value in body["inputs"].items()
        }
        results[name] = getattr(ChainV1(), ChainV1.FUNCTION)(**inputs)
    return time.perf_counter() - begin


def on_engine(engine: Engine, class_type: str, context: WorkflowContext) -> Run:
    def run(length: int) -> float:
        start = next(_starts)
        request = PromptRequest(chain(class_type, length, start), {"end": "save"}, context)
        begin = time.perf_counter()
        result = run_blocking(engine.run(request))
        seconds = time.perf_counter() - begin
        delivered = result.outputs["end"]
        value = delivered.value if delivered.digest is None else context.values.get(delivered.digest)
        assert value == start + length
        return seconds

    return run


@contextmanager
def runners(base: Path) -> Iterator[dict[str, Run]]:
    """Give what is to be compared, by name."""
    engines: dict[str, tuple[Engine, str]] = {}
    embedded = EmbeddedEngine()
    embedded.register({"ChainV1": ChainV1})
    engines["embedded"] = embedded, "ChainV1"
    path = os.environ.get("COMFYUI_PATH")
    if path:
        for folder in ("custom_nodes", "input", "output", "temp", "models", "user"):
            (base / folder).mkdir()
        shutil.copy(Path(__file__).with_name("chain_nodes.py"), base / "custom_nodes")
        arguments = ["--cpu", "--disable-api-nodes", "--base-directory", str(base)]
        arguments += ["--database-url", f"sqlite:///{base / 'comfyui.db'}"]
        inside = InProcessEngine(path, arguments)
        try:
            run_blocking(inside.start())
        except EngineError as error:
            print(error)
        else:
            engines["in-process, V1"] = inside, "ChainV1"
            engines["in-process, V3"] = inside, "ChainV3"
        python = os.environ.get("COMFYUI_PYTHON", sys.executable)
        engines["server"] = ComfyUIEngine.managed(path, python, arguments), "ChainV1"
    with WorkflowContext(max_ram_gb=0.05) as context:
        try:
            yield {"bare loop": bare_loop} | {
                name: on_engine(engine, kind, context) for name, (engine, kind) in engines.items()
            }
        finally:
            for engine, _ in engines.values():
                run_blocking(engine.close())


def measure(compared: dict[str, Run]) -> dict[tuple[str, int], float]:
    """Return microseconds a node, the smallest of several, by name and length."""
    best: dict[tuple[str, int], float] = {}
    for length, rounds in LENGTHS.items():
        for _ in range(rounds):
            for name, run in compared.items():
                if name == "server" and length > 100:  # deep prompts end its worker thread
                    continue
                cost = run(length) / length * 1e6
                best[name, length] = min(best.get((name, length), cost), cost)
    return best


def test_overhead_per_node(benchmark: Any, tmp_path: Path) -> None:
    with runners(tmp_path) as compared:
        for run in compared.values():
            run(100)  # starts what has to start
        best = benchmark.pedantic(measure, (compared,), rounds=1)
        names = list(compared)
    print(
        "\n| µs a node | "
        + " | ".join(f"{length:,} nodes" for length in LENGTHS)
        + " | added at 100, of the server's |"
    )
    added = {name: best[name, 100] - best["bare loop", 100] for name in names}
    for name in names:
        costs = [f"{best[name, length]:,.1f}" if (name, length) in best else "" for length in LENGTHS]
        share = f"1/{added['server'] / added[name]:,.0f}" if "server" in added and name != "bare loop" else ""
        print(f"| {name} | " + " | ".join(costs) + f" | {share} |")
    benchmark.extra_info.update({f"{name}, {length}": round(cost, 1) for (name, length), cost in best.items()})
