"""How compiling grows with the program (law L7): seconds and bytes a node at 100,000 nodes against those at 10,000.

`pytest benchmarks/test_compile.py --benchmark-only -s` prints the rows of the table in docs/contributing/compiler.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.programs import SHAPES

ONCE = Path(__file__).with_name("compile_once.py")
SIZES = (1_000, 10_000, 100_000)
ROUNDS = 3


def written(shape: str, count: int, folder: Path) -> list[Path]:
    """Write a program's workflows into `folder` and return their paths."""
    folder.mkdir()
    files = []
    for index, document in enumerate(SHAPES[shape](count)):
        files.append(folder / f"w{index}.json")
        files[-1].write_text(json.dumps(document), encoding="utf-8")
    return files


def once(kind: str, files: list[Path]) -> dict[str, float]:
    """Measure one compile in a process of its own."""
    done = subprocess.run([sys.executable, ONCE, kind, *files], capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


@pytest.mark.timeout(900)
@pytest.mark.parametrize("shape", SHAPES)
def test_scale(benchmark: Any, shape: str, tmp_path: Path) -> None:
    """The least of some rounds of each size, the sizes taking turns, so that busy moments hit all of them."""
    files = {count: written(shape, count, tmp_path / str(count)) for count in SIZES}
    best: dict[int, dict[str, float]] = {}

    def turn() -> None:
        for count in SIZES:
            measured = once("time", files[count])
            known = best.setdefault(count, measured)
            best[count] = {key: min(value, known[key]) for key, value in measured.items()}

    benchmark.pedantic(turn, rounds=ROUNDS)
    memory = {count: once("memory", files[count]) for count in SIZES}
    seconds = {count: best[count]["seconds"] for count in SIZES}
    small, large = SIZES[1:]
    benchmark.extra_info.update(
        {
            "seconds_for_100k": round(seconds[large], 2),
            "microseconds_a_node": {count: round(1e6 * seconds[count] / count, 1) for count in SIZES},
            "time_ratio": round(seconds[large] / seconds[small] * small / large, 2),
            "times_the_floor": round(seconds[large] / best[large]["floor"], 1),
            "bytes_a_node": {count: round(memory[count]["bytes"] / count) for count in SIZES},
            "memory_ratio": round(memory[large]["bytes"] / memory[small]["bytes"] * small / large, 2),
            "megabytes_for_100k": round(memory[large]["bytes"] / 1e6),
        }
    )
    sys.stdout.write(f"\n{row(shape, benchmark.extra_info)}\n")


def row(shape: str, found: dict[str, Any]) -> str:
    """Return the measurements as a row of the table."""
    cells = [
        shape,
        f"{found['seconds_for_100k']:.1f}",
        "" if shape == "subgraphs" else f"{found['times_the_floor']:.1f}",  # the file holds one
        " / ".join(f"{micro:.0f}" for micro in found["microseconds_a_node"].values()),
        f"{found['time_ratio']:.2f}",
        f"{found['megabytes_for_100k']} MB",
        f"{found['memory_ratio']:.2f}",
    ]
    return f"| {' | '.join(cells)} |"
