"""Small files of every container in which a workflow can lie, made by hand."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Sequence


@functools.lru_cache(maxsize=8)
def _packed(text: bytes) -> bytes:
    return zlib.compress(text, 9)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of one pixel with these chunks between its header and its end."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    every = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in every
    )


def compressed_text(name: str, text: bytes) -> tuple[bytes, bytes]:
    return b"zTXt", name.encode() + b"\0\0" + _packed(text)


def international_text(name: str, text: bytes) -> tuple[bytes, bytes]:
    return b"iTXt", name.encode() + b"\0\1\0en\0\0" + _packed(text)


def tiff(texts: Sequence[bytes], order: str = ">", kind: int = 2) -> bytes:
    """A TIFF whose first directory holds these texts."""
    start = 8 + 2 + 12 * len(texts) + 4
    directory, data = struct.pack(f"{order}H", len(texts)), b""
    for number, text in enumerate(texts):
        directory += struct.pack(f"{order}HHII", 0x010E + number, kind, len(text) + 1, start + len(data))
        data += text + b"\0"
    head = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HI", 42, 8)
    return head + directory + bytes(4) + data


def jpeg(exif: bytes) -> bytes:
    segment = b"Exif\0\0" + exif
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 65500, 65500, 1) + b"\1\x11\0"
    head = b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
    return head + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + frame + b"\xff\xda\0\2\xff\xd9"


def webp(exif: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)

    largest = b"\xff\x3f\0"
    body = b"WEBP" + chunk(b"VP8X", b"\x08\0\0\0" + largest * 2) + chunk(b"VP8L", b"\x2f" + bytes(9))
    return b"RIFF" + struct.pack("<I", 0) + body + chunk(b"EXIF", exif)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def mp4(name: str, text: bytes) -> bytes:
    keys = box(b"keys", bytes(4) + struct.pack(">I", 1) + box(b"mdta", name.encode()))
    items = box(b"ilst", box(struct.pack(">I", 1), box(b"data", struct.pack(">II", 1, 0) + text)))
    handler = box(b"hdlr", bytes(25))
    return box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", box(b"udta", box(b"meta", handler + keys + items)))


def element(kind: str, body: bytes) -> bytes:
    return bytes.fromhex(kind) + (0x0100_0000_0000_0000 | len(body)).to_bytes(8, "big") + body


def matroska(name: str, text: bytes) -> bytes:
    tag = element("67c8", element("45a3", name.encode()) + element("4487", text))
    tags = element("1254c367", element("7373", tag))
    return element("1a45dfa3", element("4282", b"webm")) + element("18538067", tags)


def flac(name: str, text: bytes) -> bytes:
    comment = name.encode() + b"=" + text
    body = struct.pack("<I", 4) + b"made" + struct.pack("<I", 1) + struct.pack("<I", len(comment)) + comment
    return b"fLaC" + b"\0" + (34).to_bytes(3, "big") + bytes(34) + b"\x84" + len(body).to_bytes(3, "big") + body


def every_container(text: bytes, name: str = "workflow") -> dict[str, bytes]:
    """The text in every container that can hold it."""
    exif = tiff([b"other", name.encode() + b":" + text])
    return {
        "tEXt": png((b"tEXt", name.encode() + b"\0" + text)),
        "zTXt": png(compressed_text(name, text)),
        "iTXt": png(international_text(name, text)),
        "jpeg": jpeg(exif),
        "jpeg, little-endian": jpeg(tiff([name.encode() + b":" + text], "<", 7)),
        "webp": webp(exif),
        "webp with a mark": webp(b"Exif\0\0" + exif),
        "mp4": mp4(name, text),
        "matroska": matroska(name, text),
        "flac": flac(name, text),
    }
