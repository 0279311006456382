"""EXIF texts of JPEG and WebP files, read by the structure of the files: no pixel is decoded, no size matters.

EXIF is a TIFF file of its own (TIFF 6.0, section 2): texts are entries of type ASCII, BYTE or UNDEFINED in its first
directory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from discomfort.compiler.frontend.files.contents import Bytes

LARGEST_EXIF = 64 * 1024 * 1024
"""Bytes of EXIF that are read of one file; a JPEG splits it into segments of 64 KiB, a WebP has one chunk."""

_MARK = b"Exif\0\0"
_TEXT_TYPES = (1, 2, 7)


def exif_texts(content: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (EXIF, start, end) of each text in the EXIF of a JPEG or WebP.

    Raises:
        struct.error, ValueError: the file is damaged.
    """
    exif = b"".join(_jpeg_segments(content) if content[:2] == b"\xff\xd8" else _webp_chunks(content))
    if exif:
        for start, end in _tiff_texts(exif):
            yield exif, start, end


def _within_limit(content: Bytes, start: int, end: int) -> bytes:
    if end > len(content):
        raise ValueError("its EXIF is cut off")
    if end - start > LARGEST_EXIF:
        raise ValueError(f"its EXIF is larger than {LARGEST_EXIF >> 20} MiB, the most that is read")
    found = content[start:end]
    return found[len(_MARK) :] if found.startswith(_MARK) else found


def _webp_chunks(content: Bytes) -> Iterator[bytes]:
    """Yield the EXIF of a WebP: the last chunk of that name."""
    position, found = 12, b""
    while position + 8 <= len(content):
        kind, length = struct.unpack("<4sI", content[position : position + 8])
        start = position + 8
        if kind == b"EXIF":
            found = _within_limit(content, start, start + length)
        position = start + length + length % 2
    yield found


def _jpeg_segments(content: Bytes) -> Iterator[bytes]:
    """Yield the EXIF segments of a JPEG, which come before its first scan."""
    position, total = 2, 0
    while position + 4 <= len(content):
        mark, kind, length = struct.unpack(">BBH", content[position : position + 4])
        if mark != 0xFF or kind in (0xD9, 0xDA):
            return
        if kind == 0xFF:  # fill bytes before a marker
            position += 1
            continue
        if kind == 0x01 or 0xD0 <= kind <= 0xD7:  # markers without a segment
            position += 2
            continue
        start, position = position + 4, position + 2 + max(2, length)
        if kind == 0xE1 and content[start : start + len(_MARK)] == _MARK:
            total += length
            if total > LARGEST_EXIF:
                raise ValueError(f"its EXIF is larger than {LARGEST_EXIF >> 20} MiB, the most that is read")
            yield _within_limit(content, start, position)


def _tiff_texts(exif: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the texts of the first directory of a TIFF are."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        raise ValueError("its EXIF does not begin as a TIFF")
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        _, kind, size = struct.unpack_from(f"{order}HHI", exif, entry)
        if kind not in _TEXT_TYPES:
            continue
        start = entry + 8 if size <= 4 else struct.unpack_from(f"{order}I", exif, entry + 8)[0]
        if start + size <= len(exif):
            yield start, start + size
