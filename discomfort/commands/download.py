"""One GET over HTTP, within limits of time and size whatever the server does."""

from __future__ import annotations

import asyncio

from discomfort.compiler.checked_catalog import LARGEST_CATALOG

PATIENCE = 60.0
"""Seconds for the whole of an answer."""

_BLOCK = 256 * 1024


def download(url: str, most: int = LARGEST_CATALOG) -> bytes:
    """Return the body of the answer with status 200.

    Raises:
        OSError: there is no such answer, it is damaged, it takes longer than PATIENCE or has more than `most` bytes.
    """
    import aiohttp

    try:
        return asyncio.run(_download(url, most))
    except asyncio.TimeoutError as error:
        raise OSError(f"no whole answer within {PATIENCE:.0f} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise OSError(str(error) or type(error).__name__) from error


async def _download(url: str, most: int) -> bytes:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False) as session,
        session.get(url, headers={"Accept-Encoding": "gzip"}) as answer,
    ):
        if answer.status != 200:
            raise OSError(f"it answered with status {answer.status}")
        body = bytearray()
        async for block in answer.content.iter_chunked(_BLOCK):
            body += block
            if len(body) > most:
                raise OSError(f"it answered with more than {most >> 20} MiB, the most that is read")
        return bytes(body)
