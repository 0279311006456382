"""Reads what a server answers, which may be anything: what is not an answer of ComfyUI is an error that says so."""

from __future__ import annotations

import json
import reprlib
import time
from typing import TYPE_CHECKING, Any

from discomfort.context.home.os_support import available_ram
from discomfort.runtime.engines.protocol import EngineError, EngineLost

if TYPE_CHECKING:
    import aiohttp

LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes of the largest answer, or message, that is neither a value nor a picture."""
GRACE_SECONDS = 600.0
"""How long the headers of an answer, and a body of no size, may take: a node may hold up its whole process."""
SLOWEST_BYTES = 64 * 1024
"""Bytes in a second: a larger body, or request, may take as much longer as it would at this pace."""

_LARGE = ("/discomfort/values/", "/view?")

REMEDY = "check that a ComfyUI answers at this address, and that no proxy or extension of it changes its answers"

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 300
_short.maxlevel = 4


def shown(answer: object) -> str:
    """Return an answer, or a part of one, in one line for an error message: at most about 300 characters."""
    text = answer if isinstance(answer, str) else _short.repr(answer)
    return " ".join(text[:1000].split())[:300]


def text_of(part: object) -> str:
    """Return a part of an answer that should be a text or a number, such as the id of a node, as a text."""
    return part if isinstance(part, str) else _short.repr(part)


def parsed_json(body: bytes | str) -> Any:
    """Return what a body holds.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has a number with too many digits.
    """
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def object_in(part: object) -> dict[str, Any]:
    """Return a part of an answer that should be a JSON object; an empty one where it is something else."""
    return part if isinstance(part, dict) else {}


def list_in(part: object) -> list[Any]:
    """Return a part of an answer that should be a list; an empty one where it is something else."""
    return part if isinstance(part, list) else []


def unexpected(url: str, path: str, answer: object) -> EngineError:
    """Return the error for an answer that ComfyUI does not give: it names server and route, and shows the answer."""
    return EngineError(f"ComfyUI at {url} answered {path} with something unexpected: {shown(answer)}; {REMEDY}")


async def read_body(response: aiohttp.ClientResponse, url: str, path: str) -> bytes:
    """Return the body of an answer, read within limits of size and pace.

    Raises:
        EngineError: it is larger than LARGEST_ANSWER; for values and pictures, than half of the free memory.
        EngineLost: it comes more slowly than SLOWEST_BYTES in a second, beyond a start of GRACE_SECONDS.
    """
    most, began = LARGEST_ANSWER, time.monotonic()
    blocks: list[bytes] = []
    size = 0
    async for block in response.content.iter_any():
        size += len(block)
        if size > most and path.startswith(_LARGE):
            most = max(LARGEST_ANSWER, available_ram() // 2)
        if size > most:
            raise EngineError(
                f"ComfyUI at {url} answered {path} with more than {most >> 20} MiB, the most that is read; {REMEDY}"
            )
        if time.monotonic() - began > GRACE_SECONDS + size / SLOWEST_BYTES:
            raise EngineLost(f"ComfyUI at {url} answers {path} too slowly: {size} bytes so far; {REMEDY}")
        blocks.append(block)
    return b"".join(blocks)
