"""Random damage to real workflows, through all that reads them: `python -m tests.fuzz.fuzz_documents --cases 5000`.

Whatever comes out is fine, as long as it is a result or an error that is meant for people. Prints each case that raises
something else or takes too long, with the seed that makes it again.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from discomfort.compiler import CompileError, CompileOptions
from discomfort.compiler.frontend import load_workflow
from discomfort.compiler.plan.draw import draw
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.diagnostics import render
from discomfort.ir.graph import Graph
from discomfort.plan import Plan, compile
from discomfort.tools import WorkflowTools

ROOT = Path(__file__).parents[2]
SECONDS = 60
"""Seconds that a case may take, many times what it takes on a busy machine."""


def deep(levels: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**64,
    -(2**63),
    10**400,
    -(10**400),
    1e308,
    -0.0,
    float("nan"),
    float("inf"),
    float("-inf"),
    1.5,
    "",
    " ",
    "0",
    "-1",
    "1e400",
    "\ud800",
    "\udc80x",
    "a\0b",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202e",
    "x" * 5000,
    "{a|b}" * 300,
    "%date:yyyy%%KSampler.seed%" * 50,
    "../" * 50,
    "constructor",
    "__proto__",
    "*",
    "IMAGE,MASK",
    "COMBO",
    "Reroute",
    "PrimitiveNode",
    "DiscomfortPort",
    "workflow>x",
    "KSampler",
    [],
    {},
    [[]],
    [None],
    ["1", 0],
    ["1", -1],
    ["1", 10**400],
    ["nowhere", 0],
    {"a": {}},
    {"__value__": [1]},
    {"0": 1},
    list(range(300)),
)
DEEP = (deep(150, lambda value: [value]), deep(150, lambda value: {"a": value}), deep(300, lambda value: [value]))


def originals() -> list[dict[str, Any]]:
    """Real workflows: saves, group nodes, subgraphs and prompts."""
    paths = [
        *sorted((ROOT / "tests" / "golden").rglob("*.json")),
        *sorted((ROOT / "examples").rglob("*.json")),
    ]
    found = []
    for path in paths:
        if path.stat().st_size < 200_000:
            try:
                document = json.loads(path.read_bytes())
            except ValueError:
                continue
            if isinstance(document, dict) and document:
                found.append(document)
    return found


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (holder, key) of everything in a document."""
    stack = [value]
    while stack:
        holder = stack.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], (dict, list)):
                stack.append(holder[key])


def damage(document: dict[str, Any], chance: random.Random) -> None:
    """Change one place of a document."""
    all_places = list(places(document))
    if not all_places:
        return
    holder, key = chance.choice(all_places)
    other, other_key = chance.choice(all_places)
    kind = chance.random()
    if kind < 0.5:
        holder[key] = copy.deepcopy(chance.choice(HOSTILE))
    elif kind < 0.55:
        holder[key] = copy.deepcopy(chance.choice(DEEP))
    elif kind < 0.65:
        del holder[key]
    elif kind < 0.8:
        holder[key] = copy.deepcopy(other[other_key])
    elif kind < 0.9 and isinstance(holder, dict):
        name = chance.choice([value for value in HOSTILE if isinstance(value, str)])
        holder[name] = holder.pop(key)
    elif isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[key : key + 1]) * chance.choice([1, 2, 50]))
    else:
        holder[key] = [holder[key]]


def case(seed: int, documents: list[dict[str, Any]]) -> list[Any]:
    """Return the workflows of a case: parsed, or as text."""
    chance = random.Random(seed)
    chosen = [copy.deepcopy(chance.choice(documents)) for _ in range(chance.choice([1, 1, 2]))]
    for document in chosen:
        for _ in range(chance.choice([1, 1, 2, 3, 6])):
            damage(document, chance)
    if chance.random() < 0.5:
        return chosen
    return [json.dumps(document).encode() for document in chosen]


def use(sources: list[Any]) -> None:
    """Put workflows through everything that reads them; errors that are meant for people are fine."""
    catalog = default_catalog()
    for source in sources:
        loaded = load_workflow(source, catalog)
        json.dumps(emit_prompt(loaded.graph)).encode()
        render(loaded.diagnostics).encode("utf-8", "backslashreplace")
        json.dumps([finding.to_json() for finding in loaded.diagnostics])
    stages: dict[str, Graph] = {}
    try:
        plan = compile(sources, catalog=catalog, options=CompileOptions(hook=stages.__setitem__))
    except CompileError as error:
        json.dumps([finding.to_json() for finding in error.diagnostics])
        str(error).encode("utf-8", "backslashreplace")
    else:
        plan.explain().encode("utf-8", "backslashreplace")
        text = json.dumps(plan.to_json())
        if Plan.from_json(json.loads(text)).to_json() != json.loads(text):
            raise AssertionError("the plan is another after it was written and read")
        for before in (None, stages["stitch"]):
            draw(plan, catalog, before=before).encode("utf-8", "backslashreplace")
    tools = WorkflowTools()
    try:
        json.dumps(tools.stitch_workflows(sources)["stitched_workflow"])
        for source in sources:
            tools.validate_workflow(source if isinstance(source, dict) else json.loads(source))
            tools.discover_port_nodes(source)
    except CompileError as error:
        json.dumps([finding.to_json() for finding in error.diagnostics])


class TooLong(BaseException):
    """A case takes too long."""


def give_up(number: int, frame: object) -> None:
    raise TooLong


def run(seeds: range) -> list[str]:
    """Run cases; return what is wrong with each that is."""
    documents = originals()
    wrong = []
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, give_up)
    for seed in seeds:
        if hasattr(signal, "SIGALRM"):
            signal.alarm(SECONDS)
        try:
            use(case(seed, documents))
        except (Exception, TooLong):  # noqa: BLE001 — that is what is looked for
            wrong.append(f"seed {seed}\n{traceback.format_exc()}")
        finally:
            if hasattr(signal, "SIGALRM"):
                signal.alarm(0)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    wrong = run(range(options.first, options.first + options.cases))
    for each in wrong:
        sys.stdout.write(f"{each}\n")
    sys.stdout.write(f"{options.cases} cases, {len(wrong)} wrong\n")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
