"""The compiler: workflows in, a plan out. `compile_to` below is its table of contents; each line has its own file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from discomfort.compiler.call_checks import check_arguments, list_sources
from discomfort.compiler.frontend import FrontendOptions, load_workflow
from discomfort.compiler.partition.steps import step_findings
from discomfort.compiler.passes import PASSES, Hook, Pass, run_passes, under_rules
from discomfort.compiler.passes.observers import observers
from discomfort.compiler.passes.verify import require_sound
from discomfort.compiler.plan.assemble import assemble
from discomfort.compiler.plan.model import PlanType, Source
from discomfort.compiler.program.stitch import Program, link_written_values, order_units, stitch
from discomfort.compiler.program.type_check import Checker, merge_duplicate_findings
from discomfort.compiler.program.workflows import LoadedWorkflow, load_units, place_in_program, used_classes
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.ir.catalog.checked import catalog_findings
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.diagnostics import CompileError, Place, has_errors
from discomfort.ir.findings import Findings
from discomfort.ir.gc_pause import paused_collector
from discomfort.ir.types.language import Signatures, TypeInference
from discomfort.ir.walk import CycleError, producers_first
from discomfort.near_names import did_you_mean
from discomfort.settings.pass_by import PassByRules, load_rules

Rules: TypeAlias = "PassByRules | Mapping[str, str] | str | os.PathLike[str] | None"


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How to compile: what chance and clock give, which passes run, and who looks on between them.

    Example:
        >>> from discomfort import CompileOptions, FrontendOptions
        >>> options = CompileOptions(frontend=FrontendOptions(seed=7))
        >>> discomfort.compile(["load_vae.json"], options=options).outputs.keys()
        dict_keys(['vae'])
    """

    frontend: FrontendOptions = field(default_factory=FrontendOptions)
    passes: tuple[Pass, ...] = PASSES
    hook: Hook | None = None


def compile_to(
    plan_type: type[PlanType],
    workflows: Sequence[Source],
    *,
    catalog: Catalog | None = None,
    outputs: Sequence[str] | None = None,
    order: Literal["list", "auto"] = "list",
    rules: Rules = None,
    options: CompileOptions | None = None,
) -> PlanType:
    """Compile workflows into a `PlanData` or a class of it; `discomfort.compile` describes the arguments.

    Raises:
        CompileError: with everything that is wrong, each with its place.
        ConfigError, OSError: the rules are wrong, or their file cannot be read.
        TypeError: an argument is not what it should be.
    """
    sources = list_sources(workflows)
    check_arguments(catalog, outputs, order)
    chosen = options or CompileOptions()
    known = catalog if catalog is not None else default_catalog()
    effects = EffectTable(known)
    findings = Findings()
    travel = load_rules(rules)
    with paused_collector():
        units = load_units(sources, known, chosen.frontend, effects, findings)
        if known.unusable:
            findings.extend(catalog_findings(known, used_classes(unit.workflow for unit in units)))
        stop_on_errors(findings)
        if order == "auto":
            units = order_units(units, findings)
        program = link_written_values(stitch(units), units, Signatures(known))
        program = select_outputs(program, outputs, units, findings)
        check(program, units, known, findings)
        stop_on_errors(findings)
        passes = under_rules(chosen.passes, travel)
        graph = run_passes(program.graph, effects, passes, observers(chosen.hook, known))
        require_sound(graph)
        findings.extend(step_findings(graph, place_in_program(units), before_binding=True))
        plan = assemble(
            plan_type,
            graph,
            program,
            units=units,
            catalog=known,
            rules=travel,
            sources=sources,
            findings=findings,
        )
        stop_on_errors(findings)
        return plan


def select_outputs(
    program: Program, outputs: Sequence[str] | None, units: Sequence[LoadedWorkflow], findings: Findings
) -> Program:
    """Return the program with only the results that were requested; a PASSTHRU may be requested too."""
    if outputs is None:
        return program
    given = {**program.graph.taps, **program.graph.outputs}
    for name in outputs:
        if name not in given:
            message = f"no port gives {name!r}; the workflows give {', '.join(given) or 'nothing'}"
            place = Place(", ".join(unit.workflow.source for unit in units))
            findings.add("DF207", message, place, did_you_mean(name, given))
    asked = {name: given[name] for name in outputs if name in given}
    return replace(program, graph=replace(program.graph, outputs=asked))


def check(program: Program, units: Sequence[LoadedWorkflow], catalog: Catalog, findings: Findings) -> None:
    """Report cycles, and every value that does not fit where it goes (law L3)."""
    place_of = place_in_program(units)
    try:
        order = producers_first(program.graph)
    except CycleError as error:
        node = program.graph.nodes[error.cycle[0]]
        ring = " -> ".join([*error.cycle, error.cycle[0]])
        findings.add("DF301", f"cycle in the graph: {ring}", place_of(node, None))
        return
    signatures = Signatures(catalog)
    typing = TypeInference(program.graph, order, signatures)
    findings.extend(Checker(program.graph, signatures, typing, place_of, program.crossings).findings())


def stop_on_errors(findings: Findings) -> None:
    """Raise every finding where one of them is an error."""
    if has_errors(findings):
        raise CompileError(merge_duplicate_findings(findings))


__all__ = ["CompileError", "CompileOptions", "compile_to", "load_workflow"]
