"""Workflows and plans with hostile parts, for as long as wanted: `python tests/fuzz/fuzz_plans.py SECONDS [SEED]`.

Whatever a document holds, the answer is a finding, a sentence or a result: any other exception is a bug.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from discomfort.compiler.frontend import load_workflow
from discomfort.compiler.plan.draw import draw
from discomfort.compiler.plan.json_form import dumps
from discomfort.editor_documents.join import discover_ports, is_valid_document, stitch
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.diagnostics import CompileError
from discomfort.plan import Plan, compile
from tests.fuzz.mutation import golden_documents, mutated


def try_document(document: Any) -> None:
    """Do with a document all that can be done with a workflow."""
    loaded = load_workflow(document, default_catalog())
    for finding in loaded.diagnostics:
        finding.render().encode()
        json.dumps(finding.to_json())
    json.dumps(emit_prompt(loaded.graph))
    is_valid_document(document)
    try:
        stitch([document], delete_input_ports=False, delete_output_ports=False)
    except CompileError as error:
        str(error).encode()
    try:
        discover_ports(document)
    except CompileError as error:
        str(error).encode()
    try:
        plan = compile([document], catalog=default_catalog())
    except CompileError as error:
        str(error).encode()
    else:
        use_plan(plan)


def use_plan(plan: Plan) -> None:
    """Do with a plan all that needs no engine."""
    plan.explain().encode()
    draw(plan, default_catalog()).encode()
    repr(plan)
    again = Plan.from_json(json.loads(dumps(plan.to_json())))
    assert dumps(again.to_json()) == dumps(plan.to_json())


def try_plan(data: Any) -> bool:
    """Read a plan and use it; return whether it was accepted."""
    try:
        plan = Plan.from_json(data)
    except ValueError as error:
        text = str(error)
        text.encode()
        if "Exceeds the limit" in text:  # Python's own message for a number that is too long to write
            raise
        return False
    use_plan(plan)
    return True


def golden_plans(every: int = 1) -> list[Any]:
    """Return the JSON of the plans of the golden documents that compile alone; of `every` so many one."""
    plans = []
    for document in golden_documents()[::every]:
        try:
            plans.append(json.loads(dumps(compile([document], catalog=default_catalog()).to_json())))
        except CompileError:
            continue
    return plans


def main() -> None:
    seconds, seed = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    choice = random.Random(seed)
    documents, plans = golden_documents(), golden_plans()
    end, tried, accepted = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        tried += 1
        if choice.random() < 0.4:
            accepted += try_plan(mutated(choice.choice(plans), choice))
        else:
            try_document(mutated(choice.choice(documents), choice))
    print(f"{tried} inputs from seed {seed}; {accepted} changed plans were accepted and used; 0 tracebacks")


if __name__ == "__main__":
    main()
