"""The HTTP routes that our extension of the editor asks: which workflows there are, and what ports one has.

They want no token: an editor has none. They reveal no more than ComfyUI's own routes, and only of its own folders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from discomfort_nodes.installed import installed_catalog, workflow_file, workflow_folders
from discomfort_nodes.routes.guard import Answer, Asked, Refused, open_route


@open_route("GET", "/discomfort/workflows")
async def workflows(_asked: Asked) -> Answer:
    """Answer with the names of the workflows that a DiscomfortTestRunner finds."""
    return await _answer(_list)


@open_route("GET", "/discomfort/ports")
async def ports(asked: Asked) -> Answer:
    """Answer with the ports of `?workflow=NAME`: `{"inputs": [{name, type, required}], "outputs": [{name, type}]}`."""
    return await _answer(_describe, asked.request.query.get("workflow", ""))


async def _answer(work: Callable[..., Answer], *arguments: str) -> Answer:
    try:
        return await asyncio.to_thread(work, *arguments)
    except (ImportError, OSError, ValueError) as error:
        raise Refused(422, str(error)) from error
    except Exception as error:
        raise Refused(422, f"the workflow cannot be read: {type(error).__name__}: {error}") from error


def _list() -> list[str]:
    from discomfort.compiler.subworkflow import list_workflows

    return list_workflows(workflow_folders())


def _describe(workflow: str) -> dict[str, Any]:
    from discomfort.compiler.subworkflow import compile_subworkflow, describe_ports

    return describe_ports(compile_subworkflow(workflow_file(workflow), installed_catalog()))
