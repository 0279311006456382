"""Compressed content, unpacked with a limit: a few kilobytes can hold gigabytes."""

from __future__ import annotations

import zlib

_GZIP = b"\x1f\x8b"


def unpacked(content: bytes, most: int) -> bytes:
    """Return content that may be compressed with gzip, unpacked.

    Raises:
        ValueError: it is damaged, cut off, or holds more than `most` bytes.
    """
    if content[:2] != _GZIP:
        return _within(content, most)
    parts: list[bytes] = []
    size, left = 0, content
    while left:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(left, most - size + 1))
        except zlib.error as error:
            raise ValueError(f"it is not gzip throughout: {error}") from error
        size += len(parts[-1])
        _refuse_more_than(most, size)
        if not unpacker.eof:
            raise ValueError("its gzip data is cut off")
        left = unpacker.unused_data.lstrip(b"\0")  # files may be padded with zeros
    return b"".join(parts)


def _within(content: bytes, most: int) -> bytes:
    _refuse_more_than(most, len(content))
    return content


def _refuse_more_than(most: int, size: int) -> None:
    if size > most:
        raise ValueError(f"it holds more than {most >> 20} MiB, the most that is read")
