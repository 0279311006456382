"""Nodes that blur, sharpen, quantise, add noise and apply morphology."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from discomfort.images import from_picture
from discomfort.runtime.engines.embedded.pack.protocol import node


def gaussian_kernel(radius: int, sigma: float, dtype: torch.dtype) -> Tensor:
    """Return a normalised [2·radius+1, 2·radius+1] Gaussian; positions run from -1 to 1, so that sigma counts radii."""
    axis = torch.linspace(-1, 1, 2 * radius + 1)
    distance = torch.sqrt(axis.unsqueeze(0) ** 2 + axis.unsqueeze(1) ** 2)
    kernel = torch.exp(-(distance**2) / (2 * sigma**2))
    return (kernel / kernel.sum()).to(dtype)


def convolve(image: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each channel of [batch, height, width, channel] with a square kernel; edges are mirrored."""
    radius, channels = kernel.shape[-1] // 2, image.shape[-1]
    padded = functional.pad(image.movedim(-1, 1), (radius,) * 4, "reflect")
    filtered = functional.conv2d(padded, kernel.to(padded).expand(channels, 1, *kernel.shape), groups=channels)
    return filtered.movedim(1, -1)


@node("ImageBlur")
def image_blur(image: Tensor, blur_radius: int, sigma: float) -> tuple[Tensor]:
    """Blur with a Gaussian."""
    if blur_radius == 0:
        return (image,)
    return (convolve(image, gaussian_kernel(blur_radius, sigma, image.dtype)),)


@node("ImageSharpen")
def image_sharpen(image: Tensor, sharpen_radius: int, sigma: float, alpha: float) -> tuple[Tensor]:
    """Take `alpha` times ten Gaussians away from each pixel and give it the same weight back."""
    if sharpen_radius == 0:
        return (image,)
    kernel = gaussian_kernel(sharpen_radius, sigma, image.dtype) * -(alpha * 10)
    kernel[sharpen_radius, sharpen_radius] = kernel[sharpen_radius, sharpen_radius] - kernel.sum() + 1
    return (convolve(image, kernel).clamp(0, 1),)


def _bayer_matrix(order: int) -> Tensor:
    """Return the ordered-dithering matrix of `order` (a power of two): multiples of 1/order² from 0 on."""
    matrix = torch.zeros(1, 1, dtype=torch.float64)
    size = 1
    while size < order:
        matrix = torch.cat(
            [torch.cat([4 * matrix, 4 * matrix + 2], 1), torch.cat([4 * matrix + 3, 4 * matrix + 1], 1)], 0
        )
        size *= 2
    return matrix / size**2


def _dither_bayer(picture: Image.Image, palette: Image.Image, order: int) -> Image.Image:
    """Shift each pixel by the ordered-dithering pattern before it takes the nearest colour of the palette."""
    spread = 2 * 256 * 3 / len(palette.getpalette() or [0, 0, 0])
    pattern = (_bayer_matrix(order).numpy() + 0.5 / order**2 - 0.5) * spread
    pixels = np.asarray(picture).astype(np.float64)
    rows, columns = math.ceil(pixels.shape[0] / order), math.ceil(pixels.shape[1] / order)
    tiled = np.tile(pattern, (rows, columns))[: pixels.shape[0], : pixels.shape[1], None]
    shifted = np.clip(np.round(pixels + tiled), 0, 255).astype(np.uint8)
    return Image.fromarray(shifted).quantize(palette=palette, dither=Image.Dither.NONE)


@node("ImageQuantize")
def image_quantize(image: Tensor, colors: int, dither: str) -> tuple[Tensor]:
    """Reduce an RGB image to a palette of so many colours of its own."""
    if image.shape[-1] != 3:
        raise ValueError(f"ImageQuantize takes images with 3 channels; this one has {image.shape[-1]}")
    quantized = []
    for pixels in image:
        picture = Image.fromarray((pixels * 255).to(torch.uint8).numpy())
        palette = picture.quantize(colors=colors)
        if dither.startswith("bayer"):
            indexed = _dither_bayer(picture, palette, int(dither.split("-")[1]))
        else:
            method = Image.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else Image.Dither.NONE
            indexed = picture.quantize(colors=colors, palette=palette, dither=method)
        quantized.append(torch.from_numpy(from_picture(indexed.convert("RGB"))))
    return (torch.stack(quantized).to(image.dtype),)


@node("ImageAddNoise")
def image_add_noise(image: Tensor, seed: int, strength: float) -> tuple[Tensor]:
    """Add normal noise times `strength`; the generator is torch's on the CPU."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator).to(image)
    return ((image + strength * noise).clamp(0, 1),)


def _dilate(channels: Tensor, size: int) -> Tensor:
    before = (size - 1) // 2
    padded = functional.pad(channels, (before, size - 1 - before) * 2, value=-math.inf)
    return functional.max_pool2d(padded, size, stride=1)


def _erode(channels: Tensor, size: int) -> Tensor:
    before = size // 2
    padded = functional.pad(channels, (before, size - 1 - before) * 2, value=math.inf)
    return -functional.max_pool2d(-padded, size, stride=1)


@node("Morphology")
def morphology(image: Tensor, operation: str, kernel_size: int) -> tuple[Tensor]:
    """Apply a morphological operation with a square of `kernel_size` pixels."""
    channels = image.movedim(-1, 1).to(torch.promote_types(image.dtype, torch.float32))
    if operation == "erode":
        result = _erode(channels, kernel_size)
    elif operation == "dilate":
        result = _dilate(channels, kernel_size)
    elif operation == "open":
        result = _dilate(_erode(channels, kernel_size), kernel_size)
    elif operation == "close":
        result = _erode(_dilate(channels, kernel_size), kernel_size)
    elif operation == "gradient":
        result = _dilate(channels, kernel_size) - _erode(channels, kernel_size)
    elif operation == "top_hat":
        result = channels - _dilate(_erode(channels, kernel_size), kernel_size)
    elif operation == "bottom_hat":
        result = _erode(_dilate(channels, kernel_size), kernel_size) - channels
    else:
        raise ValueError(f"Morphology has no operation {operation!r}")
    return (result.movedim(1, -1),)
