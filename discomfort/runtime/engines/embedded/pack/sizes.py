"""How much memory nodes need whose results can be far larger than their inputs: asked before it is taken.

A result that does not fit into memory would end the whole program, not the node alone. Nodes whose results are about as
large as their inputs are not listed: room of that size was there already.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from discomfort.context.home.os_support import available_ram

LARGEST_TEXT = 64 * 1024 * 1024
"""Characters of the longest text that a node may give."""

_SMALL = 64 * 1024 * 1024
"""Bytes that are taken without asking."""
_OBJECT = 600
"""Bytes of a tensor, or of another value in a list, without its data."""

Function = Callable[..., Any]
Shape = Sequence[int]
Need = tuple[Shape, float]
"""The shape of what a node makes, and the bytes of each element with all temporary copies."""


def require_tensor(shape: Shape, item: float, what: str) -> None:
    """Refuse to make a tensor, of `item` bytes for each element, where there is no room for it.

    Raises:
        MemoryError: more memory is needed than is available.
    """
    if math.prod(shape) * item < _SMALL:
        return
    size, available = math.prod(shape) * item, available_ram()
    if size > available:
        needed, left = (f"{number / 2**30:.1f} GiB" for number in (size, available))
        shown = ", ".join(map(str, shape))
        raise MemoryError(f"{what} would make [{shown}], which takes {needed} of memory; {left} are available")


def require_frames(count: int, size: int, what: str) -> None:
    """Refuse to read on in a file where there is no room for `size` bytes, which its first `count` frames take.

    Raises:
        MemoryError: more memory is needed than is available.
    """
    if size < _SMALL:
        return
    available = available_ram()
    if size > available:
        needed, left = (f"{number / 2**30:.1f} GiB" for number in (size, available))
        raise MemoryError(f"{what}: its first {count} frames alone take {needed} of memory; {left} are available")


def require_text(length: int) -> None:
    """Refuse texts of more than LARGEST_TEXT characters.

    Raises:
        ValueError: the text would be longer.
    """
    if length > LARGEST_TEXT:
        raise ValueError(f"the result would have {length} characters; at most {LARGEST_TEXT} are allowed")


def limited(name: str, function: Function) -> Function:
    """Return the function of a node class, with the question for memory before it where the class has one."""
    need = NEEDS.get(name)
    if need is None:
        return function

    @functools.wraps(function)
    def ask_and_call(*arguments: Any, **named: Any) -> Any:
        shape, item = _asked(need, arguments, named)
        require_tensor(shape, item, name)
        return function(*arguments, **named)

    return ask_and_call


def _asked(need: Callable[..., Need], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Need:
    """Return what a call needs; nothing for arguments that make no sense, of which the node itself complains."""
    try:
        return need(*arguments, **named)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return (), 0


def _image(channels: int, unit: int) -> Callable[..., Need]:
    def need(width: int, height: int, batch_size: int = 1, **_: Any) -> Need:
        return (batch_size, channels, height // unit, width // unit), 4

    return need


def _video(channels: int, unit: int, step: int) -> Callable[..., Need]:
    def need(width: int, height: int, length: int, batch_size: int = 1) -> Need:
        return (batch_size, channels, (length - 1) // step + 1, height // unit, width // unit), 4

    return need


def _steps(steps: int, *_: Any, **__: Any) -> Need:
    return (steps,), 40


def _joined(parts: Sequence[Tensor]) -> Need:
    """Return what a batch of all parts needs, each made as large as the first, with the most channels of any."""
    first = parts[0].shape
    channels = max(part.shape[-1] for part in parts) if len(first) == 4 else 1
    return (sum(part.shape[0] for part in parts), *first[1:3], channels), 8


def _joined_latents(parts: Sequence[Mapping[str, Tensor]]) -> Need:
    samples = [part["samples"] for part in parts]
    return (sum(part.shape[0] for part in samples), *samples[0].shape[1:]), 8


def _concatenated(samples1: Mapping[str, Tensor], samples2: Mapping[str, Tensor], dim: str) -> Need:
    first, second = samples1["samples"], samples2["samples"]
    each = first.numel() + second.numel() // second.shape[0] * first.shape[0]
    return (each,), 8


def _repeated(tensor: Tensor, amount: int) -> Need:
    return (tensor.shape[0] * amount, *tensor.shape[1:]), tensor.element_size()


def _outpainted(image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int) -> Need:
    batch, height, width, channels = image.shape
    return (batch, height + top + bottom, width + left + right, channels + 1), 4


def _stitched(
    image1: Tensor,
    direction: str,
    match_image_size: bool,
    spacing_width: int,
    spacing_color: str,
    image2: Tensor | None = None,
) -> Need:
    if image2 is None:
        return (), 0
    (batch1, height1, width1, channels1), (batch2, height2, width2, channels2) = image1.shape, image2.shape
    across = direction in ("left", "right")
    if match_image_size:
        scale = height1 / height2 if across else width1 / width2
        height2, width2 = math.ceil(height2 * scale), math.ceil(width2 * scale)
    if across:
        height, width = max(height1, height2), width1 + width2 + spacing_width
    else:
        height, width = height1 + height2 + spacing_width, max(width1, width2)
    return (max(batch1, batch2), height, width, max(channels1, channels2)), 12


def _tiles(image: Tensor, tile_width: int, tile_height: int, overlap: int) -> Need:
    """Return what a list of tiles needs: they share the image's memory."""
    along = [
        max(1, (side - tile) // max(1, tile // 4, tile - overlap) + 2)
        for side, tile in ((image.shape[1], tile_height), (image.shape[2], tile_width))
    ]
    return along, _OBJECT


def _merged(image_list: list[Tensor], final_width: list[int], final_height: list[int], overlap: list[int]) -> Need:
    batch, _, _, channels = image_list[0].shape
    return (batch, final_height[0], final_width[0], channels + 1), 12


def _grid(
    images: list[Tensor], columns: list[int], cell_width: list[int], cell_height: list[int], padding: list[int]
) -> Need:
    rows = -(-sum(image.shape[0] for image in images) // columns[0])
    width = columns[0] * (cell_width[0] + padding[0])
    return (rows * (cell_height[0] + padding[0]), width, 4), 4


def _blurred(image: Tensor, blur_radius: int, sigma: float) -> Need:
    return _convolved(image, blur_radius)


def _sharpened(image: Tensor, sharpen_radius: int, sigma: float, alpha: float) -> Need:
    return _convolved(image, sharpen_radius)


def _convolved(image: Tensor, radius: int) -> Need:
    batch, height, width, channels = image.shape
    padded = batch * channels * (height + 2 * radius) * (width + 2 * radius)
    return (padded + (2 * radius + 1) ** 2 * (4 + channels),), 8


def _morphed(image: Tensor, operation: str, kernel_size: int) -> Need:
    batch, height, width, channels = image.shape
    return (batch, channels, height + kernel_size, width + kernel_size), 16


def _interpolated_mask(mask: Tensor | None, height: int, width: int) -> Need:
    """Return what a mask needs that is made as large as an image."""
    return ((), 0) if mask is None else ((mask.numel() // (mask.shape[-1] * mask.shape[-2]), height, width), 12)


def _inpainted(pixels: Tensor, vae: Any, mask: Tensor, grow_mask_by: int = 6) -> Need:
    shape, item = _interpolated_mask(mask, pixels.shape[1] + grow_mask_by, pixels.shape[2] + grow_mask_by)
    return (math.prod(shape) + grow_mask_by**2,), item


def _split_latents(latents: list[Mapping[str, Any]], batch_size: list[int]) -> Need:
    masks = [latent for latent in latents if latent.get("noise_mask") is not None]
    return (sum(latent["samples"].numel() for latent in latents) * (64 if masks else 1),), 8


NEEDS: Mapping[str, Callable[..., Need]] = {
    "EmptyImage": lambda width, height, batch_size=1, color=0: ((batch_size, height, width, 3), 4),
    "SolidMask": lambda value, width, height: ((1, height, width), 4),
    "EmptyLatentImage": _image(4, 8),
    "EmptySD3LatentImage": _image(16, 8),
    "EmptyFlux2LatentImage": _image(128, 16),
    "EmptyHunyuanImageLatent": _image(64, 32),
    "EmptyChromaRadianceLatentImage": _image(3, 1),
    "EmptyHunyuanLatentVideo": _video(16, 8, 4),
    "EmptyMochiLatentVideo": _video(12, 8, 6),
    "EmptyLTXVLatentVideo": _video(128, 32, 8),
    "EmptyCosmosLatentVideo": _video(16, 8, 8),
    "EmptyQwenImageLayeredLatentImage": lambda width, height, layers, batch_size=1: (
        (batch_size, 16, layers + 1, height // 8, width // 8),
        4,
    ),
    "StableCascade_EmptyLatentImage": lambda width, height, compression, batch_size=1: (
        (batch_size, 20, height // min(4, compression), width // min(4, compression)),
        4,
    ),
    "KarrasScheduler": _steps,
    "ExponentialScheduler": _steps,
    "PolyexponentialScheduler": _steps,
    "VPScheduler": _steps,
    "ExtendIntermediateSigmas": lambda sigmas, steps, *_, **__: ((len(sigmas), steps + _OBJECT), 16),
    "RepeatImageBatch": lambda image, amount: _repeated(image, amount),
    "RepeatLatentBatch": lambda samples, amount: _repeated(samples["samples"], amount),
    "ImageBatch": lambda image1, image2: _joined([image1, image2]),
    "BatchImagesNode": lambda images: _joined(list(images.values())),
    "BatchMasksNode": lambda masks: _joined(list(masks.values())),
    "LatentBatch": lambda samples1, samples2: _joined_latents([samples1, samples2]),
    "BatchLatentsNode": lambda latents: _joined_latents(list(latents.values())),
    "LatentConcat": _concatenated,
    "RebatchLatents": _split_latents,
    "CreateList": lambda inputs: ((sum(map(len, inputs.values())),), _OBJECT),
    "ImagePadForOutpaint": _outpainted,
    "ResizeAndPadImage": lambda image, target_width, target_height, *_, **__: (
        (image.shape[0], target_height, target_width, image.shape[3]),
        8,
    ),
    "ImageStitch": _stitched,
    "SplitImageToTileList": _tiles,
    "ImageMergeTileList": _merged,
    "ImageGrid": _grid,
    "ImageBlur": _blurred,
    "ImageSharpen": _sharpened,
    "Morphology": _morphed,
    "ImageCompositeMasked": lambda destination, source, x, y, resize_source, mask=None: _interpolated_mask(
        mask, *(destination if resize_source else source).shape[1:3]
    ),
    "LatentCompositeMasked": lambda destination, source, x, y, resize_source, mask=None: _interpolated_mask(
        mask, *(destination if resize_source else source)["samples"].shape[-2:]
    ),
    "VAEEncodeForInpaint": _inpainted,
}
"""What the classes need that can make much of little, by name. What is resampled or repeated is checked where that is
done (`resampling.resample`, `compositing.repeat_to_batch`), texts where they are made (`strings`)."""
