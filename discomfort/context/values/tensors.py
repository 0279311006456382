"""Bulk data inside a value: tensors, arrays and byte strings, described in JSON and written once.

numpy and torch are looked up in ``sys.modules`` when a value is saved: who never imported torch has no tensor to save.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from discomfort.context.errors import EncodingError
from discomfort.context.values.digest import CHUNK

Tag = dict[str, Any]
_SLAB = 1 << 20
# torch dtypes that numpy cannot name, by the integers of their width
_INTEGERS = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """Bytes to be stored as they lie: a flat byte view, or a strided array that is made contiguous slab by slab."""

    nbytes: int
    view: memoryview | None
    strided: Any = None

    def chunks(self) -> Iterator[memoryview]:
        """The bytes in pieces of `CHUNK`, the last one shorter."""
        if self.view is not None:
            for start in range(0, self.nbytes, CHUNK):
                yield self.view[start : start + CHUNK]
            return
        pending = bytearray()
        for slab in _slabs(self.strided):
            pending += slab
            whole = len(pending) - len(pending) % CHUNK
            for start in range(0, whole, CHUNK):
                yield memoryview(bytes(pending[start : start + CHUNK]))
            del pending[:whole]
        if pending:
            yield memoryview(bytes(pending))


def _slabs(array: Any) -> Iterator[memoryview]:
    """The elements in C order as contiguous copies of at most 1 MiB, so that no second copy of the whole is needed."""
    numpy = sys.modules["numpy"]
    stack = [array]
    while stack:
        part = stack.pop()
        if part.nbytes <= _SLAB or part.ndim == 0:
            yield memoryview(numpy.ascontiguousarray(part).reshape(-1).view(numpy.uint8))
            continue
        rows = max(1, _SLAB // max(1, part.nbytes // part.shape[0]))
        if part.shape[0] <= 1:
            stack.append(part[0])
        else:
            pieces = [part[start : start + rows] for start in range(0, part.shape[0], rows)]
            stack.extend(reversed(pieces))


def bytes_leaf(data: bytes | bytearray) -> Leaf:
    """A leaf over a byte string."""
    return Leaf(len(data), memoryview(data))


def is_tensor(value: Any) -> bool:
    """Is this a plain dense tensor, whose bytes say everything?"""
    torch = sys.modules.get("torch")
    if torch is None or type(value) is not torch.Tensor:
        return False
    dense = value.layout is torch.strided and value.device.type != "meta" and not value.is_quantized
    return dense and not value.is_nested and not (value.requires_grad and not value.is_leaf)


def is_array(value: Any) -> bool:
    """Is this a plain numpy array without Python objects in it?"""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray and _is_described(value.dtype)


def is_scalar(value: Any) -> bool:
    """Is this a numpy scalar (``np.float32(1)``) without Python objects in it?"""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic) and _is_described(value.dtype)


def _is_described(dtype: Any) -> bool:
    """Does a dtype's description say everything? Not for objects, numpy's new strings, and other packages' dtypes."""
    return not dtype.hasobject and dtype.kind not in "OT" and dtype.isbuiltin != 2


def encode_tensor(value: Any) -> tuple[Tag, Leaf]:
    """Describe a dense tensor; one on a GPU comes to the CPU first."""
    torch = sys.modules["torch"]
    import numpy

    tensor = value.detach()
    if tensor.device.type != "cpu":
        tensor = tensor.cpu()
    tensor = tensor.resolve_conj().resolve_neg()
    tag: Tag = {"$": "tensor", "dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
    if value.requires_grad:
        tag["grad"] = True
    width = tensor.element_size()
    if tensor.numel() == 0:
        return tag, Leaf(0, memoryview(b""))
    if tensor.is_contiguous():
        flat = tensor.reshape(-1).view(torch.uint8)
        return tag, Leaf(tensor.numel() * width, memoryview(flat.numpy()))
    same_width = tensor if width == 16 else tensor.view(getattr(torch, _INTEGERS[width]))
    return tag, _array_leaf(numpy, same_width.numpy())


def encode_array(value: Any) -> tuple[Tag, Leaf]:
    """Describe a numpy array; a Fortran-ordered one keeps its order."""
    import numpy

    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    tag: Tag = {"$": "array", "dtype": _dtype_to_json(value.dtype), "shape": list(value.shape)}
    if fortran:
        tag["order"] = "F"
    return tag, _array_leaf(numpy, value.T if fortran else value)


def encode_scalar(value: Any) -> Tag:
    """Describe a numpy scalar."""
    return {"$": "scalar", "dtype": _dtype_to_json(value.dtype), "v": value.tobytes().hex()}


def _array_leaf(numpy: Any, array: Any) -> Leaf:
    if array.nbytes == 0:
        return Leaf(0, memoryview(b""))
    if array.flags.c_contiguous:
        return Leaf(array.nbytes, memoryview(array.reshape(-1).view(numpy.uint8)))
    return Leaf(array.nbytes, None, array)


def decode_tensor(tag: Tag, buffer: Any, offset: int) -> Any:
    """The tensor a tag describes, on the memory of `buffer` (writable)."""
    import torch

    dtype = getattr(torch, tag["dtype"], None)
    if not isinstance(dtype, torch.dtype):
        raise EncodingError(f"this torch ({torch.__version__}) has no dtype {tag['dtype']!r}")
    shape = tag["shape"]
    count = _product(shape)
    if count == 0:
        tensor = torch.empty(shape, dtype=dtype)
    else:
        tensor = torch.frombuffer(buffer, dtype=dtype, count=count, offset=offset).reshape(shape)
    return tensor.requires_grad_() if tag.get("grad") else tensor


def decode_array(tag: Tag, buffer: Any, offset: int) -> Any:
    """The array a tag describes, on the memory of `buffer` (writable)."""
    import numpy

    dtype = dtype_from_json(tag["dtype"])
    shape = tag["shape"]
    count = _product(shape)
    if count == 0 or dtype.itemsize == 0:
        return numpy.empty(shape, dtype, order=tag.get("order", "C"))
    flat = numpy.frombuffer(buffer, numpy.uint8, count * dtype.itemsize, offset).view(dtype)
    return flat.reshape(shape[::-1]).T if tag.get("order") == "F" else flat.reshape(shape)


def decode_scalar(tag: Tag) -> Any:
    """The numpy scalar a tag describes."""
    import numpy

    dtype = dtype_from_json(tag["dtype"])
    return numpy.frombuffer(bytes.fromhex(tag["v"]), dtype)[0] if dtype.itemsize else numpy.empty((), dtype)[()]


def leaf_size(tag: Tag) -> int | None:
    """Bytes the data of a tensor or array tag takes; None for byte strings, which say nothing of their size."""
    if tag["$"] == "array":
        return _product(tag["shape"]) * int(dtype_from_json(tag["dtype"]).itemsize)
    if tag["$"] == "tensor":
        import torch

        dtype = getattr(torch, tag["dtype"], None)
        if not isinstance(dtype, torch.dtype):
            raise EncodingError(f"no torch dtype {tag['dtype']!r}")
        return _product(tag["shape"]) * dtype.itemsize
    return None


def _product(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _dtype_to_json(dtype: Any) -> Any:
    import numpy

    if dtype.names is None and dtype.subdtype is None:
        return dtype.str
    to_description: Callable[[Any], Any] = numpy.lib.format.dtype_to_descr  # untyped before numpy 2.3
    return to_description(dtype)


def dtype_from_json(description: Any) -> Any:
    """A numpy dtype from its description; never one that holds Python objects."""
    import numpy

    to_dtype: Callable[[Any], Any] = numpy.lib.format.descr_to_dtype  # untyped before numpy 2.3
    try:
        dtype = to_dtype(_as_descr(description))
    except (TypeError, ValueError, KeyError, SyntaxError) as error:
        raise EncodingError(f"not a numpy dtype: {description!r}") from error
    if dtype.hasobject:
        raise EncodingError(f"a dtype that holds Python objects: {description!r}")
    return dtype


def _as_descr(description: Any) -> Any:
    """JSON has no tuples, which is what the fields of a structured dtype are."""
    if isinstance(description, str):
        return description
    if not isinstance(description, list):
        raise TypeError(type(description).__name__)
    if description and all(isinstance(field, list) for field in description):
        return [_field(field) for field in description]
    raise TypeError("not a list of fields")


def _field(field: list[Any]) -> tuple[Any, ...]:
    name, kind, *shape = field
    return (
        tuple(name) if isinstance(name, list) else name,
        _as_descr(kind) if isinstance(kind, list) else kind,
        *(tuple(size) if isinstance(size, list) else size for size in shape),
    )
