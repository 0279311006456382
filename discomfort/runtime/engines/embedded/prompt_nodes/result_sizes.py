"""What results take in memory: each piece of it once, however many values share it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

_NOTHING = (bool, int, float, complex, type(None), type, ModuleType, FunctionType, BuiltinFunctionType)
_SMALL = frozenset({int, float, bool, type(None)})
_TEXTS = (str, bytes, bytearray)
_LONG = 256
"""Texts of fewer characters count as nothing."""

_MOST = 50_000
"""How many objects are looked at on the way into one result."""


class Piece(NamedTuple):
    """A piece of memory, by what sets it apart from every other that is in use at the same time.

    `live` pieces belong to objects such as models, the others to plain values: tensors, arrays, texts, and lists and
    dicts of them.
    """

    kind: str
    place: int
    nbytes: int
    live: bool


def pieces_of(outputs: Iterable[Iterable[Any]]) -> tuple[Piece, ...]:
    """Return the memory that the values of each output take, also within containers and objects.

    A tensor that views part of another's memory keeps all of that.
    """
    large = [value for values in outputs for value in values if type(value) not in _SMALL]
    return _search(large) if large else ()


def _search(values: list[Any]) -> tuple[Piece, ...]:
    found: dict[tuple[str, int], Piece] = {}
    left = [(value, False) for value in values]
    seen: set[int] = set()
    while left and len(seen) < _MOST:
        value, live = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        own = _memory(value)
        if own is not None:
            for kind, place, nbytes in own:
                found.setdefault((kind, place), Piece(kind, place, nbytes, live))
        elif isinstance(value, Mapping):
            left += [(part, live) for part in value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            left += [(part, live) for part in value]
        elif not isinstance(value, _NOTHING):
            left += [(part, True) for part in getattr(value, "__dict__", {}).values()]
    return tuple(found.values())


def _memory(value: Any) -> list[tuple[str, int, int]] | None:
    """Return the memory of a tensor, an array or a text; None for anything else."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        if value.layout is torch.strided:
            return [_storage(value)]
        parts = [getattr(value, name)() for name in _SPARSE.get(str(value.layout), ())]
        return [_storage(part) for part in parts or [value]]
    if isinstance(value, _TEXTS):
        return [("text", id(value), len(value))] if len(value) >= _LONG else []
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        while isinstance(value.base, numpy.ndarray):
            value = value.base
        return [("array", int(value.ctypes.data), int(value.nbytes))]
    return None


def _storage(tensor: Any) -> tuple[str, int, int]:
    try:
        storage = tensor.untyped_storage()
        return tensor.device.type, storage.data_ptr(), 0 if tensor.is_meta else storage.nbytes()
    except (NotImplementedError, RuntimeError):  # of a layout, or a kind of tensor, that has no plain storage
        return "tensor", id(tensor), tensor.numel() * tensor.element_size()


_SPARSE = {
    "torch.sparse_coo": ("_indices", "_values"),
    "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
}
"""What tensors of a sparse layout are made of."""
