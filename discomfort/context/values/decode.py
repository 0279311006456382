"""Bytes to values: what `codec` wrote is parsed, checked and decoded here."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from discomfort.context.errors import CorruptValueError, UnreadableValueError
from discomfort.context.values import tensors
from discomfort.context.values.digest import hash_view, value_digest
from discomfort.context.values.pickles import unpickle_value
from discomfort.context.values.tensors import Tag
from discomfort.context.values.value_list import ValueList

ALIGNMENT = 64
MAGIC = b"DSCBLOB1"
BLOB, TEXT = b"B", b"J"
"""What the bytes of a small value in the index begin with: a blob follows, or the structure alone."""
SERVER = "server"
"""The tag of a value that lies on a server: see `opaque.ServerValue`."""
ON_SERVER = "it stays on the ComfyUI server that made it, since only pickle could carry it over a network"

PREFIX = struct.Struct("<8sII")


@dataclass(frozen=True, slots=True)
class Header:
    """The parsed header of a blob."""

    structure: str
    occurrences: list[int]
    sizes: list[int]
    text: str
    offsets: list[int]


_NO_LEAVES = Header("null", [], [], "", [0])


def parse_header(blob: Any) -> Header:
    """Read the header of a blob.

    Raises:
        CorruptValueError: magic, checksum or size are not those of a whole blob.
    """
    view = memoryview(blob)
    if len(view) < PREFIX.size:
        raise CorruptValueError("its header is cut short")
    magic, length, checksum = PREFIX.unpack_from(view)
    body = bytes(view[PREFIX.size : PREFIX.size + length])
    if magic != MAGIC or len(body) != length or zlib.crc32(body) != checksum:
        raise CorruptValueError("its header is damaged")
    fields = json.loads(body)
    start = PREFIX.size + length
    offsets = leaf_offsets(start + -start % ALIGNMENT, fields["b"])
    if offsets[-1] > len(view):
        raise CorruptValueError(f"it is cut short: {len(view)} bytes of {offsets[-1]}")
    return Header(fields["s"], fields["o"], fields["b"], fields["t"], offsets)


def decode(blob: Any) -> Any:
    """The value of a blob. Tensors and arrays lie in the memory of `blob`, which must be writable and ours alone."""
    header = parse_header(blob)
    try:
        return Decoder(header, blob).decode(json.loads(header.structure))
    except UnreadableValueError as error:
        error.type, error.stored = header.text, blob
        raise


def from_inline(payload: bytes) -> Any:
    """The value of bytes that `to_inline` made."""
    if payload[:1] == BLOB:
        return decode(bytearray(memoryview(payload)[1:]))
    try:
        return Decoder(_NO_LEAVES, b"").decode(json.loads(payload[1:]))
    except UnreadableValueError as error:
        error.stored = payload
        raise


def blob_digest(blob: Any) -> str:
    """The content digest recomputed from the bytes of a blob: what verification compares."""
    header = parse_header(blob)
    view = memoryview(blob)
    chunk_digests = [
        hash_view(view[offset : offset + size]) for offset, size in zip(header.offsets, header.sizes, strict=False)
    ]
    return structure_digest(header.structure, tuple(header.occurrences), header.sizes, chunk_digests)


def inline_digest(payload: bytes) -> str:
    """The content digest of bytes that `to_inline` made."""
    return blob_digest(payload[1:]) if payload[:1] == BLOB else value_digest(payload[1:], ())


class Decoder:
    """Turns a structure back into a value."""

    def __init__(self, header: Header, blob: Any) -> None:
        self._header = header
        self._blob = blob
        self._made: dict[tuple[int, str], Any] = {}  # one object for a leaf that occurs twice, as it went in

    def decode(self, node: Any) -> Any:
        """The value of a node of the structure."""
        if type(node) is list:
            return [self.decode(item) for item in node]
        if type(node) is not dict:
            return node
        tag = node.get("$")
        if tag is None:
            return {key: self.decode(item) for key, item in node.items()}
        if tag == "tuple":
            return tuple(self.decode(item) for item in node["v"])
        if tag == "values":
            return ValueList(self.decode(item) for item in node["v"])
        if tag == "dict":
            return {self.decode(key): self.decode(item) for key, item in node["v"]}
        if tag == "int":
            return int(node["v"], 16)
        if tag == "complex":
            return complex(*node["v"])
        if tag == "scalar":
            return tensors.decode_scalar(node)
        if tag == SERVER:
            raise UnreadableValueError(node["type"], ON_SERVER)
        return self._leaf(tag, node)

    def _leaf(self, tag: str, node: Tag) -> Any:
        index = self._header.occurrences[node["n"]]
        made = self._made.get((index, tag))
        if made is None:
            made = self._made[index, tag] = self._make(tag, node, index)
        return made

    def _make(self, tag: str, node: Tag, index: int) -> Any:
        start, size = self._header.offsets[index], self._header.sizes[index]
        if tag == "tensor":
            return tensors.decode_tensor(node, self._blob, start)
        if tag == "array":
            return tensors.decode_array(node, self._blob, start)
        view = memoryview(self._blob)[start : start + size]
        if tag == "bytes":
            return bytes(view)
        if tag == "bytearray":
            return bytearray(view)
        if tag == "pickle":
            return unpickle_value(view, lambda part: self.decode(node["parts"][part]))
        raise CorruptValueError(f"it holds something of an unknown kind, {tag!r}")


def leaf_offsets(start: int, sizes: list[int]) -> list[int]:
    """Where leaves of these sizes lie in a blob whose header ends at `start`; the last number is its size."""
    offsets = [start]
    for size in sizes:
        end = offsets[-1] + size
        offsets.append(end + -end % ALIGNMENT)
    return offsets


def structure_digest(
    structure: str, occurrences: tuple[int, ...], sizes: list[int], chunk_digests: list[list[bytes]]
) -> str:
    """The content digest, given the chunk digests of each leaf."""
    return value_digest(structure.encode(), [(sizes[index], chunk_digests[index]) for index in occurrences])
