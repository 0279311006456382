"""A value taken apart: a structure in JSON, and the bulk data next to it, aligned, where it can be mapped.

Layout of a blob: magic, length and CRC-32 of the header, header (JSON), then the leaves at multiples of 64 bytes.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

from discomfort.context.values import tensors
from discomfort.context.values.decode import (
    ALIGNMENT,
    BLOB,
    MAGIC,
    PREFIX,
    SERVER,
    TEXT,
    from_inline,
    leaf_offsets,
    parse_header,
    structure_digest,
)
from discomfort.context.values.digest import hash_chunks, hash_view
from discomfort.context.values.tensors import Leaf
from discomfort.context.values.value_list import ValueList

_SERVER_TAG = f'{{"$":"{SERVER}"'


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value taken apart.

    Attributes:
        structure: JSON text; each leaf is a tagged object with its number of occurrence.
        leaves: the bulk data, each stored once.
        occurrences: for each occurrence in the structure, the index of its leaf.
        text: type and shape, for people.
    """

    structure: str
    leaves: tuple[Leaf, ...]
    occurrences: tuple[int, ...]
    text: str

    @property
    def nbytes(self) -> int:
        """Bytes of structure and leaves together: what the value takes but for padding."""
        return len(self.structure) + sum(leaf.nbytes for leaf in self.leaves)

    def info(self) -> tuple[str, str | None, tuple[int, ...] | None]:
        """Kind, dtype and shape, for programs."""
        if not self.leaves:
            return (SERVER if self.structure.startswith(_SERVER_TAG) else "json"), None, None
        if not self.structure.startswith('{"$":'):
            return "tree", None, None
        tag = json.loads(self.structure)
        kind = tag["$"]
        if kind in ("tensor", "array"):
            return kind, str(tag["dtype"]), tuple(tag["shape"])
        return (
            ("tree" if kind in ("tuple", "dict", "values") else "pickle" if kind == "pickle" else "bytes"),
            None,
            None,
        )

    def header(self) -> bytes:
        """Everything before the leaves, padded so that the first of them is aligned."""
        sizes = [leaf.nbytes for leaf in self.leaves]
        body = json.dumps({"s": self.structure, "o": self.occurrences, "b": sizes, "t": self.text}).encode()
        prefix = PREFIX.pack(MAGIC, len(body), zlib.crc32(body)) + body
        return prefix + bytes(-len(prefix) % ALIGNMENT)

    def offsets(self, start: int) -> list[int]:
        """Where each leaf lies in a blob whose header takes `start` bytes; the last number is the size of the blob."""
        return leaf_offsets(start, [leaf.nbytes for leaf in self.leaves])

    def digest(self, chunk_digests: list[list[bytes]]) -> str:
        """The content digest, given the chunk digests of each leaf."""
        return structure_digest(self.structure, self.occurrences, [leaf.nbytes for leaf in self.leaves], chunk_digests)

    def to_bytes(self) -> bytes:
        """The whole blob, for values small enough to be copied about."""
        header = self.header()
        *starts, size = self.offsets(len(header))
        blob = bytearray(size)
        blob[: len(header)] = header
        for leaf, start in zip(self.leaves, starts, strict=True):
            position = start
            for chunk in leaf.chunks():
                blob[position : position + len(chunk)] = chunk
                position += len(chunk)
        return bytes(blob)


def to_inline(encoded: Encoded) -> bytes:
    """The bytes of a small value as they lie in the index itself."""
    return BLOB + encoded.to_bytes() if encoded.leaves else TEXT + encoded.structure.encode()


def inline_encoded(payload: bytes) -> Encoded:
    """Bytes that `to_inline` made as `encode` once gave them."""
    if payload[:1] == BLOB:
        return take_apart(payload[1:])
    structure = payload[1:].decode()
    if structure.startswith(_SERVER_TAG):
        return Encoded(structure, (), (), str(json.loads(structure)["type"]))
    return Encoded(structure, (), (), describe_value(from_inline(payload)))


def take_apart(blob: Any) -> Encoded:
    """A blob as `encode` once gave it, its leaves being views of `blob`."""
    header = parse_header(blob)
    view = memoryview(blob)
    pieces = zip(header.offsets, header.sizes, strict=False)
    leaves = tuple(Leaf(size, view[offset : offset + size]) for offset, size in pieces)
    return Encoded(header.structure, leaves, tuple(header.occurrences), header.text)


def describe_value(value: Any) -> str:
    """Type and shape, for people: ``torch.float32 [1, 512, 512, 3]``, ``dict of 3``."""
    if tensors.is_tensor(value):
        return f"{value.dtype} {list(value.shape)}"
    if tensors.is_array(value):
        return f"numpy.{value.dtype} {list(value.shape)}"
    kind = describe_type(value)
    if type(value) in (dict, list, tuple, set, frozenset, ValueList):
        return f"{kind} of {len(value)}"
    if type(value) in (str, bytes, bytearray):
        return f"{kind} [{len(value)}]"
    return kind


def describe_type(value: Any) -> str:
    """The name of a value's type, with its module unless that is builtins."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def leaf_digests(encoded: Encoded) -> list[list[bytes]]:
    """Chunk digests of each leaf of a value that is small, or is not going to be written."""
    return [
        hash_view(leaf.view) if leaf.view is not None else hash_chunks(list(leaf.chunks())) for leaf in encoded.leaves
    ]
