"""What a ComfyUI server would refuse of the prompts of a program, before the first of them is sent.

`POST /prompt` validates each output node on its own and runs those that pass. So the server is asked first, by a route
of our nodes, unless a prompt has a single output node: that one is refused as a whole.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.diagnostics import Diagnostic
from discomfort.runtime.engines.comfyui.connection.answers import REMEDY, shown
from discomfort.runtime.engines.comfyui.connection.effect_turns import Targets, all_targets
from discomfort.runtime.engines.comfyui.connection.server_errors import node_errors, rejection
from discomfort.runtime.engines.comfyui.connection.transport import Transport, is_final
from discomfort.runtime.engines.protocol import (
    EngineError,
    EngineLost,
    NodePlace,
    Prompt,
    PromptRejected,
    PromptRequest,
)

_BY_THE_CLASS = ("custom_validation_failed", "exception_during_validation", "exception_during_inner_validation")
"""What ComfyUI calls a finding that comes from the VALIDATE_INPUTS of a class."""


def submission(
    transport: Transport, prompt_id: str, prompt: Prompt, extra_data: Mapping[str, Any], targets: Targets
) -> dict[str, Any]:
    """Return what is sent to have a prompt run."""
    return {
        "prompt": prompt,
        "prompt_id": prompt_id,
        "client_id": transport.client_id,
        "extra_data": dict(extra_data),
        **({} if targets is None else {"partial_execution_targets": list(targets)}),
    }


class Validation:
    """Asks a server with our nodes."""

    def __init__(self, transport: Transport, catalog: Callable[[], Awaitable[Catalog]]) -> None:
        self._transport = transport
        self._catalog = catalog

    async def check_program(self, requests: Sequence[PromptRequest]) -> None:
        """Check the prompts of a program.

        Raises:
            PromptRejected: some would be refused; lists the findings of all.
            EngineError: the server does not answer such questions.
            EngineLost: it is gone, or fails.
        """
        questions = [
            self._refusals(
                request.prompt,
                {"extra_pnginfo": dict(request.extra_pnginfo)},  # handlers of other packs may want it
                all_targets(request),
                request.places,
                request.undecided,
            )
            for request in requests
        ]
        found = [finding for some in await asyncio.gather(*questions) for finding in some]
        if found:
            raise PromptRejected(tuple(dict.fromkeys(found)))

    async def check(
        self, prompt: Prompt, extra_data: Mapping[str, Any], targets: Targets, places: Mapping[str, NodePlace]
    ) -> None:
        """Check a prompt that the server would run in part, should a part of it be refused; raises as above."""
        if is_atomic(prompt, targets, await self._catalog()):
            return
        found = await self._refusals(prompt, extra_data, targets, places, ())
        if found:
            raise PromptRejected(found)

    async def _refusals(
        self,
        prompt: Prompt,
        extra_data: Mapping[str, Any],
        targets: Targets,
        places: Mapping[str, NodePlace],
        undecided: Collection[str],
    ) -> tuple[Diagnostic, ...]:
        """Return what the server would refuse of a prompt.

        What the classes of `undecided` nodes say does not count: a literal of theirs is not there yet.
        """
        transport = self._transport
        payload = submission(transport, str(uuid.uuid4()), prompt, extra_data, targets)
        status, answer = await transport.post_json("/discomfort/validate", payload)
        if status != 200 or not isinstance(answer, dict):
            kind = EngineError if is_final(status) else EngineLost
            raise kind(
                f"ComfyUI at {transport.url} did not validate the prompt (status {status}): {shown(answer)}; {REMEDY}"
            )
        errors = node_errors(answer)
        decided = dict(_decided(errors, undecided))
        if not decided and (errors or not answer.get("error")):
            return ()
        reports = {node: {"errors": found} for node, found in decided.items()}
        return rejection({**answer, "node_errors": reports}, places, prompt).diagnostics


def is_atomic(prompt: Prompt, targets: Targets, catalog: Catalog) -> bool:
    """Return whether ComfyUI runs all of a prompt or nothing: it has one output node at most."""
    found = 0
    for node_id, node in prompt.items():
        if targets is not None and node_id not in targets:
            continue
        known = catalog.get(node["class_type"])
        found += known is None or known.output_node
    return found < 2


def _decided(
    errors: Mapping[str, list[dict[str, Any]]], undecided: Collection[str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the findings by node without what depends on values that are not there yet."""
    kept = []
    for node, found in errors.items():
        if node in undecided:
            found = [error for error in found if error.get("type") not in _BY_THE_CLASS]
            if not found:
                continue
        kept.append((node, found))
    return kept
