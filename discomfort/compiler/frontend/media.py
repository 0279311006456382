"""Workflows inside images, videos and sounds, where ComfyUI leaves them.

PNG: text chunks `workflow` and `prompt`. WebP and JPEG: EXIF texts `workflow:{…}` and `prompt:{…}`. MP4 and MOV:
the item list in `moov/udta/meta` with its keys, WebM and Matroska: tags, FLAC: Vorbis comments. Containers are read
by their own structure; only EXIF is left to Pillow. Damaged files give a finding, never an exception.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator

from discomfort.compiler.frontend.findings import Findings

WANTED = ("workflow", "prompt")
"""The names under which ComfyUI embeds; an editor's save is preferred to a prompt."""

_COMMENTS = ("comment", "\xa9cmt")

LARGEST_TEXT = 256 * 1024 * 1024
"""Compressed texts larger than this many bytes when unpacked are not read."""

_PNG = b"\x89PNG\r\n\x1a\n"
_EBML = b"\x1a\x45\xdf\xa3"


def is_media(content: bytes) -> bool:
    """Return whether the content begins as one of the containers that are read here."""
    riff = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return content.startswith((_PNG, b"\xff\xd8\xff", _EBML, b"fLaC")) or riff or content[4:8] == b"ftyp"


def embedded_workflow(content: bytes, findings: Findings) -> bytes | None:
    """Return the JSON text embedded in a media file, the workflow where it has both; None with a finding for none."""
    try:
        found = dict(_texts(content))
    except (EOFError, IndexError, OSError, SyntaxError, UnicodeError, ValueError, struct.error, zlib.error) as error:
        findings.error("DF104", f"the file is damaged: {error}", hint="export it from ComfyUI again")
        return None
    for texts in (found, *(_from_comment(found.get(name, b"")) for name in _COMMENTS)):
        for name in WANTED:
            if texts.get(name, b"").strip():
                return texts[name]
    findings.error(
        "DF105",
        "the file holds neither a workflow nor a prompt",
        hint="ComfyUI embeds them unless --disable-metadata is given; many sites strip them from uploads",
    )
    return None


def _from_comment(comment: bytes) -> dict[str, bytes]:
    """Return what VideoHelperSuite leaves in a video's comment: an object with both, the prompt as text."""
    try:
        held = json.loads(comment)
    except (RecursionError, ValueError):
        return {}
    if type(held) is not dict:
        return {}
    values = {name: held[name] for name in WANTED if name in held}
    return {name: (value if type(value) is str else json.dumps(value)).encode() for name, value in values.items()}


def _texts(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content.startswith(_PNG):
        return _png(content)
    if content.startswith(b"fLaC"):
        return _flac(content)
    if content.startswith(_EBML):
        return _matroska(content)
    if content[4:8] == b"ftyp":
        return _mp4(content)
    return _exif(content)


def _png(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the texts of tEXt, zTXt and iTXt chunks (PNG specification, section 11.3.3)."""
    position = len(_PNG)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        body = content[position + 8 : position + 8 + length]
        if len(body) < length:
            raise ValueError("a PNG chunk is cut off")
        position += length + 12
        keyword, _, rest = body.partition(b"\0")
        name = keyword.decode("latin-1")
        if kind == b"IEND":
            return
        if kind == b"tEXt":
            yield name, rest.decode("latin-1").encode()
        elif kind == b"zTXt":
            yield name, _unpack(rest[1:]).decode("latin-1").encode()
        elif kind == b"iTXt":
            text = rest[2:].split(b"\0", 2)[-1]
            yield name, _unpack(text) if rest[:1] == b"\x01" else text


def _unpack(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(packed, LARGEST_TEXT)
    if unpacker.unconsumed_tail:
        raise ValueError("a compressed text is too large")
    return text


def _exif(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the EXIF texts of a WebP or JPEG that begin with one of the wanted names."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        values = list(image.getexif().values())
    for value in values:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if isinstance(text, str):
            name, colon, rest = text.partition(":")
            if colon and name.lower() in WANTED:
                yield name.lower(), rest.rstrip("\0").encode("utf-8", "surrogatepass")


def _flac(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the Vorbis comments of a FLAC file (RFC 9639, section 8.6)."""
    position, last = 4, False
    while not last and position + 4 <= len(content):
        last, kind = content[position] >> 7 == 1, content[position] & 127
        length = int.from_bytes(content[position + 1 : position + 4], "big")
        body = content[position + 4 : position + 4 + length]
        position += 4 + length
        if kind == 4:
            (vendor,) = struct.unpack_from("<I", body, 0)
            offset = 4 + vendor
            (count,) = struct.unpack_from("<I", body, offset)
            offset += 4
            for _ in range(count):
                (size,) = struct.unpack_from("<I", body, offset)
                name, _, value = body[offset + 4 : offset + 4 + size].partition(b"=")
                offset += 4 + size
                yield name.decode("ascii", "replace").lower(), value


def _boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, start, end) of the boxes in a stretch of an ISO base media file (ISO/IEC 14496-12, 4.2)."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, start)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, start + 8)
            header = 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            raise ValueError("a box is cut off")
        yield kind, start + header, start + size
        start += size


def _mp4(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the items of every `moov` metadata list, named by its keys or by their four letters."""
    waiting = [(0, len(content), b"")]
    keys: list[str] = []
    while waiting:
        start, end, parent = waiting.pop()
        inside = start + 4 if parent == b"meta" and content[start + 4 : start + 8] != b"hdlr" else start
        for kind, first, last in _boxes(content, inside, end):
            if kind in (b"moov", b"udta", b"meta", b"ilst"):
                waiting.append((first, last, kind))
            elif kind == b"keys":
                keys = [content[a:b].decode("utf-8", "replace") for _, a, b in _boxes(content, first + 8, last)]
            elif parent == b"ilst":
                number = int.from_bytes(kind, "big")
                name = keys[number - 1] if 0 < number <= len(keys) else kind.decode("latin-1")
                for inner, a, b in _boxes(content, first, last):
                    if inner == b"data":
                        yield name.lower(), content[a + 8 : b]


_MATROSKA_PARENTS = frozenset({0x18538067, 0x1254C367, 0x7373, 0x67C8})
"""Segment, Tags, Tag and SimpleTag (RFC 9559, section 5.1)."""


def _matroska(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the simple tags of a Matroska or WebM file."""
    stack = [(0, len(content))]
    name = ""
    while stack:
        start, end = stack.pop()
        while start < end:
            element, start = _vint(content, start, keep_marker=True)
            size, start = _vint(content, start, keep_marker=False)
            last = end if size is None else min(end, start + size)
            if element in _MATROSKA_PARENTS:
                stack.append((last, end))
                end = last
                continue
            if element == 0x45A3:
                name = content[start:last].decode("utf-8", "replace").lower()
            elif element == 0x4487:
                yield name, content[start:last].rstrip(b"\0")
            start = last


def _vint(content: bytes, position: int, keep_marker: bool) -> tuple[int | None, int]:
    """Return an EBML variable-length number and where it ends; None for an unknown size (RFC 8794, section 4)."""
    first = content[position]
    length = 9 - first.bit_length()
    if length > 8 or position + length > len(content):
        raise ValueError("an EBML number is cut off")
    value = int.from_bytes(content[position : position + length], "big")
    if keep_marker:
        return value, position + length
    ones = (1 << 7 * length) - 1
    value &= ones
    return (None if value == ones else value), position + length
