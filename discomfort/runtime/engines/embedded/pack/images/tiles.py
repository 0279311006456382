"""Nodes that cut images into tiles and put tiles together."""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor

from discomfort.images import from_picture
from discomfort.runtime.engines.embedded.pack.images.batches import singles
from discomfort.runtime.engines.embedded.pack.pictures import to_picture
from discomfort.runtime.engines.embedded.pack.protocol import node

LEAST_WEIGHT = 1e-5


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    """Return where tiles begin along one side: every `tile - overlap` pixels, the last tile at the end.

    Tiles overlap by three quarters at most.
    """
    stride = max(tile - overlap, round(tile / 4))
    if size <= tile:
        return [0]
    return [*range(0, size - tile, stride), size - tile]


@node("SplitImageToTileList")
def split_image_to_tile_list(image: Tensor, tile_width: int, tile_height: int, overlap: int) -> tuple[list[Tensor]]:
    """Cut an image into overlapping tiles of equal size, row by row."""
    height, width = image.shape[1:3]
    return (
        [
            image[:, y : y + tile_height, x : x + tile_width]
            for y in _starts(height, tile_height, overlap)
            for x in _starts(width, tile_width, overlap)
        ],
    )


def _fading(size: int, like: Tensor) -> Tensor:
    """Return weights along one side of a tile: half a sine wave, 1 in the middle, with the rounding of `like`."""
    place = torch.linspace(0, 1, size, dtype=like.dtype, device=like.device)
    return torch.sin(place * math.pi).clamp(min=LEAST_WEIGHT)


@node("ImageMergeTileList")
def image_merge_tile_list(
    image_list: list[Tensor], final_width: list[int], final_height: list[int], overlap: list[int]
) -> tuple[Tensor]:
    """Put tiles together again; where they overlap they fade into each other."""
    width, height = final_width[0], final_height[0]
    first = image_list[0]
    batch, tile_height, tile_width, channels = first.shape
    places = [(y, x) for y in _starts(height, tile_height, overlap[0]) for x in _starts(width, tile_width, overlap[0])]
    total, weights = first.new_zeros(batch, height, width, channels), first.new_zeros(batch, height, width, 1)
    weight = first.new_ones(tile_height, tile_width, 1)
    if overlap[0]:
        weight = _fading(tile_height, first).reshape(-1, 1, 1) * _fading(tile_width, first).reshape(1, -1, 1)
    for (y, x), tile in zip(places, image_list, strict=False):
        inside = tile[:, : min(tile_height, height - y), : min(tile_width, width - x)]
        rows, columns = inside.shape[1:3]
        total[:, y : y + rows, x : x + columns] += inside * weight[:rows, :columns]
        weights[:, y : y + rows, x : x + columns] += weight[:rows, :columns]
    return (torch.where(weights > 0, total / weights, 0.0),)


@node("ImageGrid")
def image_grid(
    images: list[Tensor], columns: list[int], cell_width: list[int], cell_height: list[int], padding: list[int]
) -> tuple[Tensor]:
    """Lay images out in a table, in RGB; each is stretched to its cell."""
    pictures = [picture for image in images for picture in singles(image)]
    width, height, gap = cell_width[0], cell_height[0], padding[0]
    rows = -(-len(pictures) // columns[0])
    grid = torch.zeros(1, rows * height + (rows - 1) * gap, columns[0] * width + (columns[0] - 1) * gap, 3)
    for number, picture in enumerate(pictures):
        y, x = number // columns[0] * (height + gap), number % columns[0] * (width + gap)
        cell = to_picture(picture[0]).resize((width, height), Image.Resampling.LANCZOS).convert("RGB")
        grid[0, y : y + height, x : x + width] = torch.from_numpy(from_picture(cell))
    return (grid,)
