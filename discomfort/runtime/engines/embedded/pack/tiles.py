"""Nodes that cut images into tiles and put tiles together."""

from __future__ import annotations

import torch
from torch import Tensor

from discomfort.runtime.engines.embedded.pack.batches import singles
from discomfort.runtime.engines.embedded.pack.protocol import node
from discomfort.runtime.engines.embedded.pack.resampling import resample_image


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    """Return where tiles begin along one side: every `tile - overlap` pixels, the last tile at the end.

    A step is at least a quarter of a tile.
    """
    stride = max(tile // 4, tile - overlap)
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


def _ramp(size: int, overlap: int, start: int, end: int) -> Tensor:
    """Return weights along one side of a tile: falling over `overlap` towards edges that are not the image's own."""
    position = torch.arange(size, dtype=torch.float32)
    weight = torch.ones(size)
    if start > 0:
        weight = torch.minimum(weight, (position + 1) / (overlap + 1))
    if start + size < end:
        weight = torch.minimum(weight, (size - position) / (overlap + 1))
    return weight


@node("ImageMergeTileList")
def image_merge_tile_list(
    image_list: list[Tensor], final_width: list[int], final_height: list[int], overlap: list[int]
) -> tuple[Tensor]:
    """Put tiles together again; where they overlap they fade into each other."""
    width, height = final_width[0], final_height[0]
    batch, tile_height, tile_width, channels = image_list[0].shape
    places = [(y, x) for y in _starts(height, tile_height, overlap[0]) for x in _starts(width, tile_width, overlap[0])]
    total, weights = torch.zeros(batch, height, width, channels), torch.zeros(1, height, width, 1)
    for (y, x), tile in zip(places, image_list, strict=False):
        rows, columns = tile.shape[1:3]
        down, along = _ramp(rows, overlap[0], y, height), _ramp(columns, overlap[0], x, width)
        weight = (down.unsqueeze(1) * along.unsqueeze(0)).reshape(1, rows, columns, 1)
        total[:, y : y + rows, x : x + columns] += tile * weight
        weights[:, y : y + rows, x : x + columns] += weight
    return (total / weights.clamp(min=1e-6),)


@node("ImageGrid")
def image_grid(
    images: list[Tensor], columns: list[int], cell_width: list[int], cell_height: list[int], padding: list[int]
) -> tuple[Tensor]:
    """Lay images out in a table; each is stretched to its cell."""
    pictures = [picture for image in images for picture in singles(image)]
    width, height, gap = cell_width[0], cell_height[0], padding[0]
    rows = -(-len(pictures) // columns[0])
    grid = torch.zeros(1, rows * height + (rows - 1) * gap, columns[0] * width + (columns[0] - 1) * gap, 3)
    for number, picture in enumerate(pictures):
        y, x = number // columns[0] * (height + gap), number % columns[0] * (width + gap)
        grid[:, y : y + height, x : x + width] = resample_image(picture, width, height, "lanczos")
    return (grid,)
