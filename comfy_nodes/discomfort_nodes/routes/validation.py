"""The route that answers what ComfyUI would refuse of a prompt, without queueing it.

`POST /prompt` validates each output node of a prompt on its own, and runs those that pass. A client that wants a
program to run as a whole or not at all therefore asks here first, about each of its prompts. What runs is what
`POST /prompt` runs, in the same place: ComfyUI's own validation, with the `VALIDATE_INPUTS` of the node classes.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping
from typing import Any, TypeAlias

from discomfort.server_access.protocol import LOADER_CLASS, PENDING
from discomfort_nodes.nodes.anytype import PendingType, TypedSlot
from discomfort_nodes.nodes.test_runner import PortInputs
from discomfort_nodes.registry import prompt_server
from discomfort_nodes.routes.guard import Answer, Asked, Refused, guarded_route
from discomfort_nodes.tickets import TICKETS

MAX_PROMPT_BYTES = 2**27
"""How large the body of a question may be: ComfyUI itself takes 100 MiB, unless it is set otherwise."""

Validated: TypeAlias = tuple[bool, Any, list[str], dict[str, Any]]
"""Whether anything can run, or else the error; the output nodes that will; what is wrong with which node."""


@guarded_route("POST", "/discomfort/validate", max_bytes=MAX_PROMPT_BYTES)
async def validate(asked: Asked) -> Answer:
    """Answer what `POST /prompt` would refuse of the same body: `{"error": … or null, "node_errors": {…}}`."""
    from aiohttp import web

    from discomfort_nodes.routes.bodies import ValidateBody

    asked.read(ValidateBody)
    try:
        _, error, _, node_errors = await _answer(asked)
    except Exception as error:
        raise Refused(422, f"{type(error).__name__}: {error}") from error
    text = json.dumps({"error": error, "node_errors": node_errors}, default=str)
    return web.Response(text=text, content_type="application/json")


async def _answer(asked: Asked) -> Validated:
    """Return ComfyUI's own answer.

    Handlers that other packs have for prompts may change a prompt so that it becomes valid. They may also do
    something for each prompt that comes in, so they are asked only about what would be refused without them.
    """
    server: Any = prompt_server()
    answer = await _validated(server, PortInputs.remember(asked.data))
    ours = (PortInputs.remember, TICKETS.arrive)
    others = [handler for handler in server.on_prompt_handlers if handler not in ours]
    if (answer[1] or answer[3]) and others:
        message = {**json.loads(asked.raw), "prompt_id": str(uuid.uuid4())}  # no ticket is used up by a question
        answer = await _validated(server, server.trigger_on_prompt(message))
    return answer


async def _validated(server: Any, message: Mapping[str, Any]) -> Validated:
    prompt = message["prompt"]
    replacements = getattr(server, "node_replace_manager", None)  # ComfyUI 0.33 has one, 0.3.64 does not
    if replacements is not None:
        replacements.apply_replacements(prompt)
    _declare_pending_types(prompt)
    targets = message.get("partial_execution_targets")
    answer: Validated = await sys.modules["execution"].validate_prompt(str(uuid.uuid4()), prompt, targets)
    return answer


def _declare_pending_types(prompt: dict[str, Any]) -> None:
    """Have the loaders of values that are not there yet give the types that these will have.

    Loaders give `*`, also when the prompt is sent. So a class that looks at the types itself must find `*` here, too.
    """
    pending = {node_id: kind for node_id, node in prompt.items() if (kind := _pending_type(node)) is not None}
    for node in prompt.values() if pending else ():
        if _looks_at_types(node.get("class_type")):
            continue
        for name, value in node["inputs"].items():
            if isinstance(value, list) and len(value) == 2 and value[0] in pending:
                node["inputs"][name] = [value[0], TypedSlot(value[1], PendingType(pending[value[0]]))]


def _pending_type(node: Mapping[str, Any]) -> str | None:
    if node.get("class_type") != LOADER_CLASS or node["inputs"].get("digest") != PENDING:
        return None
    return str(node["inputs"].get("value_type"))


def _looks_at_types(class_type: Any) -> bool:
    """Return whether a class validates the types of its links itself."""
    import inspect

    node_class = sys.modules["nodes"].NODE_CLASS_MAPPINGS.get(class_type)
    functions = [getattr(node_class, name, None) for name in ("VALIDATE_INPUTS", "validate_inputs")]
    return any("input_types" in inspect.getfullargspec(function).args for function in functions if callable(function))
