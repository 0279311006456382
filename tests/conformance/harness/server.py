"""The small server a page of the official frontend needs: static files, `/object_info`, quiet answers to the rest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aiohttp import WSMsgType, web

SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Workflow.Persist": False,
    "Comfy.Workflow.AutoSave": "off",
    "Comfy.Release.Status": "skipped",
}
"""What a user who has used the editor before would have; it silences the tours and keeps tabs from piling up."""

JSON_ANSWERS: Mapping[str, object] = {
    "users": {"storage": "server", "migrated": True},
    "settings": SETTINGS,
    "userdata": [],
    "v2/userdata": [],
    "i18n": {},
    "embeddings": [],
    "models": [],
    "experiment/models": [],
    "features": {"supports_preview_metadata": True, "max_upload_size": 104857600},
    "workflow_templates": {},
    "global_subgraphs": {},
    "node_replacements": {},
    "queue": {"queue_running": [], "queue_pending": []},
    "prompt": {"exec_info": {"queue_remaining": 0}},
    "history": {},
    "jobs": {"jobs": [], "pagination": {"offset": 0, "limit": 0, "total": 0, "has_more": False}},
    "assets": {"assets": [], "total": 0, "has_more": False},
    "system_stats": {
        "system": {
            "os": "linux",
            "ram_total": 0,
            "ram_free": 0,
            "comfyui_version": "0.33.0",
            "required_frontend_version": "1.49.6",
            "installed_templates_version": "",
            "required_templates_version": "",
            "python_version": "3",
            "pytorch_version": "2",
            "embedded_python": False,
            "argv": ["main.py"],
        },
        "devices": [],
    },
}
"""Answers to `GET /api/<key>` and `GET /<key>`; anything else below `/api` is 404."""

STATUS = {"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "conformance"}}


async def _websocket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_json(STATUS)
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            break
    return socket


def _application(static: Path, object_info: bytes) -> web.Application:
    extensions = sorted("/" + path.relative_to(static).as_posix() for path in static.glob("extensions/**/*.js"))

    async def object_info_answer(_: web.Request) -> web.Response:
        return web.Response(body=object_info, content_type="application/json")

    async def extensions_answer(_: web.Request) -> web.Response:
        return web.json_response(extensions)

    async def answer(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"].rstrip("/")
        if request.method != "GET":
            return web.json_response({})
        if name in JSON_ANSWERS:
            return web.json_response(JSON_ANSWERS[name])
        return web.json_response({}, status=404)

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(static / "index.html")

    application = web.Application()
    router = application.router
    router.add_get("/", index)
    for prefix in ("", "/api"):
        router.add_get(f"{prefix}/ws", _websocket)
        router.add_get(f"{prefix}/object_info", object_info_answer)
        router.add_get(f"{prefix}/extensions", extensions_answer)
    router.add_route("*", "/api/{name:.*}", answer)
    router.add_static("/", static)
    return application


@contextmanager
def serve(static: Path, object_info: bytes) -> Iterator[str]:
    """Serve the frontend in `static` on a free port of the loopback interface, in a thread; yields its URL.

    Args:
        static: The folder `comfyui_frontend_package/static`.
        object_info: The body of `GET /object_info`, JSON.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="frontend-server", daemon=True)
    thread.start()

    async def start() -> tuple[web.AppRunner, int]:
        runner = web.AppRunner(_application(static, object_info), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    runner, port = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
