"""What a ComfyUI server would refuse of the prompts of a program, before the first of them is sent.

`POST /prompt` validates each output node on its own and runs those that pass. So the server is asked first, by a route
of our nodes, unless a prompt has a single output node: that one is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from discomfort.compiler.catalog import Catalog
from discomfort.compiler.diagnostics import Diagnostic
from discomfort.runtime.engine import EngineError, EngineLost, NodePlace, Prompt
from discomfort.runtime.engines.comfyui.errors import rejection
from discomfort.runtime.engines.comfyui.transport import Transport, is_final
from discomfort.runtime.engines.comfyui.turns import Targets

_OF_ITS_OWN = ("custom_validation_failed", "exception_during_validation", "exception_during_inner_validation")
"""What ComfyUI calls a finding that comes from the VALIDATE_INPUTS of a class."""


def is_atomic(prompt: Prompt, targets: Targets, catalog: Catalog) -> bool:
    """Return whether ComfyUI runs all of a prompt or nothing: it has one output node at most."""
    found = 0
    for node_id, node in prompt.items():
        if targets is not None and node_id not in targets:
            continue
        known = catalog.get(node["class_type"])
        found += known is None or known.output_node
    return found < 2


async def refusals(
    transport: Transport, payload: Mapping[str, Any], places: Mapping[str, NodePlace], undecided: Collection[str]
) -> tuple[Diagnostic, ...]:
    """Return what the server would refuse of a prompt.

    Args:
        transport: the way to the server, which has our nodes.
        payload: what `POST /prompt` would be sent.
        places: where the nodes of the prompt were written.
        undecided: the nodes of which a literal is not there yet: what their classes say of it does not count.

    Raises:
        EngineError: it does not answer such questions.
        EngineLost: it is gone, or fails.
    """
    status, answer = await transport.post_json("/discomfort/validate", payload)
    if status != 200 or not isinstance(answer, dict):
        kind = EngineError if is_final(status) else EngineLost
        raise kind(f"ComfyUI at {transport.url} did not validate the prompt (status {status}): {answer}")
    errors = answer.get("node_errors") or {}
    if not errors and not answer.get("error"):
        return ()
    decided = dict(_decided(errors, undecided))
    if errors and not decided:
        return ()
    return rejection({**answer, "node_errors": decided}, places, payload["prompt"]).diagnostics


def _decided(errors: Mapping[str, Any], undecided: Collection[str]) -> list[tuple[str, Any]]:
    """Return the findings by node without what depends on values that are not there yet."""
    kept = []
    for node, report in errors.items():
        found = report.get("errors") or []
        if node in undecided:
            found = [error for error in found if error.get("type") not in _OF_ITS_OWN]
            if not found:
                continue
        kept.append((node, {**report, "errors": found}))
    return kept
