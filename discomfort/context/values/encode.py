"""Values to bytes and back: a structure in JSON, and the bulk data beside it, aligned, where it can be mapped.

JSON-like values, tensors, arrays and byte strings, in dicts, lists and tuples, need no pickle. What is neither goes
through cloudpickle (C8), with the tensors and arrays inside it still stored beside the pickle, uncopied.

Layout of a blob: magic, length and CRC-32 of the header, header (JSON), then the leaves at multiples of 64 bytes.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any

from discomfort.context.errors import EncodingError
from discomfort.context.values import tensors as lv
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
from discomfort.context.values.opaque import OpaqueValue, ServerValue
from discomfort.context.values.pickles import pickle_value
from discomfort.context.values.tensors import Leaf, Tag
from discomfort.context.values.value_list import ValueList

_MAX_DEPTH = 200
_SERVER_TAG = f'{{"$":"{SERVER}"'


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


def encode(value: Any, allow_pickle: bool = True) -> Encoded:
    """Take a value apart.

    Raises:
        EncodingError: it cannot be stored, or, without `allow_pickle`, is not plain; the message names the type.
    """
    if allow_pickle and type(value) is OpaqueValue:
        return value._encoded
    if allow_pickle and type(value) is ServerValue:
        tag = {"$": SERVER, "digest": value.digest, "type": value.type, "key": value.key}
        return Encoded(json.dumps(tag, separators=(",", ":")), (), (), value.type)
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
        return self._special(value, depth)

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if "$" not in value and all(type(key) is str for key in value):
            return {key: self.walk(item, depth + 1) for key, item in value.items()}
        pairs = [[self.walk(key, depth + 1), self.walk(item, depth + 1)] for key, item in value.items()]
        return {"$": "dict", "v": pairs}

    def _special(self, value: Any, depth: int) -> Tag:
        if type(value) is ValueList:
            return {"$": "values", "v": [self.walk(item, depth + 1) for item in value]}
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
    if lv.is_tensor(value):
        return f"{value.dtype} {list(value.shape)}"
    if lv.is_array(value):
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
