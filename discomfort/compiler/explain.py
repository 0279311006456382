"""A plan in words: what it needs, what it gives and does, how names were resolved, and what was optimised away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from discomfort.compiler.diagnostics import render
from discomfort.compiler.graph import Link, Literal

if TYPE_CHECKING:
    from discomfort.compiler.plan import Plan, PlanInput, PlanOutput


def explain(plan: Plan) -> str:
    """Return the plan as a page of text."""
    parts = [
        ["workflows: " + ", ".join(workflow.name for workflow in plan.workflows)],
        ["needs:", *(_input_line(port, name in plan.outputs) for name, port in plan.inputs.items())],
        ["gives:", *(_output_line(port) for port in plan.outputs.values())],
        ["could also give (PASSTHRU):", *(_output_line(port) for port in plan.taps.values())],
        ["does:", *_effect_lines(plan)],
        ["names:", *_binding_lines(plan)],
        ["optimised:", *_note_lines(plan)],
        ["runs:", *_step_lines(plan)],
    ]
    lines = [line for part in parts if len(part) > 1 or not part[0].endswith(":") for line in part]
    if plan.diagnostics:
        lines += ["", render(plan.diagnostics)]
    return "\n".join(lines) + "\n"


def _input_line(port: PlanInput, carried: bool) -> str:
    words = [f"  {port.name}: {port.type}, by {'value' if port.pass_by == 'val' else 'reference'}"]
    if carried:
        words.append("carried from one iteration to the next")
    if not port.required:
        words.append("not read by anything that is kept")
    limits = sorted({text for c in port.constraints if (text := _range(c.minimum, c.maximum))})
    return ", ".join(words + limits)


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"


def _output_line(port: PlanOutput) -> str:
    source = port.source
    if isinstance(source, Link):
        origin = f"from {source.node}.{source.slot}"
    elif isinstance(source, Literal):
        origin = f"always {source.value!r}"
    else:
        origin = f"the value of {source.name}"
    how = "by value" if port.pass_by == "val" else "by reference: its recipe is kept, nothing runs for it"
    return f"  {port.name}: {port.type}, {how}, {origin}"


def _effect_lines(plan: Plan) -> Iterator[str]:
    for node_id in plan.effects:
        node = plan.graph.nodes[node_id]
        yield f"  {node.class_type} ({node_id})"


def _binding_lines(plan: Plan) -> Iterator[str]:
    for binding in plan.bindings:
        source = {
            "context": "the context",
            "carried": "the context at first, then the previous iteration",
            "output": f"{binding.writer} (OUTPUT)",
            "passthru": f"{binding.writer} (PASSTHRU)",
        }[binding.kind]
        yield f"  {binding.reader} reads {binding.name} from {source}"


def _note_lines(plan: Plan) -> Iterator[str]:
    counted = Counter((note.kind, note.why) for note in plan.graph.notes for _ in note.nodes)
    for (kind, why), count in counted.items():
        nodes = [node for note in plan.graph.notes if (note.kind, note.why) == (kind, why) for node in note.nodes]
        shown = ", ".join(nodes[:5]) + (f" and {len(nodes) - 5} more" if len(nodes) > 5 else "")
        yield f"  {count} {kind}: {why} ({shown})"


def _step_lines(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        reads = f", reading {len(step.reads)} values of earlier prompts" if step.reads else ""
        yield f"  prompt {step.id}: {len(step.nodes)} nodes{reads}"
