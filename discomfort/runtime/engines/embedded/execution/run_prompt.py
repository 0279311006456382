"""One prompt from its first check to its result, in the worker thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import CoroutineType
from typing import Any

from discomfort.ir.diagnostics import Diagnostic, Place
from discomfort.ir.findings import make_finding
from discomfort.ir.gc_pause import paused_collector
from discomfort.ir.walk import CycleError
from discomfort.runtime.engines.embedded.dependencies.definitions import Definitions, Supplier
from discomfort.runtime.engines.embedded.dependencies.node_sources import NodeSources
from discomfort.runtime.engines.embedded.execution.error_places import REJECTED, diagnostic_place, failure, finding
from discomfort.runtime.engines.embedded.execution.loop_bridge import Bridge
from discomfort.runtime.engines.embedded.execution.scheduler import Instances, Run
from discomfort.runtime.engines.embedded.execution.validate_prompt import Validator
from discomfort.runtime.engines.embedded.prompt_nodes.cache import ResultCache
from discomfort.runtime.engines.embedded.prompt_nodes.prompt_graph import PromptGraph, PromptNode
from discomfort.runtime.engines.protocol import Delivered, PromptRejected, PromptRequest, PromptResult


def run_prompt(
    request: PromptRequest,
    classes: Mapping[str, Any],
    supplier: Supplier,
    cache: ResultCache,
    instances: Instances,
    bridge: Bridge,
    sources: NodeSources,
) -> PromptResult:
    """Check and run one prompt; `instances` is left with the objects of its nodes, also of those that did not run.

    Raises:
        PromptRejected: it did not pass the checks; nothing ran.
        NodeFailed: a node raised.
        Interrupted: the run was cancelled.
    """
    _refuse_missing_classes(request, classes, supplier)
    graph = PromptGraph(request.prompt, Definitions(classes, supplier, sources).__getitem__)
    with paused_collector():
        order, outputs = _read(request, graph)
        _validate(request, graph, order, bridge, supplier)
    cache.begin_prompt()
    run = Run(request, graph, cache, instances, bridge, sources)
    try:
        run.execute(order, outputs)
    finally:
        for node_id in instances.keys() - graph.raw.keys():
            del instances[node_id]
    return _result(request, run, outputs)


def validate_prompts(
    requests: Sequence[PromptRequest],
    classes: Mapping[str, Any],
    supplier: Supplier,
    bridge: Bridge,
    sources: NodeSources,
) -> None:
    """Check the prompts of a program before the first of them runs.

    Raises:
        PromptRejected: some did not pass the checks; lists the findings of all.
    """
    found: dict[Diagnostic, None] = {}
    definition_of = Definitions(classes, supplier, sources).__getitem__
    for request in requests:
        try:
            _refuse_missing_classes(request, classes, supplier)
            graph = PromptGraph(request.prompt, definition_of)
            with paused_collector():
                order, _ = _read(request, graph)
                _validate(request, graph, order, bridge, supplier)
        except PromptRejected as error:
            found.update(dict.fromkeys(error.diagnostics))
    if found:
        raise PromptRejected(tuple(found))


def _refuse_missing_classes(request: PromptRequest, classes: Mapping[str, Any], supplier: Supplier) -> None:
    """Raise one error that lists every node whose class is not there."""
    named = {body.get("class_type") for body in request.prompt.values()}
    unknown = {name for name in named if name not in classes}
    missing = [node_id for node_id, body in request.prompt.items() if body.get("class_type") in unknown]
    if not missing:
        return
    names = sorted({str(request.prompt[node_id].get("class_type")) for node_id in missing})
    first, *rest = missing
    raise PromptRejected(
        (
            make_finding(
                REJECTED,
                f"missing_node_type: {supplier.name} does not have {', '.join(names)}",
                diagnostic_place(request, first),
                supplier.hint,
                related=tuple(
                    (f"also missing, {request.prompt[node_id].get('class_type')}", diagnostic_place(request, node_id))
                    for node_id in rest
                ),
            ),
        )
    )


def _read(request: PromptRequest, graph: PromptGraph) -> tuple[list[PromptNode], list[str]]:
    """Return the nodes that output nodes need, producers first, and the output nodes."""
    outputs = graph.output_nodes()
    if not outputs:
        message = "prompt_no_outputs: nothing in the prompt saves, shows or delivers anything"
        raise PromptRejected((make_finding(REJECTED, message, Place("<prompt>")),))
    try:
        return graph.read(outputs), outputs
    except CycleError as error:
        raise PromptRejected((finding(request, error.cycle[0], f"dependency_cycle: {error}"),)) from None


def _validate(
    request: PromptRequest, graph: PromptGraph, order: list[PromptNode], bridge: Bridge, supplier: Supplier
) -> None:
    validator = Validator(
        request,
        graph,
        lambda answer: bridge.wait(answer) if isinstance(answer, CoroutineType) else answer,
        supplier.checks_combos,
    )
    for node in order:
        validator.check(node)
    if validator.diagnostics:
        raise PromptRejected(tuple(validator.diagnostics))


def _result(request: PromptRequest, run: Run, outputs: list[str]) -> PromptResult:
    delivered = run.finish_deliveries()
    for name, node_id in request.outputs.items():
        if name not in delivered.values and name not in request.optional:
            raise failure(
                request, node_id, LookupError(f"nothing arrived for {name!r}: an ExecutionBlocker stopped it")
            )
    shown = {node_id: run.results[node_id].ui for node_id in run.graph.prompt if node_id in run.results}
    values = {name: delivered.values[name] for name in request.outputs if name in delivered.values}
    return PromptResult(
        outputs={name: Delivered(value=value) for name, value in values.items()},
        ui={node_id: ui for node_id, ui in shown.items() if ui},
        executed=tuple(run.executed),
        cached=tuple(run.cached),
        passing=frozenset(delivered.passing),
    )
