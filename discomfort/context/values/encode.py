"""Values to bytes: taken apart into a structure and the bulk data next to it; see `encoded` for what comes of it.

JSON-like values, tensors, arrays and byte strings, in dicts, lists and tuples, need no pickle. What is neither goes
through cloudpickle (C8), with the tensors and arrays inside it still stored next to the pickle, uncopied.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import Any

from discomfort.context.errors import EncodingError
from discomfort.context.values import tensors
from discomfort.context.values.decode import SERVER
from discomfort.context.values.encoded import Encoded, describe_type, describe_value
from discomfort.context.values.opaque import OpaqueValue, ServerValue
from discomfort.context.values.pickles import pickle_value
from discomfort.context.values.tensors import Leaf, Tag
from discomfort.context.values.value_list import ValueList

_MAX_DEPTH = 200


class NotPlainError(Exception):
    """A value is not made of JSON-like parts, tensors, arrays and byte strings alone."""


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
        if tensors.is_scalar(value):
            return tensors.encode_scalar(value)
        return self.leaf(value)

    def leaf(self, value: Any) -> Tag:
        """Tag a tensor, an array or a byte string; the same object twice is one leaf."""
        known = self._known.get(id(value))
        if known is None:
            if type(value) in (bytes, bytearray):
                tag, leaf = {"$": type(value).__name__}, tensors.bytes_leaf(value)
            elif tensors.is_tensor(value):
                tag, leaf = tensors.encode_tensor(value)
            elif tensors.is_array(value):
                tag, leaf = tensors.encode_array(value)
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

        def keep_apart(item: Any) -> int | None:
            if not (tensors.is_tensor(item) or tensors.is_array(item)):
                return None
            parts.append(self.leaf(item))
            return len(parts) - 1

        return {**self.leaf(pickle_value(value, keep_apart)), "$": "pickle", "parts": parts}
