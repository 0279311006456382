"""Runs many cases of a class on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.runtime.pack.fuzz.cases import Case, make_case
from tests.runtime.pack.fuzz.compare import changed_inputs, differences, failed, shown
from tests.runtime.pack.fuzz.known import reason_to_differ
from tests.runtime.pack.fuzz.sides import Ours, RealComfyUI

CHUNK = 50


@dataclass
class Verdict:
    """How the cases of a class went: `gave` a result, `failed` in ComfyUI, `missing` there; what differs, what may."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    stays: Counter[str] = field(default_factory=Counter)


def compare_class(class_type: str, seeds: Sequence[int], real: RealComfyUI, ours: Ours) -> Verdict:
    """Run the cases of a class with these seeds and compare what comes of them."""
    verdict = Verdict()
    for start in range(0, len(seeds), CHUNK):
        cases = [make_case(class_type, seed) for seed in seeds[start : start + CHUNK]]
        for case, theirs in zip(cases, real.run(cases), strict=True):
            if "missing" in theirs:
                verdict.counts["missing"] += 1
                continue
            verdict.counts["failed" if failed(theirs) else "gave"] += 1
            mine = ours.run(case)
            found = [*differences(theirs, mine), *changed_inputs(case.values, mine.get("inputs", case.values))]
            if found and (reason := reason_to_differ(case, theirs, mine)):
                verdict.stays[reason] += 1
            elif found:
                verdict.differences.append(f"{case.name}: {shown_inputs(case)} {'; '.join(found)[:1200]}")
    return verdict


def shown_inputs(case: Case) -> str:
    """Return a case's inputs on one line; tensors by type and shape."""
    inputs = case.prompt["node"]["inputs"]
    parts = []
    for name, value in inputs.items():
        linked = isinstance(value, list) and len(value) == 2 and value[0] in case.values
        parts.append(f"{name}={'<-' + shown(case.values[value[0]]) if linked else repr(value)}")
    return f"({', '.join(parts)})"
