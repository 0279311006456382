"""Nodes that make, cut and join batches and lists of images and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from discomfort.runtime.engines.embedded.pack.images.compositing import with_channels_of
from discomfort.runtime.engines.embedded.pack.images.resampling import resample_image, resample_mask
from discomfort.runtime.engines.embedded.pack.protocol import in_order, node


def singles(values: Tensor) -> list[Tensor]:
    """Cut [batch, ...] into tensors [1, ...]."""
    return [values[index : index + 1] for index in range(values.shape[0])]


@node("ImageBatch")
def image_batch(image1: Tensor, image2: Tensor) -> tuple[Tensor]:
    """Join two batches; `image2` is made as large as `image1`."""
    if image1.shape[-1] < image2.shape[-1]:
        image1 = with_channels_of(image1, image2)
    else:
        image2 = with_channels_of(image2, image1)
    if image1.shape[1:] != image2.shape[1:]:
        image2 = resample_image(image2, image1.shape[2], image1.shape[1], "bilinear", "center")
    return (torch.cat([image1, image2]),)


@node("BatchImagesNode")
def batch_images(images: dict[str, Tensor]) -> tuple[Tensor]:
    """Join any number of batches, all made as large as the first; those with too few channels get alpha."""
    parts = in_order(images)
    height, width = parts[0].shape[1:3]
    channels = max(image.shape[-1] for image in parts)
    joined = []
    for image in parts:
        if image.shape[1:3] != (height, width):
            image = resample_image(image, width, height, "bilinear", "center")
        joined.append(torch.nn.functional.pad(image, (0, int(image.shape[-1] < channels)), value=1.0))
    return (torch.cat(joined),)


@node("BatchMasksNode")
def batch_masks(masks: dict[str, Tensor]) -> tuple[Tensor]:
    """Join any number of batches of masks; all are made as large as the first."""
    parts = in_order(masks)
    first = parts[0]
    joined = []
    for mask in parts:
        if mask.shape[1:] != first.shape[1:]:
            if mask.ndim != 3 or first.ndim != 3:
                raise ValueError("BatchMasksNode changes the size of masks [batch, height, width] only")
            mask = resample_mask(mask, first.shape[2], first.shape[1], "bilinear", "center")
        joined.append(mask)
    return (torch.cat(joined),)


@node("RepeatImageBatch")
def repeat_image_batch(image: Tensor, amount: int) -> tuple[Tensor]:
    """Repeat a batch."""
    return (image.repeat(amount, 1, 1, 1),)


def batch_range(count: int, index: int, length: int) -> slice:
    """Return the part of a batch of `count` from `index` (negative counts from the end) on, kept inside the batch."""
    start = max(0, min(count - 1, index + count if index < 0 else index))
    return slice(start, start + min(length, count - start))


@node("ImageFromBatch")
def image_from_batch(image: Tensor, batch_index: int, length: int) -> tuple[Tensor]:
    """Take images out of a batch."""
    return (image[batch_range(image.shape[0], batch_index, length)],)


@node("RebatchImages")
def rebatch_images(images: list[Tensor], batch_size: list[int]) -> tuple[list[Tensor]]:
    """Cut a list of batches into batches of at most `batch_size`, across the old ones."""
    all_images = [single for image in images for single in singles(image)]
    return ([torch.cat(all_images[at : at + batch_size[0]]) for at in range(0, len(all_images), batch_size[0])],)


@node("MergeImageLists")
def merge_image_lists(images: list[Tensor]) -> tuple[list[Tensor]]:
    """Give all images of a list of batches one by one."""
    return ([single for image in images for single in singles(image)],)


@node("ShuffleDataset")
def shuffle_dataset(images: list[Tensor], seed: list[int]) -> tuple[list[Tensor]]:
    """Give all images of a list of batches one by one in random order (numpy's legacy generator, seed modulo 2³²-1)."""
    all_images = [single for image in images for single in singles(image)]
    order = np.random.RandomState(seed[0] % (2**32 - 1)).permutation(len(all_images))
    return ([all_images[index] for index in order],)


@node("CreateList")
def create_list(inputs: dict[str, list[Any]]) -> tuple[list[Any]]:
    """Join values and lists to one list."""
    return ([value for values in in_order(inputs) for value in values],)
