"""Values to bytes and back: a structure in JSON, and the bulk data beside it, aligned, where it can be mapped.

JSON-like values, tensors, arrays and byte strings, in dicts, lists and tuples, need no pickle. What is neither goes
through cloudpickle (C8), with the tensors and arrays inside it still stored beside the pickle, uncopied.

Layout of a blob: magic, length and CRC-32 of the header, header (JSON), then the leaves at multiples of 64 bytes.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any

from discomfort.context import leaves as lv
from discomfort.context.digest import hash_chunks, hash_view, value_digest
from discomfort.context.errors import CorruptValueError, EncodingError
from discomfort.context.leaves import Leaf, Tag
from discomfort.context.objects import pickle_value, unpickle_value

ALIGNMENT = 64
_MAGIC = b"DSCBLOB1"
_PREFIX = struct.Struct("<8sII")
_MAX_DEPTH = 200


class NotPlainError(Exception):
    """A value is not made of JSON-like parts, tensors, arrays and byte strings alone."""


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
            return "json", None, None
        if not self.structure.startswith('{"$":'):
            return "tree", None, None
        tag = json.loads(self.structure)
        kind = tag["$"]
        if kind in ("tensor", "array"):
            return kind, str(tag["dtype"]), tuple(tag["shape"])
        return ("tree" if kind in ("tuple", "dict") else "pickle" if kind == "pickle" else "bytes"), None, None

    def header(self) -> bytes:
        """Everything before the leaves, padded so that the first of them is aligned."""
        sizes = [leaf.nbytes for leaf in self.leaves]
        body = json.dumps({"s": self.structure, "o": self.occurrences, "b": sizes, "t": self.text}).encode()
        prefix = _PREFIX.pack(_MAGIC, len(body), zlib.crc32(body)) + body
        return prefix + bytes(-len(prefix) % ALIGNMENT)

    def offsets(self, start: int) -> list[int]:
        """Where each leaf lies in a blob whose header takes `start` bytes; the last number is the size of the blob."""
        return _offsets(start, [leaf.nbytes for leaf in self.leaves])

    def digest(self, chunk_digests: list[list[bytes]]) -> str:
        """The content digest, given the chunk digests of each leaf."""
        return _digest(self.structure, self.occurrences, [leaf.nbytes for leaf in self.leaves], chunk_digests)

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


def encode(value: Any, allow_pickle: bool = True) -> Encoded:
    """Take a value apart.

    Raises:
        EncodingError: it cannot be stored, or, without `allow_pickle`, is not plain; the message names the type.
    """
    walker = _Walker()
    try:
        structure = json.dumps(walker.walk(value, 0), separators=(",", ":"))
    except NotPlainError as error:
        if not allow_pickle:
            raise EncodingError(
                f"{describe_type(value)} is not made of JSON values, tensors and arrays: {error}"
            ) from error
        walker = _Walker()
        structure = json.dumps(walker.pickled(value), separators=(",", ":"))
    return Encoded(structure, tuple(walker.leaves), tuple(walker.occurrences), describe_value(value))


def encode_atom(value: Any) -> str | None:
    """The structure of a str, int, float, bool or None, by the short way; None for every other value."""
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is int:
        return repr(value) if -(1 << 63) <= value < 1 << 64 else None
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return json.dumps(value)
    return "null" if value is None else None


class _Walker:
    """Replaces what JSON cannot hold by tagged objects, and collects the leaves."""

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.occurrences: list[int] = []
        self._known: dict[int, tuple[Tag, int]] = {}
        self._keep: list[Any] = []  # the keys of _known are addresses: nothing they name may go away

    def walk(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is str or kind is bool:
            return value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 64 else {"$": "int", "v": hex(value)}
        if kind is float:
            return value
        if depth > _MAX_DEPTH:
            raise NotPlainError("it is nested too deeply, or holds itself")
        if kind is list:
            return [self.walk(item, depth + 1) for item in value]
        if kind is tuple:
            return {"$": "tuple", "v": [self.walk(item, depth + 1) for item in value]}
        if kind is dict:
            return self._dict(value, depth)
        return self._special(value)

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if "$" not in value and all(type(key) is str for key in value):
            return {key: self.walk(item, depth + 1) for key, item in value.items()}
        pairs = [[self.walk(key, depth + 1), self.walk(item, depth + 1)] for key, item in value.items()]
        return {"$": "dict", "v": pairs}

    def _special(self, value: Any) -> Tag:
        if type(value) is complex:
            return {"$": "complex", "v": [value.real, value.imag]}
        if lv.is_scalar(value):
            return lv.encode_scalar(value)
        return self.leaf(value)

    def leaf(self, value: Any) -> Tag:
        """Tag a tensor, an array or a byte string; the same object twice is one leaf."""
        known = self._known.get(id(value))
        if known is None:
            if type(value) in (bytes, bytearray):
                tag, leaf = {"$": type(value).__name__}, lv.bytes_leaf(value)
            elif lv.is_tensor(value):
                tag, leaf = lv.encode_tensor(value)
            elif lv.is_array(value):
                tag, leaf = lv.encode_array(value)
            else:
                raise NotPlainError(f"it holds {describe_type(value)}")
            known = self._known[id(value)] = (tag, len(self.leaves))
            self._keep.append(value)
            self.leaves.append(leaf)
        tag, index = known
        self.occurrences.append(index)
        return {**tag, "n": len(self.occurrences) - 1}

    def pickled(self, value: Any) -> Tag:
        """Tag a value that only pickle can hold."""
        parts: list[Tag] = []

        def keep_beside(item: Any) -> int | None:
            if not (lv.is_tensor(item) or lv.is_array(item)):
                return None
            parts.append(self.leaf(item))
            return len(parts) - 1

        return {**self.leaf(pickle_value(value, keep_beside)), "$": "pickle", "parts": parts}


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
    if len(view) < _PREFIX.size:
        raise CorruptValueError("its header is cut short")
    magic, length, checksum = _PREFIX.unpack_from(view)
    body = bytes(view[_PREFIX.size : _PREFIX.size + length])
    if magic != _MAGIC or len(body) != length or zlib.crc32(body) != checksum:
        raise CorruptValueError("its header is damaged")
    fields = json.loads(body)
    start = _PREFIX.size + length
    offsets = _offsets(start + -start % ALIGNMENT, fields["b"])
    if offsets[-1] > len(view):
        raise CorruptValueError(f"it is cut short: {len(view)} bytes of {offsets[-1]}")
    return Header(fields["s"], fields["o"], fields["b"], fields["t"], offsets)


def to_inline(encoded: Encoded) -> bytes:
    """The bytes of a small value as they lie in the index itself."""
    return b"B" + encoded.to_bytes() if encoded.leaves else b"J" + encoded.structure.encode()


def from_inline(payload: bytes) -> Any:
    """The value of bytes that `to_inline` made."""
    if payload[:1] == b"B":
        return decode(bytearray(memoryview(payload)[1:]))
    return Decoder(_NO_LEAVES, b"").decode(json.loads(payload[1:]))


def inline_encoded(payload: bytes) -> Encoded:
    """Bytes that `to_inline` made as `encode` once gave them."""
    if payload[:1] == b"B":
        return take_apart(payload[1:])
    return Encoded(payload[1:].decode(), (), (), describe_value(from_inline(payload)))


def inline_digest(payload: bytes) -> str:
    """The content digest of bytes that `to_inline` made."""
    return blob_digest(payload[1:]) if payload[:1] == b"B" else value_digest(payload[1:], ())


def decode(blob: Any) -> Any:
    """The value of a blob. Tensors and arrays lie in the memory of `blob`, which must be writable and ours alone."""
    header = parse_header(blob)
    return Decoder(header, blob).decode(json.loads(header.structure))


def take_apart(blob: Any) -> Encoded:
    """A blob as `encode` once gave it, its leaves being views of `blob`."""
    header = parse_header(blob)
    view = memoryview(blob)
    pieces = zip(header.offsets, header.sizes, strict=False)
    leaves = tuple(Leaf(size, view[offset : offset + size]) for offset, size in pieces)
    return Encoded(header.structure, leaves, tuple(header.occurrences), header.text)


def blob_digest(blob: Any) -> str:
    """The content digest recomputed from the bytes of a blob: what verification compares."""
    header = parse_header(blob)
    view = memoryview(blob)
    chunk_digests = [
        hash_view(view[offset : offset + size]) for offset, size in zip(header.offsets, header.sizes, strict=False)
    ]
    return _digest(header.structure, tuple(header.occurrences), header.sizes, chunk_digests)


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
        if tag == "dict":
            return {self.decode(key): self.decode(item) for key, item in node["v"]}
        if tag == "int":
            return int(node["v"], 16)
        if tag == "complex":
            return complex(*node["v"])
        if tag == "scalar":
            return lv.decode_scalar(node)
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
            return lv.decode_tensor(node, self._blob, start)
        if tag == "array":
            return lv.decode_array(node, self._blob, start)
        view = memoryview(self._blob)[start : start + size]
        if tag == "bytes":
            return bytes(view)
        if tag == "bytearray":
            return bytearray(view)
        if tag == "pickle":
            return unpickle_value(view, lambda part: self.decode(node["parts"][part]))
        raise CorruptValueError(f"it holds something of an unknown kind, {tag!r}")


def describe_value(value: Any) -> str:
    """Type and shape, for people: ``torch.float32 [1, 512, 512, 3]``, ``dict of 3``."""
    if lv.is_tensor(value):
        return f"{value.dtype} {list(value.shape)}"
    if lv.is_array(value):
        return f"numpy.{value.dtype} {list(value.shape)}"
    kind = describe_type(value)
    if type(value) in (dict, list, tuple, set, frozenset):
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


def _offsets(start: int, sizes: list[int]) -> list[int]:
    offsets = [start]
    for size in sizes:
        end = offsets[-1] + size
        offsets.append(end + -end % ALIGNMENT)
    return offsets


def _digest(structure: str, occurrences: tuple[int, ...], sizes: list[int], chunk_digests: list[list[bytes]]) -> str:
    return value_digest(structure.encode(), [(sizes[index], chunk_digests[index]) for index in occurrences])
