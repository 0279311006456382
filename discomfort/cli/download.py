"""One GET over HTTP, within limits of time and size whatever the server does."""

from __future__ import annotations

from discomfort.printable import shortened

PATIENCE = 60.0
"""Seconds for the whole of an answer."""
LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes of the largest answer that is read."""

_BLOCK = 256 * 1024


def download(url: str) -> bytes:
    """Return the body of the answer with status 200.

    Raises:
        OSError: there is no such answer, it is damaged, it takes longer than PATIENCE or is larger than LARGEST_ANSWER.
    """
    import asyncio  # here, since `--help` does without it: it is a third of the imports

    import aiohttp

    try:
        return asyncio.run(_download(url))
    except asyncio.TimeoutError as error:
        raise OSError(f"no whole answer within {PATIENCE:.0f} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise OSError(_in_short(str(error)) or type(error).__name__) from error


def _in_short(message: str, most: int = 200) -> str:
    """Return a message, which may quote all that a server sent, in one line that a terminal can show."""
    line = "".join(letter if letter.isprintable() else " " for letter in message[: 2 * most])
    text = " ".join(line.split())
    return shortened(text, most)


async def _download(url: str) -> bytes:
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
            if len(body) > LARGEST_ANSWER:
                raise OSError(f"it answered with more than {LARGEST_ANSWER >> 20} MiB, the most that is read")
        return bytes(body)
