"""Random files that nodes load: pictures in the formats that people have, damaged ones, and latents."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tests.runtime.pack.fuzz.values import Draw

Array = npt.NDArray[Any]


def pixels(draw: Draw, channels: int, height: int, width: int) -> Array:
    """Return noise, or smooth colours as in a photograph, [height, width, channel] of 8 bits."""
    generator = np.random.default_rng(draw.random.getrandbits(32))
    if draw.chance(0.5):
        return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [127.5 + 127.5 * np.sin(rows / (3 + n) + columns / (5 - n / 2) + n) for n in range(channels)]
    return np.stack(waves, -1).astype(np.uint8)


def picture(draw: Draw, mode: str, height: int, width: int) -> Image.Image:
    """Return a random picture of a mode."""
    if mode == "1":
        return Image.fromarray(pixels(draw, 1, height, width)[..., 0] > 127)
    if mode == "P":
        return Image.fromarray(pixels(draw, 3, height, width)).quantize(draw.pick((2, 8, 200)))
    if mode == "I;16":
        return Image.fromarray(
            pixels(draw, 1, height, width)[..., 0].astype(np.uint16) * 257 + draw.integer(0, 255) % 200
        )
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    values = pixels(draw, channels, height, width)
    if mode in ("LA", "RGBA") and draw.chance(0.2):
        values[..., -1] = 255
    return Image.fromarray(values.squeeze(-1) if channels == 1 else values, mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(draw: Draw) -> dict[str, Any]:
    """Return options that store how a camera was held, now and then."""
    if not draw.chance(0.15):
        return {}
    exif = Image.Exif()
    exif[0x0112] = draw.integer(1, 8)
    return {"exif": exif}


def deep_png(draw: Draw, channels: int, height: int, width: int) -> bytes:
    """Return a PNG with 16 bits a channel; Pillow writes only grey ones."""
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    generator = np.random.default_rng(draw.random.getrandbits(32))
    values = generator.integers(0, 65536, (height, width * channels), dtype=np.uint16).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def frames(draw: Draw, mode: str, height: int, width: int) -> list[Image.Image]:
    shown = [picture(draw, mode, height, width) for _ in range(draw.integer(2, 4))]
    if draw.chance(0.3):
        shown = [shown[0].copy() for _ in shown]
        for number, image in enumerate(shown):
            ImageDraw.Draw(image).point((number % width, number % height), fill=draw.integer(0, 255))
    return shown


def animation(draw: Draw, kind: str, mode: str, height: int, width: int, **options: Any) -> bytes:
    first, *rest = frames(draw, mode, height, width)
    return saved(first, kind, save_all=True, append_images=rest, duration=draw.pick((40, 100)), loop=0, **options)


Maker = Callable[[Draw, int, int], bytes]
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGB", "RGBA", "I;16")

PICTURES: dict[str, Maker] = {
    "png": lambda d, h, w: saved(picture(d, d.pick(PNG_MODES), h, w), "PNG", **turned(d)),
    "transparent.png": lambda d, h, w: saved(picture(d, "P", h, w), "PNG", transparency=d.integer(0, 1)),
    "alpha_table.png": lambda d, h, w: saved(picture(d, "P", h, w), "PNG", transparency=bytes([0, 128, 255])),
    "key.png": lambda d, h, w: saved(picture(d, "RGB", h, w), "PNG", transparency=(1, 2, 3)),
    "deep.png": lambda d, h, w: deep_png(d, d.integer(1, 4), h, w),
    "animated.png": lambda d, h, w: animation(d, "PNG", d.pick(("RGB", "RGBA")), h, w),
    "gray.jpg": lambda d, h, w: saved(picture(d, "L", h, w), "JPEG", quality=d.pick((75, 95)), **turned(d)),
    "full.jpg": lambda d, h, w: saved(picture(d, "RGB", h, w), "JPEG", quality=90, subsampling=0, **turned(d)),
    "420.jpg": lambda d, h, w: saved(picture(d, "RGB", h, w), "JPEG", quality=90, progressive=d.chance(0.3)),
    "422.jpg": lambda d, h, w: saved(picture(d, "RGB", h, w), "JPEG", quality=90, subsampling=1),
    "cmyk.jpg": lambda d, h, w: saved(picture(d, "CMYK", h, w), "JPEG", quality=95),
    "lossless.webp": lambda d, h, w: saved(
        picture(d, d.pick(("RGB", "RGBA")), h, w), "WEBP", lossless=True, **turned(d)
    ),
    "lossy.webp": lambda d, h, w: saved(picture(d, d.pick(("RGB", "RGBA")), h, w), "WEBP", quality=85),
    "animated.webp": lambda d, h, w: animation(d, "WEBP", d.pick(("RGB", "RGBA")), h, w, lossless=True),
    "lossy_animated.webp": lambda d, h, w: animation(d, "WEBP", "RGB", h, w, quality=85),
    "gif": lambda d, h, w: saved(picture(d, d.pick(("P", "L")), h, w), "GIF"),
    "transparent.gif": lambda d, h, w: saved(picture(d, "P", h, w), "GIF", transparency=1),
    "animated.gif": lambda d, h, w: animation(d, "GIF", d.pick(("P", "RGB")), h, w, disposal=d.pick((0, 1, 2))),
    "bmp": lambda d, h, w: saved(picture(d, d.pick(("1", "L", "P", "RGB", "RGB", "RGBA")), h, w), "BMP"),
    "tiff": lambda d, h, w: saved(picture(d, d.pick(("1", "L", "LA", "P", "RGB", "RGBA", "I;16")), h, w), "TIFF"),
    "pages.tiff": lambda d, h, w: animation(d, "TIFF", "RGB", h, w),
    "tga": lambda d, h, w: saved(picture(d, d.pick(("L", "RGB", "RGBA")), h, w), "TGA"),
    "ppm": lambda d, h, w: saved(picture(d, d.pick(("1", "L", "RGB")), h, w), "PPM"),
    "ico": lambda d, h, w: saved(picture(d, "RGBA", 32, 32), "ICO", sizes=[(16, 16), (32, 32)]),
}
"""Ways to make a picture, by the end of its name."""


def image_file(draw: Draw) -> tuple[str, bytes]:
    """Return a name and the content of an image file: odd sizes, many formats, one in ten damaged."""
    largest = draw.pick((8, 40, 70))
    height, width = draw.integer(1, largest), draw.integer(1, largest)
    ending = draw.pick(list(PICTURES))
    content = PICTURES[ending](draw, height, width)
    if draw.chance(0.1):
        content = damaged(draw, content)
    if draw.chance(0.05):
        ending = ending.rpartition(".")[0] + draw.pick((".png", ".jpg", ".webp", ".txt"))
    return draw.pick(("x.", "sub/x.", "ü.")) + ending, content


def damaged(draw: Draw, content: bytes) -> bytes:
    """Cut a file off or change one byte of it."""
    kind = draw.pick(("cut", "cut", "cut", "change", "empty", "garbage", "longer"))
    at = draw.integer(len(content) // 4, len(content) - 1)
    if kind == "cut":
        return content[:at]
    if kind == "change":
        return content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
    return {"empty": b"", "garbage": b"not a picture at all", "longer": content + b"\0" * 40}[kind]


def latent_file(draw: Draw) -> bytes:
    """Return a `.latent` file as ComfyUI writes it: of the present version, of the old one, or damaged."""
    import torch
    from safetensors.torch import save

    tensors = {"latent_tensor": draw.latent()["samples"].contiguous()}
    if draw.chance(0.6):
        tensors["latent_format_version_0"] = torch.tensor([])
    if draw.chance(0.1):
        tensors["more"] = torch.ones(2)
    if draw.chance(0.05):
        tensors["other"] = tensors.pop("latent_tensor")
    content: bytes = save(tensors)
    return content[: draw.integer(0, len(content) - 1)] if draw.chance(0.1) else content
