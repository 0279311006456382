"""Workflows inside images, videos and sounds, where ComfyUI leaves them.

PNG: text chunks `workflow` and `prompt`. WebP and JPEG: EXIF texts `workflow:{…}` and `prompt:{…}`. MP4 and MOV:
the item list in `moov/udta/meta` with its keys, WebM and Matroska: tags, FLAC: Vorbis comments. Containers are read
by their own structure, and only as far as it leads to texts with one of the wanted names: pixels and frames are never
decoded, other texts never unpacked. Damaged files give a finding, never an exception.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from discomfort.compiler.frontend.files.contents import Bytes
from discomfort.compiler.frontend.files.exif import exif_texts
from discomfort.ir.findings import Findings

WANTED = ("workflow", "prompt")
"""The names under which ComfyUI embeds; an editor's save is preferred to a prompt."""

_COMMENTS = ("comment", "\xa9cmt")
_NAMES = frozenset((*WANTED, *_COMMENTS))
_LONGEST_NAME = 80
"""Bytes of a text's name that are looked at: names in PNG files have at most 79."""

LARGEST_TEXT = 256 * 1024 * 1024
"""Bytes of the largest text that is read; at most four are read of one file, one after the other."""
LARGEST_UNPACKED = 16 * 1024 * 1024
"""Bytes of the largest compressed text once it is unpacked; 16 KiB can hold so much. ComfyUI does not compress."""

_LARGE_HINT = "ComfyUI writes no such file; if you trust it, save its workflow as JSON instead"

_PNG = b"\x89PNG\r\n\x1a\n"
_EBML = b"\x1a\x45\xdf\xa3"


class Text(NamedTuple):
    """A text in a file: its name, where its bytes are, and what makes UTF-8 of them."""

    name: str
    content: Bytes
    start: int
    end: int
    decode: Callable[[bytes], bytes] | None = None


class TextTooLarge(ValueError):
    """A text is larger than is read."""


def is_media(content: Bytes) -> bool:
    """Return whether the content begins as one of the containers that are read here."""
    head = content[:16]
    riff = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith((_PNG, b"\xff\xd8\xff", _EBML, b"fLaC")) or riff or head[4:8] == b"ftyp"


def embedded_workflow(content: Bytes, findings: Findings) -> bytes | None:
    """Return the JSON text embedded in a media file, the workflow where it has both; None with a finding for none."""
    try:
        text = _chosen({text.name: text for text in _texts(content) if text.name in _NAMES})
    except TextTooLarge as error:
        findings.add("DF104", str(error), hint=_LARGE_HINT)
        return None
    except (EOFError, IndexError, OSError, UnicodeError, ValueError, struct.error, zlib.error) as error:
        findings.add("DF104", f"the file is damaged: {error}", hint="export it from ComfyUI again")
        return None
    if text is None:
        findings.add(
            "DF105",
            "the file holds neither a workflow nor a prompt",
            hint="ComfyUI embeds them unless --disable-metadata is given; many sites strip them from uploads",
        )
    return text


def _chosen(texts: Mapping[str, Text]) -> bytes | None:
    """Return the text to use: by its own name, else what a comment holds. Each is read only when it is its turn."""
    for name in WANTED:
        if name in texts and (text := _read(texts[name])).strip():
            return text
    for comment in _COMMENTS:
        held = _from_comment(_read(texts[comment])) if comment in texts else {}
        for name in WANTED:
            if held.get(name, b"").strip():
                return held[name]
    return None


def _read(text: Text) -> bytes:
    if text.end - text.start > LARGEST_TEXT:
        raise TextTooLarge(f"its text {text.name!r} is larger than {LARGEST_TEXT >> 20} MiB, the most that is read")
    found = text.content[text.start : text.end]
    try:
        return found if text.decode is None else text.decode(found)
    except TextTooLarge as error:
        raise TextTooLarge(f"its text {text.name!r} {error}") from None


def _from_comment(comment: bytes) -> dict[str, bytes]:
    """Return what VideoHelperSuite leaves in a video's comment: an object with both, the prompt as text."""
    try:
        held = json.loads(comment)
        if type(held) is not dict:
            return {}
        values = {name: held[name] for name in WANTED if name in held}
        texts = {name: (value if type(value) is str else json.dumps(value)) for name, value in values.items()}
    except (RecursionError, ValueError):
        return {}
    return {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}


def _texts(content: Bytes) -> Iterator[Text]:
    """Yield the texts of a file; of two with one name the last one counts."""
    head = content[:16]
    if head.startswith(_PNG):
        return _png(content)
    if head.startswith(b"fLaC"):
        return _flac(content)
    if head.startswith(_EBML):
        return _matroska(content)
    if head[4:8] == b"ftyp":
        return _mp4(content)
    return _exif(content)


def _png(content: Bytes) -> Iterator[Text]:
    """Yield the texts of tEXt, zTXt and iTXt chunks (PNG specification, section 11.3.3)."""
    position = len(_PNG)
    while position + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        start, end = position + 8, position + 8 + length
        if end > len(content):
            raise ValueError("a PNG chunk is cut off")
        position = end + 4
        if kind == b"IEND":
            return
        if kind in _PNG_TEXTS:
            keyword, zero, _ = content[start : min(end, start + _LONGEST_NAME)].partition(b"\0")
            if zero:
                yield Text(keyword.decode("latin-1"), content, start + len(keyword) + 1, end, _PNG_TEXTS[kind])


def _latin(text: bytes) -> bytes:
    return text.decode("latin-1").encode()


def _international(body: bytes) -> bytes:
    """Return the text of an iTXt chunk: behind its flag, method, language and translated keyword."""
    text = body[2:].split(b"\0", 2)[-1]
    return _unpack(text) if body[:1] == b"\x01" else text


_PNG_TEXTS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"tEXt": _latin,
    b"zTXt": lambda body: _latin(_unpack(body[1:])),
    b"iTXt": _international,
}


def _unpack(packed: bytes) -> bytes:
    text = zlib.decompressobj().decompress(packed, LARGEST_UNPACKED + 1)
    if len(text) > LARGEST_UNPACKED:
        raise TextTooLarge(f"unpacks to more than {LARGEST_UNPACKED >> 20} MiB, the most that is read")
    return text


def _exif(content: Bytes) -> Iterator[Text]:
    """Yield the EXIF texts of a WebP or JPEG that begin with one of the wanted names."""
    for exif, start, end in exif_texts(content):
        name, colon, _ = exif[start : min(end, start + _LONGEST_NAME)].partition(b":")
        if colon:
            lowered = name.decode("latin-1").lower()
            yield Text(lowered, exif, start + len(name) + 1, end, lambda text: text.rstrip(b"\0"))


def _flac(content: Bytes) -> Iterator[Text]:
    """Yield the Vorbis comments of a FLAC file (RFC 9639, section 8.6)."""
    position, last = 4, False
    while not last and position + 4 <= len(content):
        header = content[position : position + 4]
        last, kind = header[0] >> 7 == 1, header[0] & 127
        start, end = position + 4, position + 4 + int.from_bytes(header[1:], "big")
        position = end
        if kind == 4:
            yield from _vorbis_comments(content[start:end])


def _vorbis_comments(body: bytes) -> Iterator[Text]:
    (vendor,) = struct.unpack_from("<I", body, 0)
    (count,) = struct.unpack_from("<I", body, 4 + vendor)
    offset = 8 + vendor
    for _ in range(count):
        (size,) = struct.unpack_from("<I", body, offset)
        start, offset = offset + 4, offset + 4 + size
        name, _, _ = body[start : min(offset, start + _LONGEST_NAME)].partition(b"=")
        yield Text(name.decode("ascii", "replace").lower(), body, start + len(name) + 1, offset)


def _boxes(content: Bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, start, end) of the boxes in a stretch of an ISO base media file (ISO/IEC 14496-12, 4.2)."""
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", content[start : start + 8])
        header = 8
        if size == 1:
            (size,) = struct.unpack(">Q", content[start + 8 : start + 16])
            header = 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            raise ValueError("a box is cut off")
        yield kind, start + header, start + size
        start += size


def _mp4(content: Bytes) -> Iterator[Text]:
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
                keys = [_name(content, a, b) for _, a, b in _boxes(content, first + 8, last)]
            elif parent == b"ilst":
                number = int.from_bytes(kind, "big")
                name = keys[number - 1] if 0 < number <= len(keys) else kind.decode("latin-1")
                for inner, a, b in _boxes(content, first, last):
                    if inner == b"data":
                        yield Text(name.lower(), content, a + 8, b)


def _name(content: Bytes, start: int, end: int) -> str:
    return content[start : min(end, start + _LONGEST_NAME)].decode("utf-8", "replace")


_MATROSKA_PARENTS = frozenset({0x18538067, 0x1254C367, 0x7373, 0x67C8})
"""Segment, Tags, Tag and SimpleTag (RFC 9559, section 5.1)."""


def _matroska(content: Bytes) -> Iterator[Text]:
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
                name = _name(content, start, last).lower()
            elif element == 0x4487:
                yield Text(name, content, start, last, lambda text: text.rstrip(b"\0"))
            start = last


def _vint(content: Bytes, position: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """Return an EBML variable-length number and where it ends; None for an unknown size (RFC 8794, section 4)."""
    found = content[position : position + 8]
    length = 9 - found[0].bit_length()
    if length > len(found):
        raise ValueError("an EBML number is cut off")
    value = int.from_bytes(found[:length], "big")
    if keep_marker:
        return value, position + length
    ones = (1 << 7 * length) - 1
    value &= ones
    return (None if value == ones else value), position + length
