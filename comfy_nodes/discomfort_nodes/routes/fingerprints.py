"""What is in the files that nodes read on this server, for a client that wants to know whether they have changed.

A client sends the nodes of a program that may read files, and gets for each a digest of what is in them. Reading a
large model takes a while: then the answer is that it is being read, and the client asks again.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from discomfort_nodes.routes.guard import Answer, Asked, guarded_route
from discomfort_nodes.server_files import SERVER_FILES

ANSWER_SECONDS = 5.0
"""After this long the answer is that files are still being read: proxies between client and server give up waiting."""
KEPT_SECONDS = 60.0


_questions: dict[str, asyncio.Future[Any]] = {}
_pool = ThreadPoolExecutor(1, "discomfort-fingerprints")


@guarded_route("POST", "/discomfort/fingerprints", max_bytes=2**26)
async def fingerprints(asked: Asked) -> Answer:
    """Answer `{"id": …, "nodes": [spec…], "doubts": [{"node": spec, "version": …, "prompt_input": …}]}`.

    The answer is `{"sources": [source or null…]}`, in the order of the nodes; with status 202 it is
    `{"reading": true}`, and the same question, by its id, is to be asked again. `doubts` are nodes that ran with files
    that may have changed meanwhile: where they have, this server's cache may hold something else under their digest.
    """
    from aiohttp import web

    from discomfort_nodes.routes.bodies import FingerprintsBody

    body = asked.read(FingerprintsBody)
    name = body.id
    question = _questions.get(name)
    if question is None:
        nodes = [node.model_dump() for node in body.nodes]
        doubts = [doubt.model_dump() for doubt in body.doubts]
        loop = asyncio.get_running_loop()
        question = _questions[name] = loop.run_in_executor(_pool, SERVER_FILES.answer, nodes, doubts)
        loop.call_later(KEPT_SECONDS, _forget, name)
    done, _ = await asyncio.wait({question}, timeout=ANSWER_SECONDS)
    if not done:
        return web.json_response({"reading": True}, status=202)
    _questions.pop(name, None)
    return {"sources": question.result()}


def _forget(name: str) -> None:
    """Forget a question whose client has not come back for the answer."""
    question = _questions.get(name)
    if question is not None and question.done():
        del _questions[name]
    elif question is not None:
        asyncio.get_running_loop().call_later(KEPT_SECONDS, _forget, name)
