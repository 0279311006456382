"""The HTTP routes that our extension of the editor asks: which workflows there are, and what ports one has.

They want no token: an editor has none, and they tell no more than ComfyUI's own routes, whose files they name.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from comfy_nodes.installed import installed_catalog, workflow_folders
from comfy_nodes.registry import prompt_server

if TYPE_CHECKING:
    from aiohttp.web import Request, Response


def add_editor_routes() -> None:
    """Add the routes to the ComfyUI server of this process; does nothing where there is none."""
    server = prompt_server()
    if server is not None:
        server.routes.get("/discomfort/workflows")(workflows)
        server.routes.get("/discomfort/ports")(ports)


async def workflows(_request: Request) -> Response:
    """Answer with the names of the workflows that a DiscomfortTestRunner finds."""
    return await _answer(_list)


async def ports(request: Request) -> Response:
    """Answer with the ports of `?workflow=NAME`: `{"inputs": [{name, type, required}], "outputs": [{name, type}]}`."""
    return await _answer(_describe, request.query.get("workflow", ""))


async def _answer(work: Any, *arguments: str) -> Response:
    from aiohttp import web

    try:
        return web.json_response(await asyncio.to_thread(work, *arguments))
    except (ImportError, OSError, ValueError) as error:
        return web.json_response({"error": str(error)}, status=422)


def _list() -> list[str]:
    from discomfort.compiler.subworkflow import list_workflows

    return list_workflows(workflow_folders())


def _describe(workflow: str) -> dict[str, Any]:
    from discomfort.compiler.subworkflow import compile_subworkflow, describe_ports, find_workflow

    return describe_ports(compile_subworkflow(find_workflow(workflow, workflow_folders()), installed_catalog()))
