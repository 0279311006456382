"""A plan as text: what it needs, what it gives and does, how names were resolved, and what was optimised away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from discomfort.compiler.partition.cost import SAFE_DEPTH, prompt_seconds
from discomfort.compiler.partition.steps import prompt_depths, prompt_nodes, step_roots
from discomfort.ir.catalog.effects import RULES
from discomfort.ir.diagnostics import render
from discomfort.ir.graph import Graph, Link, Literal, NodeId, Step
from discomfort.ir.walk import ancestors, topological_order
from discomfort.printable import counted, exact_number, printable_line

if TYPE_CHECKING:
    from discomfort.compiler.plan.model import PlanData, PlanInput, PlanOutput


SHOWN_PROMPTS = 12
"""How many prompts are listed one by one."""


def explain(plan: PlanData) -> str:
    """Return the plan as a page of text."""
    parts = [
        ["workflows: " + ", ".join(workflow.name for workflow in plan.workflows)],
        ["needs:", *(_input_line(port, carried=name in plan.outputs) for name, port in plan.inputs.items())],
        ["gives:", *(_output_line(port) for port in plan.outputs.values())],
        ["could also give (PASSTHRU):", *(_output_line(port) for port in plan.taps.values())],
        ["does:", *_effect_lines(plan)],
        ["reads files:", *_file_lines(plan)],
        ["names:", *_binding_lines(plan)],
        ["optimised:", *_note_lines(plan)],
        ["runs:", *_step_lines(plan)],
    ]
    shown = [part for part in parts if len(part) > 1 or not part[0].endswith(":")]
    lines = [printable_line(line) for part in shown for line in part]
    if plan.diagnostics:
        lines += ["", render(plan.diagnostics)]
    return "\n".join(lines) + "\n"


def _input_line(port: PlanInput, *, carried: bool) -> str:
    parts = [f"  {port.name}: {port.type}, by {'value' if port.pass_by == 'val' else 'reference'}"]
    if carried:
        parts.append("carried from one iteration to the next")
    if not port.required:
        parts.append("not read by anything that is kept")
    limits = sorted({text for c in port.constraints if (text := _range(c.minimum, c.maximum))})
    return ", ".join(parts + limits)


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return f"{'' if low is None else exact_number(low)}..{'' if high is None else exact_number(high)}"


def _output_line(port: PlanOutput) -> str:
    source = port.source
    if isinstance(source, Link):
        origin = f"from {source.node}.{source.slot}"
    elif isinstance(source, Literal):
        origin = f"always {source.value!r}"
    else:
        origin = f"the value of {source.name}"
    how = "by value" if port.pass_by == "val" else "by reference: stored as a recipe; computed only when used"
    return f"  {port.name}: {port.type}, {how}, {origin}"


def _effect_lines(plan: PlanData) -> Iterator[str]:
    for node_id in plan.effects:
        node = plan.graph.nodes[node_id]
        yield f"  {node.class_type} ({node_id})"


def _file_lines(plan: PlanData) -> Iterator[str]:
    """Yield the nodes whose results depend on files, and when such results are used again."""
    files = {
        node.id: RULES[kind].files for node in plan.graph.nodes.values() if (kind := node.class_type or "") in RULES
    }
    readers = [node_id for node_id, names in files.items() if names]
    for node_id in readers:
        yield f"  {plan.graph.nodes[node_id].class_type} ({node_id}): {', '.join(files[node_id])}"
    if readers:
        yield "  results are used again while the files hold the same content; a ComfyUI server without our nodes"
        yield "  does not say what its files hold, so that results are computed in every run there"


def _binding_lines(plan: PlanData) -> Iterator[str]:
    for binding in plan.bindings:
        source = {
            "context": "the context",
            "carried": "the context at first, then the previous iteration",
            "output": f"{binding.writer} (OUTPUT)",
            "passthru": f"{binding.writer} (PASSTHRU)",
        }[binding.kind]
        yield f"  {binding.reader} reads {binding.name} from {source}"


def _note_lines(plan: PlanData) -> Iterator[str]:
    counted = Counter((note.kind, note.why) for note in plan.graph.notes for _ in note.nodes)
    for (kind, why), count in counted.items():
        nodes = [node for note in plan.graph.notes if (note.kind, note.why) == (kind, why) for node in note.nodes]
        shown = ", ".join(nodes[:5]) + (f" and {len(nodes) - 5} more" if len(nodes) > 5 else "")
        yield f"  {count} {kind}: {why} ({shown})"


def _step_lines(plan: PlanData) -> Iterator[str]:
    """Say what runs on each kind of engine when nothing is known yet; recipes that are spliced in come on top."""
    results = {name: port.source for name, port in plan.outputs.items() if port.pass_by == "val"}
    graph = replace(plan.graph, outputs=results, steps=plan.steps)
    needed = zip(graph.steps, step_roots(graph), strict=True)
    prompts = [_Prompt(graph, step, roots) for step, roots in needed if roots]
    if not prompts:
        return
    total = sum(len(prompt.kept) for prompt in prompts)
    again = sum(len(prompt.kept) - prompt.own for prompt in prompts)
    repeated = f", {again} of them again to rebuild refs" if again else ""
    seconds = sum(prompt.seconds for prompt in prompts)
    yield (
        f"  on a ComfyUI server: {counted(total, 'node')} in {counted(len(prompts), 'prompt')}{repeated};"
        f" estimated overhead: {_duration(seconds)}, node time not included{_saved(graph, prompts)}"
    )
    if len(prompts) > 1:
        for prompt in prompts[:SHOWN_PROMPTS]:
            yield prompt.line()
        if len(prompts) > SHOWN_PROMPTS:
            yield f"    and {len(prompts) - SHOWN_PROMPTS} more like them"
    stages = 1 + _stages(graph)
    running = len(ancestors(graph, graph.roots()))
    yield f"  in Python (embedded, inprocess): {counted(running, 'node')} in {counted(stages, 'prompt')}"
    for node_id, name in graph.conversions:
        yield f"  a prompt ends before {node_id}: the value of its input {name} is converted to the input's type"


class _Prompt:
    """What one step's prompt holds, as far as it is known before a run."""

    def __init__(self, graph: Graph, step: Step, roots: list[NodeId]) -> None:
        self.step = step
        loaded = frozenset(step.reads)
        self.kept = prompt_nodes(graph, roots, loaded)
        self.own = sum(node_id in self.kept for node_id in step.nodes)
        place = {node_id: number for number, node_id in enumerate(step.nodes)}
        inside = sorted(self.kept, key=lambda node_id: place.get(node_id, -1))
        order = topological_order(Graph({node_id: graph.nodes[node_id] for node_id in inside}))
        depths = prompt_depths(graph.nodes, order, self.kept, loaded)
        self.depth = 1 + max(depths.values(), default=0)
        self.seconds = prompt_seconds(len(self.kept) + len(loaded), self.depth)

    def line(self) -> str:
        """Return the line about this prompt."""
        parts = [f"{counted(len(self.kept), 'node')}, {self.depth} in a row"]
        if len(self.kept) > self.own:
            parts.append(f"{len(self.kept) - self.own} of them again")
        if self.step.reads:
            parts.append(f"reads {counted(len(self.step.reads), 'value')}")
        if self.step.writes:
            parts.append(f"passes on {counted(len(self.step.writes), 'value')}")
        return f"    prompt {self.step.id}: {', '.join(parts)}"


def _saved(graph: Graph, prompts: list[_Prompt]) -> str:
    """Compare with one prompt, where there are several and one would do."""
    if len(prompts) < 2 or graph.conversions:
        return ""
    alone = _Prompt(graph, Step("1", tuple(graph.nodes)), list(graph.roots()))
    if alone.depth > SAFE_DEPTH:
        return f"; one prompt would have {alone.depth} nodes in a row, more than ComfyUI handles reliably"
    return f"; as one prompt: {_duration(alone.seconds)}"


def _duration(seconds: float) -> str:
    number, unit = (seconds, "s") if seconds >= 1 else (seconds * 1000, "ms")
    return f"{float(f'{number:.2g}'):g} {unit}"


def _stages(graph: Graph) -> int:
    """Return how often a value is converted one after another."""
    conversions = frozenset(graph.conversions)
    stages: dict[NodeId, int] = {}
    for node_id, node in graph.nodes.items() if conversions else ():
        links = node.links()
        stages[node_id] = max((stages[link.node] + ((node_id, name) in conversions) for name, link in links), default=0)
    return max(stages.values(), default=0)
