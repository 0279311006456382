"""Nodes that make images and change their size."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from discomfort.runtime.engines.embedded.pack.images.resampling import (
    lanczos,
    missing_size,
    resample,
    resample_image,
    resample_mask,
)
from discomfort.runtime.engines.embedded.pack.pictures import check_picture
from discomfort.runtime.engines.embedded.pack.protocol import node
from discomfort.runtime.engines.embedded.pack.sizes import require_tensor

MEGAPIXEL = 1024 * 1024


@node("EmptyImage")
def empty_image(width: int, height: int, batch_size: int = 1, color: int = 0) -> tuple[Tensor]:
    """Fill an image with a colour written as 0xRRGGBB."""
    channels = [(color >> shift & 0xFF) / 255 for shift in (16, 8, 0)]
    return (torch.tensor(channels, dtype=torch.float32).expand(batch_size, height, width, 3).contiguous(),)


@node("GetImageSize")
def get_image_size(image: Tensor, unique_id: str | None = None) -> tuple[int, int, int]:
    """Give an image's width, height and batch size."""
    batch, height, width = image.shape[:3]
    return width, height, batch


@node("ImageScale")
def image_scale(image: Tensor, upscale_method: str, width: int, height: int, crop: str) -> tuple[Tensor]:
    """Change an image's size; a size of 0 follows from the other one, two of them change nothing."""
    if width == 0 and height == 0:
        return (image,)
    width, height = missing_size(width, height, image.shape[2], image.shape[1])
    return (resample_image(image, width, height, upscale_method, crop),)


@node("ImageScaleBy")
def image_scale_by(image: Tensor, upscale_method: str, scale_by: float) -> tuple[Tensor]:
    """Multiply an image's width and height."""
    width, height = round(image.shape[2] * scale_by), round(image.shape[1] * scale_by)
    return (resample_image(image, width, height, upscale_method),)


@node("ImageScaleToTotalPixels")
def image_scale_to_total_pixels(
    image: Tensor, upscale_method: str, megapixels: float, resolution_steps: int = 1
) -> tuple[Tensor]:
    """Change an image's size to about so many times 1024×1024 pixels, sides in whole steps."""
    factor = math.sqrt(megapixels * MEGAPIXEL / (image.shape[2] * image.shape[1]))
    width = round(image.shape[2] * factor / resolution_steps) * resolution_steps
    height = round(image.shape[1] * factor / resolution_steps) * resolution_steps
    return (resample_image(image, width, height, upscale_method),)


@node("ImageScaleToMaxDimension")
def image_scale_to_max_dimension(image: Tensor, upscale_method: str, largest_size: int) -> tuple[Tensor]:
    """Change an image's size so that its longer side becomes `largest_size`."""
    height, width = image.shape[1:3]
    if height > width:
        width, height = round(width / height * largest_size), largest_size
    elif width > height:
        width, height = largest_size, round(height / width * largest_size)
    else:
        width = height = largest_size
    return (resample_image(image, width, height, upscale_method),)


@node("ResizeAndPadImage")
def resize_and_pad_image(
    image: Tensor, target_width: int, target_height: int, padding_color: str, interpolation: str
) -> tuple[Tensor]:
    """Fit an image into a frame, proportions kept, and fill what is left."""
    batch, height, width, channels = image.shape
    factor = min(target_width / width, target_height / height)
    new_width, new_height = int(width * factor), int(height * factor)
    resized = resample_image(image, new_width, new_height, interpolation)
    fill = {"white": 1.0, "black": 0.0}[padding_color]
    padded = torch.full((batch, target_height, target_width, channels), fill, dtype=image.dtype, device=image.device)
    top, left = (target_height - new_height) // 2, (target_width - new_width) // 2
    padded[:, top : top + new_height, left : left + new_width] = resized
    return (padded,)


def _to_dimensions(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    if options["width"] == 0 and options["height"] == 0:
        return width, height
    return missing_size(options["width"], options["height"], width, height)


def _by_multiplier(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    return round(width * options["multiplier"]), round(height * options["multiplier"])


def _to_longer(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    longer = options["longer_size"]
    if height > width:
        return round(width / height * longer), longer
    return longer, round(height / width * longer)


def _to_shorter(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    shorter = options["shorter_size"]
    if height < width:
        return round(width / height * shorter), shorter
    return shorter, round(height / width * shorter)


def _to_width(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    if options["width"] == 0:
        return width, height
    return missing_size(options["width"], 0, width, height)


def _to_height(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    if options["height"] == 0:
        return width, height
    return missing_size(0, options["height"], width, height)


def _to_pixels(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    factor = math.sqrt(options["megapixels"] * MEGAPIXEL / (width * height))
    return round(width * factor), round(height * factor)


def _to_match(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    match: Tensor = options["match"]
    if match.ndim == 2:  # of a mask without a batch ComfyUI takes each row for a mask of its own
        return (match.shape[1], 1)
    return (match.shape[2], match.shape[1])


def _to_multiple(width: int, height: int, options: dict[str, Any]) -> tuple[int, int]:
    multiple = options["multiple"]
    if not 0 < multiple <= min(width, height):
        return width, height
    return width // multiple * multiple, height // multiple * multiple


RESIZE_TYPES = {
    "scale dimensions": _to_dimensions,
    "scale by multiplier": _by_multiplier,
    "scale longer dimension": _to_longer,
    "scale shorter dimension": _to_shorter,
    "scale width": _to_width,
    "scale height": _to_height,
    "scale total pixels": _to_pixels,
    "match size": _to_match,
    "scale to multiple": _to_multiple,
}


@node("ResizeImageMaskNode")
def resize_image_mask(input: Tensor, resize_type: dict[str, Any], scale_method: str) -> tuple[Tensor]:
    """Change the size of an image [batch, height, width, channel] or a mask [batch, height, width]."""
    kind = resize_type["resize_type"]
    is_image = input.ndim == 4
    height, width = input.shape[1:3] if is_image else input.shape[-2:]
    new_width, new_height = RESIZE_TYPES[kind](width, height, resize_type)
    if (new_width, new_height) == (width, height) and kind != "match size":  # which resamples in ComfyUI even then
        return (input,)
    if kind == "scale to multiple":
        return (_cover(input, new_width, new_height, scale_method),)
    crop = resize_type.get("crop", "disabled")
    if is_image:
        return (resample_image(input, new_width, new_height, scale_method, crop),)
    if input.ndim == 2:
        return (resample(input, new_width, new_height, scale_method, crop),)
    return (resample_mask(input, new_width, new_height, scale_method, crop),)


def _cover(input: Tensor, width: int, height: int, method: str) -> Tensor:
    """Shrink an image or mask, proportions kept, until it just covers the size; then cut the middle out."""
    old_height, old_width = input.shape[1:3]
    factor = max(width / old_width, height / old_height)
    size = max(width, math.ceil(old_width * factor)), max(height, math.ceil(old_height * factor))
    covering = resample_image(input, *size, method) if input.ndim == 4 else resample_mask(input, *size, method)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return covering[:, top : top + height, left : left + width]


def _resize_with_pillow(image: Tensor, width: int, height: int) -> Tensor:
    check_picture(image)
    require_tensor((image.shape[0], height, width, image.shape[-1]), 12, "resampling")
    return lanczos(image.movedim(-1, 1), width, height).movedim(1, -1)


@node("ResizeImagesByShorterEdge")
def resize_images_by_shorter_edge(images: Tensor, shorter_edge: int) -> tuple[Tensor]:
    """Change an image's size so that its shorter side becomes `shorter_edge`."""
    height, width = images.shape[1:3]
    if width < height:
        return (_resize_with_pillow(images, shorter_edge, int(height * shorter_edge / width)),)
    return (_resize_with_pillow(images, int(width * shorter_edge / height), shorter_edge),)


@node("ResizeImagesByLongerEdge")
def resize_images_by_longer_edge(images: Tensor, longer_edge: int) -> tuple[Tensor]:
    """Change an image's size so that its longer side becomes `longer_edge`."""
    height, width = images.shape[1:3]
    if width > height:
        return (_resize_with_pillow(images, longer_edge, int(height * longer_edge / width)),)
    return (_resize_with_pillow(images, int(width * longer_edge / height), longer_edge),)
