"""Runs the tests on mutants of the core, and fails where one survives that is not in the list of the equivalent ones.

    make mutants
    python -m tests.mutants keys stitch      # the modules whose names end so

A survivor is printed in the form of `equivalents.txt`: either a test is missing, or it belongs there with a reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.mutants.equivalents import Name, entry, read_equivalents
from tests.mutants.mutate import mutants_of
from tests.mutants.table import TESTS


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("modules", nargs="*", help="names of modules, or their ends; none: all of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    arguments = parser.parse_args()
    chosen = [
        module
        for module in TESTS
        if not arguments.modules or any(module.endswith(f".{end}") for end in arguments.modules)
    ]
    equivalents = read_equivalents()
    failed = False
    for module in chosen:
        failed |= not _try_module(module, arguments.jobs, {name for name in equivalents if name[0] == module})
    return int(failed or not chosen)


def _try_module(module: str, jobs: int, equivalents: set[Name]) -> bool:
    """Run the tests on the mutants of one module; return whether all is as it should be."""
    found = _campaign(module, jobs)
    if found is None:
        print(f"{module}: a test fails on the module as it is")
        return False
    survived = [(line, source, (*name,)) for line, source, *name in found["survived"]]
    missing = [each for each in survived if each[2] not in equivalents]
    killed, slow = len(found["killed"]), len(found["slow"])
    equal = len(survived) - len(missing)
    print(
        f"{module}: {killed} killed, {slow} stopped at a limit, {equal} equivalent, {len(missing)} survived", flush=True
    )
    path = Path(*module.split(".")).with_suffix(".py")
    for line, source, name in missing:
        print(f"\n{path}:{line}: {source}\n{entry(name)}")
    there = {mutant.name for mutant in mutants_of(module, path.read_text(encoding="utf-8"), str(path))}
    for name in sorted(equivalents - there):
        print(f"\nequivalents.txt lists a mutant that no longer exists:\n{entry(name)}")
    for name in sorted(equivalents & there - {each[2] for each in survived}):
        print(f"\nin equivalents.txt, but a test sees it:\n{entry(name)}")
    return not missing and equivalents <= {each[2] for each in survived}


def _campaign(module: str, jobs: int) -> Any:
    """Return what became of the mutants of a module, None where a test fails without any."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "tests.mutants.plugin"]
        command = [sys.executable, "-m", "pytest", *options, f"--mutate={module}", f"--mutant-jobs={jobs}"]
        environment = {**os.environ, "HYPOTHESIS_PROFILE": "mutants"}
        done = subprocess.run(
            [*command, f"--mutant-report={report}", *TESTS[module]], env=environment, capture_output=True, text=True
        )
        if not report.exists():
            print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
            return None
        return json.loads(report.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
