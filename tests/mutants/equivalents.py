"""The list of mutants that no test can see, since the program does the same with them; each has its reason."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

PATH: Path = Path(__file__).with_name("equivalents.txt")

Name: TypeAlias = "tuple[str, str, str, str]"
"""Module, place in it, the statement and what it became."""


def read_equivalents() -> dict[Name, str]:
    """Return the reason of each equivalent mutant.

    Raises:
        ValueError: an entry is not complete.
    """
    found: dict[Name, str] = {}
    for number, block in enumerate(PATH.read_text(encoding="utf-8").split("\n\n")):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if not lines:
            continue
        if len(lines) != 4 or [line[:2] for line in lines[1:]] != ["- ", "+ ", "= "] or not lines[3][2:].strip():
            raise ValueError(f"entry {number} of {PATH.name} is not complete: {lines}")
        module, _, place = lines[0].partition(" ")
        found[module, place, lines[1][2:], lines[2][2:]] = lines[3][2:]
    return found


def entry(name: Name) -> str:
    """Return the text of an entry, up to its reason."""
    module, place, before, after = name
    return f"{module} {place}\n- {before}\n+ {after}"
