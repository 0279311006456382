"""What goes in comes out, with its type, and independent of the store (C3)."""

from __future__ import annotations

import collections
import dataclasses
import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import EncodingError
from discomfort.context.values.decode import blob_digest, decode, from_inline, inline_digest
from discomfort.context.values.encode import encode
from discomfort.context.values.encoded import leaf_digests, to_inline

# torch names these but has no operation on them, not even a copy
UNUSABLE = re.compile(r"torch\.(q|bits|u?int[1-7]$)")
DTYPES = [dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype) and not UNUSABLE.match(str(dtype))]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary()
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text()) | st.none() | st.booleans()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(st.sampled_from(["$", "v", "n"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(left: Any, right: Any) -> bool:
    """Equal in value and in type, all the way down; nan equals nan, 0.0 is not -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, torch.Tensor):
        return bool(left.dtype == right.dtype and left.shape == right.shape and raw(left) == raw(right))
    if isinstance(left, np.ndarray):
        return bool(left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes())
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and same(list(left.values()), list(right.values()))
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    return bool(left == right)


def raw(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).numpy().tobytes()) if flat.numel() else b""


@given(values)
def test_C3_values_come_back_with_their_types(value: Any) -> None:
    encoded = encode(value)
    blob = bytearray(encoded.to_bytes())
    assert same(decode(blob), value)
    assert same(from_inline(to_inline(encoded)), value)


@given(values)
def test_C4_digest_is_the_same_wherever_the_value_lies(value: Any) -> None:
    encoded = encode(value)
    digest = encoded.digest(leaf_digests(encoded))
    assert blob_digest(encoded.to_bytes()) == digest
    assert inline_digest(to_inline(encoded)) == digest


def digest_of(value: Any) -> str:
    encoded = encode(value)
    return encoded.digest(leaf_digests(encoded))


@given(values, values)
def test_C4_equal_digest_means_equal_value(left: Any, right: Any) -> None:
    assert same(left, right) == (digest_of(left) == digest_of(right)) or nan_inside(left) or nan_inside(right)


def nan_inside(value: Any) -> bool:
    return "nan" in repr(value)


def test_C4_digest_distinguishes_types() -> None:
    apart: list[Any] = [1, 1.0, True, "1", b"1", bytearray(b"1"), [1], (1,), {"1": 1}, {1: 1}, None, 0.0, -0.0]
    apart += [torch.tensor(1), torch.tensor([1]), torch.tensor(1.0), np.array(1), np.int64(1), 1 + 0j]
    assert len({digest_of(value) for value in apart}) == len(apart)


def test_C4_digest_does_not_depend_on_sharing() -> None:
    tensor = torch.arange(1000)
    assert digest_of([tensor, tensor]) == digest_of([tensor, tensor.clone()])


def test_C3_one_tensor_twice_is_stored_once_and_comes_back_as_one(context: WorkflowContext) -> None:
    tensor = torch.arange(100_000)
    context.save("pair", {"a": tensor, "b": (tensor,)})
    loaded = context.load("pair")
    assert loaded["a"] is loaded["b"][0]
    info = context.get_storage_info("pair")
    assert info is not None
    assert info["size"] < 1.1 * tensor.nbytes


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "empty", "scalar", "large"])
def test_C3_tensors_of_every_dtype(context: WorkflowContext, dtype: torch.dtype, layout: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls complex32 experimental
        size = (dtype.itemsize * 3, 64, 40) if layout == "large" else (dtype.itemsize, 6, 4)
        bits = torch.randint(0, 2, size, dtype=torch.uint8)
        tensor = bits.flatten().view(dtype).reshape(-1, 6, 4) if dtype != torch.bool else bits.bool()
        if layout in ("transposed", "large"):
            tensor = tensor.permute(2, 0, 1)
        elif layout == "strided":
            tensor = tensor[:, ::2, 1:]
        elif layout == "empty":
            tensor = tensor[:, :0]
        elif layout == "scalar":
            tensor = tensor[0, 0, 0]
        context.save("tensor", tensor)
        assert same(context.load("tensor"), tensor)


def test_C3_views_with_pending_operations() -> None:
    conjugated = torch.randn(4, 3, dtype=torch.complex64).conj()
    assert same(decode(bytearray(encode(conjugated).to_bytes())), conjugated.resolve_conj())
    negated = conjugated.imag
    assert torch.equal(decode(bytearray(encode(negated).to_bytes())), negated)


# What numpy's type hints say of such descriptions changes with its releases.
NESTED_FIELDS: Any = [("a", "i4"), ("b", "f8", (2, 2)), ("c", [("d", "?")])]
PADDED_FIELD: Any = {"names": ["x"], "formats": ["u1"], "offsets": [3], "itemsize": 8}


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4)[::2, ::-1],
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.zeros((0, 3)),
        np.array(5),
        np.array(["a", "bcd"]),
        np.array(["2020-01-01", "NaT"], "datetime64[D]"),
        np.arange(4, dtype=">i2"),
        np.zeros(3, NESTED_FIELDS),
        np.zeros(2, PADDED_FIELD),
    ],
    ids=lambda array: str(array.dtype),
)
def test_C3_numpy_arrays(context: WorkflowContext, array: Any) -> None:
    context.save("array", [array, array.dtype.type])
    loaded = context.load("array")[0]
    assert same(loaded, array)
    assert loaded.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous


def test_C3_numpy_scalars_and_objects(context: WorkflowContext) -> None:
    objects = np.array([{"a": 1}, None], object)
    context.save("things", [np.float32(0.1), np.str_("x"), np.str_(""), np.datetime64("2020-01-01"), objects])
    small, text, empty, date, again = context.load("things")
    assert (type(small), small) == (np.float32, np.float32(0.1))
    assert (type(text), text, type(empty), empty) == (np.str_, "x", np.str_, "")
    assert date == np.datetime64("2020-01-01")
    assert again.dtype == object
    assert again[0] == {"a": 1}


@dataclasses.dataclass
class Holder:
    name: str
    tensor: torch.Tensor
    array: Any


def test_C8_objects_keep_their_tensors_next_to_the_pickle(context: WorkflowContext) -> None:
    holder = Holder("x", torch.randn(1000, 100), np.arange(50_000))
    context.save("holder", holder)
    loaded = context.load("holder")
    assert loaded.name == "x"
    assert same(loaded.tensor, holder.tensor)
    assert same(loaded.array, holder.array)
    assert context.names.describe("holder").kind == "pickle"


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        frozenset("ab"),
        collections.OrderedDict(a=1),
        range(3),
        1 << 5000,
        -(1 << 64),
        slice(1, 2),
        ZeroDivisionError,
    ],
    ids=lambda value: type(value).__name__,
)
def test_C8_anything_cloudpickle_takes(context: WorkflowContext, value: Any) -> None:
    context.save("value", value)
    assert same(context.load("value"), value)


def test_C8_functions_parameters_and_cycles(context: WorkflowContext) -> None:
    factor = 3
    context.save("function", lambda number: number * factor)
    assert context.load("function")(2) == 6
    parameter = torch.nn.Parameter(torch.randn(2000))
    context.save("parameter", parameter)
    loaded = context.load("parameter")
    assert type(loaded) is torch.nn.Parameter
    assert loaded.requires_grad
    wanting = torch.randn(10, requires_grad=True)
    context.save("wanting", wanting)
    assert context.load("wanting").requires_grad
    cycle: list[Any] = []
    cycle.append(cycle)
    context.save("cycle", cycle)
    again = context.load("cycle")
    assert again[0] is again


def test_what_cannot_be_stored_is_named(context: WorkflowContext) -> None:
    import threading

    context.save("kept", 1)
    with pytest.raises(EncodingError, match=r"_thread\.lock cannot be stored by value .*pass_by=\"ref\""):
        context.save("kept", threading.Lock())
    assert context.load("kept") == 1


@pytest.mark.parametrize("unique_id", ["", "../../x", "/etc/passwd", "a\0b", "\ud800", "🦊" * 2500, "con", "a" * 5000])
def test_C7_any_string_is_just_a_name(context: WorkflowContext, unique_id: str, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if "contexts" not in path.parts)
    for data in (1, torch.arange(10_000)):
        for use_ram in (True, False):
            context.save(unique_id, data, use_ram=use_ram)
            assert same(context.load(unique_id), data)
    assert context.list_keys() == [unique_id]
    assert len(context.summary().encode().splitlines()) == 3
    assert sorted(path for path in tmp_path.rglob("*") if "contexts" not in path.parts) == before


def test_names_are_strings_and_pass_by_is_known(context: WorkflowContext) -> None:
    with pytest.raises(TypeError, match="unique_id must be a string"):
        context.save(7, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='pass_by must be "val" or "ref"'):
        context.save("x", 1, pass_by="value")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.sampled_from(["save", "mutate"])), max_size=25))
def test_C3_what_was_loaded_never_changes_with_the_store(
    context: WorkflowContext, steps: list[tuple[str, int, str]]
) -> None:
    """Segments are used again for later values; a mapping that is alive must not see them."""
    expected: dict[str, torch.Tensor] = {}
    loaded: list[tuple[torch.Tensor, torch.Tensor]] = []
    for name, fill, action in steps:
        tensor = torch.full((64, 1024), fill, dtype=torch.int32)
        context.save(name, tensor)
        expected[name] = tensor
        mapped = context.load(name)
        if action == "mutate":
            mapped += 100
            loaded.append((mapped, tensor + 100))
        else:
            loaded.append((mapped, tensor))
        assert all(torch.equal(context.load(key), wanted) for key, wanted in expected.items())
    assert all(torch.equal(mapped, wanted) for mapped, wanted in loaded)
