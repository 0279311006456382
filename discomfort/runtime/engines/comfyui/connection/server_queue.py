"""What waits and runs on a ComfyUI server, and how a prompt is taken off it."""

from __future__ import annotations

import asyncio
import urllib.parse
from typing import Any

from discomfort.runtime.engines.comfyui.connection.answers import text_of, unexpected
from discomfort.runtime.engines.comfyui.connection.transport import Transport

PROBE_SECONDS = 20.0
"""How long an answer about what a server is doing may take."""

_TAKE_OFF_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)


async def read_queue(transport: Transport) -> tuple[list[str], list[str]]:
    """Return the ids of running and of waiting prompts.

    Raises:
        EngineError: the server answers something else.
        EngineLost: it does not answer.
    """
    queue = await transport.get_json("/queue", PROBE_SECONDS)
    try:
        running, pending = ([text_of(item[1]) for item in queue[name]] for name in ("queue_running", "queue_pending"))
    except (LookupError, TypeError) as error:
        raise unexpected(transport.url, "/queue", queue) from error
    return running, pending


async def read_history(transport: Transport, prompt_id: str, seconds: float | None = None) -> dict[str, Any] | None:
    """Return what the server says about a prompt that has ended, None where it knows none of that id.

    Raises:
        EngineError: the server answers something else.
        EngineLost: it does not answer within `seconds`.
    """
    path = f"/history/{prompt_id}"
    history = await transport.get_json(path, seconds)
    entry = history.get(prompt_id, {}) if isinstance(history, dict) else None
    if not isinstance(entry, dict):
        raise unexpected(transport.url, path, history)
    return entry if prompt_id in history else None


async def take_off(transport: Transport, prompt_id: str) -> None:
    """Take a prompt off the server, again while it is still there.

    ComfyUI forgets an interruption that comes after it took the prompt from the queue and before it begins with it.
    """
    for pause in _TAKE_OFF_SECONDS:
        await _ask_off(transport, prompt_id)
        await asyncio.sleep(pause)
        running, pending = await read_queue(transport)
        if prompt_id not in running and prompt_id not in pending:
            return


async def _ask_off(transport: Transport, prompt_id: str) -> None:
    """Take a prompt out of the server's queue, or interrupt it where it runs.

    Servers with a jobs API do that in one step; on older ones another prompt may begin between the look and the
    interruption, which names the prompt for that reason.
    """
    status, answer = await transport.post_json(f"/api/jobs/{urllib.parse.quote(prompt_id, safe='')}/cancel", {})
    if status == 200 and isinstance(answer, dict) and "cancelled" in answer:
        return
    await transport.post_json("/queue", {"delete": [prompt_id]})
    running, _ = await read_queue(transport)
    if prompt_id in running:
        await transport.post_json("/interrupt", {"prompt_id": prompt_id})
