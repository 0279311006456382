"""Reading image files: with FFmpeg where PyAV is installed, as ComfyUI 0.33.0 does, else with Pillow, as 0.3.64."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image, ImageFile, ImageOps, ImageSequence
from torch import Tensor

from discomfort.images import check_pixels, from_levels, from_picture, opened_picture
from discomfort.runtime.engines.embedded.pack.sizes import require_frames

OPAQUE_MASK = (64, 64)
"""The size of the mask, all 0, of an image that cannot hold transparency."""
OLDEST_PYAV = 16
"""The oldest PyAV that ComfyUI 0.33.0 allows; with an older one files are read as without."""
FIRST_WITH_THREADS = 17
"""The first PyAV that converts pixel formats with several threads, unless asked not to."""

Pictures = tuple[Tensor, Tensor]
"""Images [frame, height, width, 3] and masks (1 - alpha) [frame, height, width]."""

_EIGHT_BITS = ("rgb24", "rgba", "pal8", "yuvj420p", "yuvj422p", "yuvj440p", "yuvj444p", "yuvj411p")
"""Pixel formats that are converted to 8 bits a channel; all others become floating-point numbers."""
_BORDER = 16
"""Rows and columns that are mirrored beyond the far edges before such a conversion, and cut off after it."""
_WHOLE = 32
"""A width that is a multiple of this needs no border."""

_STACKED = 16
"""Bytes that a pixel of the result takes: three colours and a mask."""
_OPAQUE, _WITH_ALPHA = 24, 36
"""Bytes that a pixel takes that FFmpeg has decoded: converted, and once more in the result."""

_lenient = threading.Lock()


def read_image(path: Path) -> Pictures:
    """Read the frames of a file; frames whose size differs from the first are left out.

    A file that cannot hold transparency has masks of 64×64 zeros. What is left of a file that was cut off is read.

    Raises:
        OSError: the file holds no picture that can be read.
    """
    av = _pyav()
    if av is None:
        return _read_with_pillow(path, like_ffmpeg=True)
    try:
        return _read_with_ffmpeg(av, path)
    except _Undecodable:  # as ComfyUI does: animated WebP, files that were cut off
        return _read_with_pillow(path, like_ffmpeg=False)


def decoder() -> str:
    """Return what reads files, for the keys of results: another decoder, or version of it, gives other colours."""
    av = _pyav()
    pillow = f"Pillow {PIL.__version__}"
    return pillow if av is None else f"PyAV {av.__version__}, {pillow}"


@functools.cache
def _pyav() -> ModuleType | None:
    """Return PyAV where it is installed and new enough."""
    try:
        import av
    except ImportError:
        return None
    return av if _major(av) >= OLDEST_PYAV else None


def _major(av: Any) -> int:
    return int(av.__version__.partition(".")[0])


class _Undecodable(Exception):
    """FFmpeg knows the format of a file but cannot decode its data."""


def _read_with_ffmpeg(av: Any, path: Path) -> Pictures:
    try:
        container = av.open(str(path))
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        raise OSError(f"{path} holds no picture that FFmpeg can read: {error}") from error
    with container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise OSError(f"{path} holds no picture")
        check_pixels(stream.width, stream.height, str(path))
        frames = []
        try:
            for frame in _frames_with_room(container.decode(stream), path):
                frames.append(frame)
        except av.error.InvalidDataError as error:
            if not frames:  # as ComfyUI: what was decoded before the damage is the result
                raise _Undecodable from error
    if not frames:
        raise _Undecodable
    if any(frame.pts is None for frame in frames):
        raise OSError(f"{path}: ComfyUI cannot load pictures in the format {container.format.name!r}")
    pairs = [_frame_arrays(av, frame, path) for frame in frames]
    return _stacked([(torch.from_numpy(image), alpha) for image, alpha in pairs])


def _frames_with_room(frames: Iterator[Any], path: Path) -> Iterator[Any]:
    """Yield frames as long as there is room for what becomes of them."""
    size = 0
    for count, frame in enumerate(frames, 1):
        size += frame.width * frame.height * (_WITH_ALPHA if _has_alpha_channel(frame) else _OPAQUE)
        require_frames(count, size, str(path))
        yield frame


def _has_alpha_channel(frame: Any) -> bool:
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def _frame_arrays(av: Any, frame: Any, path: Path) -> tuple[Any, Tensor | None]:
    """Return one frame's colours [height, width, 3] and its mask, None where its pixel format has no alpha."""
    name = frame.format.name
    has_alpha = _has_alpha_channel(frame)
    if name in _EIGHT_BITS:
        values = from_levels(_converted(av, frame, "rgba" if has_alpha else "rgb24"))
    elif frame.width % _WHOLE == 0:
        values = _converted(av, frame, "gbrapf32le" if has_alpha else "gbrpf32le")
    elif min(frame.width, frame.height) < _BORDER:
        raise OSError(
            f"{path}: ComfyUI cannot load a picture of {frame.width} by {frame.height} pixels in the format {name!r}; "
            f"save it as PNG in RGB, or make it at least {_BORDER} pixels wide and high"
        )
    else:
        wider = _converted(av, _with_border(av, frame), "gbrapf32le" if has_alpha else "gbrpf32le")
        values = wider[: frame.height, : frame.width]
    values = np.ascontiguousarray(np.rot90(values, k=round(frame.rotation / 90)))
    return values[..., :3], 1.0 - torch.from_numpy(values[..., 3].copy()) if has_alpha else None


def _converted(av: Any, frame: Any, pixel_format: str) -> Any:
    """Return a frame's values in another pixel format, converted by one thread.

    Several threads overwrite each other's first columns where rows are not a multiple of what they convert at once.
    """
    one_thread = {"threads": 1} if _major(av) >= FIRST_WITH_THREADS else {}
    return frame.to_ndarray(format=pixel_format, **one_thread)


def _with_border(av: Any, frame: Any) -> Any:
    """Mirror a frame beyond its right and lower edge, to an even size."""
    right, bottom = (_BORDER + size % 2 for size in (frame.width, frame.height))
    graph = av.filter.Graph()
    last = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 25)
    )
    for name, arguments in (
        ("pad", f"w={frame.width + right}:h={frame.height + bottom}:x=0:y=0"),
        ("fillborders", f"right={right}:bottom={bottom}:mode=mirror"),
        ("buffersink", None),
    ):
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    graph.configure()
    graph.push(frame)
    return graph.pull()


def _stacked(frames: list[tuple[Tensor, Tensor | None]]) -> Pictures:
    """Join those frames that are as large as the first."""
    size = frames[0][0].shape
    kept = [(image, mask) for image, mask in frames if image.shape == size]
    masks = [torch.zeros(OPAQUE_MASK) if mask is None else mask for _, mask in kept]
    return torch.stack([image for image, _ in kept]), torch.stack(masks)


@contextmanager
def _cut_off_files_allowed() -> Iterator[None]:
    """Have Pillow give what is left of files that were cut off; its switch for that is one for the whole process."""
    with _lenient:
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def _read_with_pillow(path: Path, like_ffmpeg: bool) -> Pictures:
    """Read a file with Pillow; `like_ffmpeg`: with a mask where the format that FFmpeg reads it as has alpha."""
    try:
        return _pillow_frames(path, like_ffmpeg)
    except OSError:
        with _cut_off_files_allowed():
            return _pillow_frames(path, like_ffmpeg)


def _pillow_frames(path: Path, like_ffmpeg: bool) -> Pictures:
    with opened_picture(path, str(path)) as picture:
        transparent = _has_alpha_band(picture)
        if like_ffmpeg and not transparent:
            transparent = "transparency" in picture.info or _has_alpha_for_ffmpeg(picture, path)
        found, size = list[tuple[Tensor, Tensor | None]](), 0
        for count, frame in enumerate(_frames(picture), 1):
            size += frame.width * frame.height * _STACKED
            require_frames(count, size, str(path))
            found.append(_frame_tensors(ImageOps.exif_transpose(frame), transparent))
        return _stacked(found)


def _frames(picture: Image.Image) -> Iterator[Image.Image]:
    """Yield the frames of an animation; of a file of several pages the first."""
    if picture.format in ("TIFF", "MPO"):
        yield picture
    else:
        yield from ImageSequence.Iterator(picture)


def _has_alpha_band(picture: Image.Image) -> bool:
    return picture.mode in ("LA", "PA", "RGBA", "RGBa", "La")


def _has_alpha_for_ffmpeg(picture: Image.Image, path: Path) -> bool:
    """Return whether FFmpeg reads this file as a format with alpha, although nothing in it may be transparent."""
    if picture.format in ("GIF", "BMP"):
        return picture.format == "GIF" or picture.mode != "RGB"
    if picture.format == "WEBP":
        return path.read_bytes()[12:16] == b"VP8L"
    return picture.mode in ("P", "CMYK")


def _frame_tensors(frame: Image.Image, transparent: bool) -> tuple[Tensor, Tensor | None]:
    if frame.mode.startswith("I"):
        levels = np.asarray(frame).astype(np.float32) / 65535.0
        image = torch.from_numpy(levels).unsqueeze(-1).expand(*levels.shape, 3)
    else:
        image = torch.from_numpy(from_picture(frame.convert("RGB")))
    if not transparent:
        return image, None
    alpha = from_picture(frame.convert("RGBA").getchannel("A"))
    return image, 1.0 - torch.from_numpy(alpha)
