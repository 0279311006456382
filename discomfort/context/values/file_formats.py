"""Values as files of their own: .pkl for anything, .safetensors, .npy and .png where the value allows."""

from __future__ import annotations

import os
import pickle
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from discomfort.context.errors import CorruptValueError, EncodingError
from discomfort.context.values import tensors as lv
from discomfort.context.values.encoded import describe_value
from discomfort.images import from_picture, to_picture

_ONLY = "value"  # the name of a tensor exported by itself
_MARK = {"discomfort": "tensor"}


def write_value(value: Any, destination: Path, overwrite: bool, format: str) -> None:
    """Write a value to a file, which then holds all of it or does not exist.

    Raises:
        EncodingError: the format is unknown, or cannot hold this value.
        FileExistsError: the file exists and `overwrite` is False.
    """
    writer = _pick(format, 0)
    if not overwrite and destination.exists():
        raise FileExistsError(f"{destination} exists; overwrite=True replaces it")
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            writer(value, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if overwrite:
            temporary.replace(destination)
        else:
            _move_new(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)


def read_value(source: Path, format: str | None) -> Any:
    """Read what `write_value` wrote; a .pkl only from someone you trust.

    Raises:
        EncodingError: the format is unknown.
        CorruptValueError: the file does not hold what its format says.
        OSError: the file cannot be opened.
    """
    kind = format or source.suffix.lstrip(".")
    reader = _pick(kind, 1)
    with source.open("rb") as stream:
        try:
            return reader(stream)
        except (EncodingError, MemoryError):
            raise
        except Exception as error:  # each reader, and what a pickle runs, has errors of its own
            raise CorruptValueError(f"{source} cannot be read as {kind}: {type(error).__name__}: {error}") from error


def _move_new(temporary: Path, destination: Path) -> None:
    try:
        os.link(temporary, destination)  # unlike a rename, this fails when someone was faster
    except FileExistsError:
        raise FileExistsError(f"{destination} exists; overwrite=True replaces it") from None
    except OSError:  # a file system without links
        temporary.replace(destination)


def _pick(format: str, which: int) -> Callable[..., Any]:
    pair = _FORMATS.get(format)
    if pair is None:
        raise EncodingError(f"unknown format {format!r}; there are {', '.join(_FORMATS)}")
    return pair[which]


def _write_pickle(value: Any, stream: BinaryIO) -> None:
    try:
        import cloudpickle as pickler
    except ImportError:
        import pickle as pickler
    pickler.dump(value, stream)


def _read_pickle(stream: BinaryIO) -> Any:
    return pickle.load(stream)  # noqa: S301 - import_data says whose files to read


def _write_safetensors(value: Any, stream: BinaryIO) -> None:
    torch_save = _safetensors().save
    if lv.is_tensor(value):
        stream.write(torch_save({_ONLY: value.detach().cpu().contiguous()}, metadata=_MARK))
        return
    if type(value) is dict and value and all(type(key) is str and lv.is_tensor(item) for key, item in value.items()):
        stream.write(torch_save({key: item.detach().cpu().contiguous() for key, item in value.items()}))
        return
    raise _cannot("safetensors", value, "a tensor, or a dict of tensors by name")


def _read_safetensors(stream: BinaryIO) -> Any:
    data = stream.read()
    tensors = _safetensors().load(data)
    alone = list(tensors) == [_ONLY] and b'"discomfort":"tensor"' in data[:4096]
    return tensors[_ONLY] if alone else {name: tensors[name] for name in sorted(tensors)}


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise EncodingError("this format needs the package safetensors: pip install safetensors") from error
    return safetensors.torch


def _write_npy(value: Any, stream: BinaryIO) -> None:
    import numpy

    numpy.save(stream, _as_array("npy", value), allow_pickle=False)


def _read_npy(stream: BinaryIO) -> Any:
    import numpy

    return numpy.load(stream, allow_pickle=False)


def _write_png(value: Any, stream: BinaryIO) -> None:
    import numpy

    array = _as_array("png", value)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not numpy.issubdtype(array.dtype, numpy.floating):
        raise _cannot("png", value, "one image: floats of shape [height, width, 1, 3 or 4], alone or in a batch of one")
    to_picture(array).save(stream, format="PNG")


def _read_png(stream: BinaryIO) -> Any:
    """An IMAGE: float32 tensor of shape [1, height, width, 3 or 4], values 0 to 1."""
    import torch
    from PIL import Image

    image = Image.open(stream)
    mode = "RGBA" if "A" in image.getbands() else "RGB"
    return torch.from_numpy(from_picture(image.convert(mode)))[None]


def _as_array(format: str, value: Any) -> Any:
    if lv.is_tensor(value):
        with suppress(TypeError):  # numpy has no bfloat16 and no float8
            return value.detach().cpu().resolve_conj().resolve_neg().numpy()
    if lv.is_array(value):
        return value
    raise _cannot(format, value, "an array, or a tensor of a dtype numpy has")


def _cannot(format: str, value: Any, wanted: str) -> EncodingError:
    return EncodingError(f"{format} holds {wanted}, not {describe_value(value)}; use format='pkl'")


_FORMATS: dict[str, tuple[Callable[[Any, BinaryIO], None], Callable[[BinaryIO], Any]]] = {
    "pkl": (_write_pickle, _read_pickle),
    "safetensors": (_write_safetensors, _read_safetensors),
    "npy": (_write_npy, _read_npy),
    "png": (_write_png, _read_png),
}
