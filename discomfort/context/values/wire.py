"""Values over a network: JSON, tensors, arrays and byte strings, never pickle, in both directions (C7).

Every number that comes in is checked against the bytes that came with it before anything is built from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from discomfort.context.errors import ContextError, WireError
from discomfort.context.values import decode, tensors
from discomfort.context.values.encode import encode

_TAGS = frozenset({"tuple", "values", "dict", "int", "complex", "scalar", "tensor", "array", "bytes", "bytearray"})
_MAX_DEPTH = 256


def encode_wire(value: Any) -> bytes:
    """The bytes of a value.

    Raises:
        EncodingError: it holds something that only pickle could carry; a TypeError.
    """
    return encode(value, allow_pickle=False).to_bytes()


def wire_problem(value: Any) -> str | None:
    """Why `encode_wire` refuses a value, None where it does not; its tensors are not copied."""
    try:
        encode(value, allow_pickle=False)
    except TypeError as error:
        return str(error)
    return None


def decode_wire(data: bytes | bytearray | memoryview) -> Any:
    """The value of bytes that came over a network. Nothing in them is executed.

    Raises:
        WireError: they are not what `encode_wire` makes.
    """
    blob = bytearray(data)
    try:
        header = decode.parse_header(blob)
        structure = json.loads(header.structure)
        _check_header(header)
        for node in _nodes(structure):
            _check_node(node, header)
        return decode.Decoder(header, blob).decode(structure)
    except WireError:
        raise
    except (ContextError, ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError) as error:
        raise WireError(f"not an encoded value: {error}") from error
    except (RuntimeError, MemoryError) as error:  # what torch raises for shapes it cannot make
        raise WireError(f"not a value this machine can hold: {error}") from error


def _check_header(header: decode.Header) -> None:
    counts = [*header.sizes, *header.occurrences]
    if not all(type(count) is int and count >= 0 for count in counts):
        raise WireError("sizes and occurrences must be natural numbers")
    if any(index >= len(header.sizes) for index in header.occurrences):
        raise WireError("an occurrence names a leaf that is not there")


def _nodes(structure: Any) -> Iterator[dict[str, Any]]:
    """Every tagged object, whatever the depth."""
    stack = [(structure, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > _MAX_DEPTH:
            raise WireError("nested too deeply")
        if isinstance(node, list):
            stack.extend((item, depth + 1) for item in node)
        elif isinstance(node, dict):
            if "$" in node:
                yield node
            stack.extend((item, depth + 1) for key, item in node.items() if key not in ("dtype", "shape"))


def _check_node(node: dict[str, Any], header: decode.Header) -> None:
    tag = node["$"]
    if tag not in _TAGS:
        raise WireError(f"a value of kind {tag!r} is not taken from a network")
    if tag not in ("tensor", "array", "bytes", "bytearray"):
        return
    number = node["n"]
    if type(number) is not int or not 0 <= number < len(header.occurrences):
        raise WireError("a leaf that is not there")
    if tag in ("tensor", "array"):
        shape = node["shape"]
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise WireError(f"not a shape: {shape!r}")
        found = header.sizes[header.occurrences[number]]
        if tensors.leaf_size(node) != found:
            raise WireError(f"{found} bytes for a {tag} of dtype {node['dtype']!r} and shape {shape}")
