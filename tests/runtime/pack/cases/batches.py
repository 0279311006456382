"""Golden cases of the nodes that make, cut and join batches and lists."""

from __future__ import annotations

from tests.runtime.pack.fixtures import fixture

RGB, RGBA, RGB2, RGB3, BIG = (fixture(n) for n in ("rgb", "rgba", "rgb2", "rgb3", "big"))
TILES = fixture("tiles")


def tiled(width: int, height: int, overlap: int) -> dict[str, object]:
    return {"tile_width": width, "tile_height": height, "overlap": overlap}


def grid(images: object, columns: int, width: int, height: int, padding: int) -> dict[str, object]:
    return {"images": images, "columns": columns, "cell_width": width, "cell_height": height, "padding": padding}


CASES = {
    "ImageBatch": [
        {"image1": RGB, "image2": RGB2},
        {"image1": RGB, "image2": BIG},
        {"image1": RGB, "image2": RGBA},
        {"image1": RGBA, "image2": fixture("tall")},
        {"image1": fixture("wide2"), "image2": RGB},
        {"image1": fixture("gray"), "image2": RGB},
    ],
    "BatchImagesNode": [
        {"images.image0": RGB},
        {"images.image0": RGB, "images.image1": RGB2},
        {"images.image0": BIG, "images.image1": fixture("tall"), "images.image2": RGBA},
        {"images.image0": RGBA, "images.image1": RGB},
        {"images.image0": RGB, "images.image2": RGB3},
        {"images.image0": fixture("tall"), "images.image1": BIG},
        {"images.image1": RGB, "images.image0": RGB2},
    ],
    "BatchMasksNode": [
        {"masks.mask0": fixture("mask")},
        {"masks.mask0": fixture("mask"), "masks.mask1": fixture("mask2")},
        {"masks.mask0": fixture("mask"), "masks.mask1": fixture("mask_big"), "masks.mask2": fixture("mask_small")},
        {"masks.mask0": fixture("mask_flat"), "masks.mask1": fixture("mask")},
        {"masks.mask0": fixture("mask_small"), "masks.mask1": fixture("mask_big")},
    ],
    "BatchLatentsNode": [
        {"latents.latent0": fixture("latent")},
        {"latents.latent0": fixture("latent"), "latents.latent1": fixture("latent2")},
        {"latents.latent0": fixture("latent"), "latents.latent1": fixture("latent_big")},
        {"latents.latent0": fixture("latent_indexed"), "latents.latent1": fixture("latent")},
        {"latents.latent0": fixture("latent_masked"), "latents.latent1": fixture("latent_masked2")},
        {"latents.latent0": fixture("latent_masked"), "latents.latent1": fixture("latent")},
        {"latents.latent0": fixture("latent"), "latents.latent1": fixture("latent_small")},
    ],
    "RepeatImageBatch": [{"image": RGB, "amount": 3}, {"image": RGB2, "amount": 2}, {"image": RGBA, "amount": 1}],
    "ImageFromBatch": [
        {"image": RGB3, "batch_index": index, "length": length}
        for index, length in ((0, 1), (1, 2), (2, 5), (9, 1), (-1, 1), (-2, 2), (-9, 1), (-3, 2))
    ],
    "RebatchImages": [
        {"images": RGB3, "batch_size": 2},
        {"images": fixture("rgb", "rgb2", "rgb3"), "batch_size": 4},
        {"images": fixture("rgb", "tall"), "batch_size": 2},
        {"images": fixture("rgb3", "tall", "rgb"), "batch_size": 1},
        {"images": RGB, "batch_size": 8},
    ],
    "RebatchLatents": [
        {"latents": fixture("latent3"), "batch_size": 2},
        {"latents": fixture("latent", "latent2", "latent3"), "batch_size": 4},
        {"latents": fixture("latent", "latent_small", "latent2"), "batch_size": 2},
        {"latents": fixture("latent_masked2"), "batch_size": 2},
        {"latents": fixture("latent_masked4d", "latent"), "batch_size": 2},
        {"latents": fixture("latent", "latent_masked4d"), "batch_size": 3},
        {"latents": fixture("latent_masked_one"), "batch_size": 2},
        {"latents": fixture("latent_indexed", "latent_indexed"), "batch_size": 4},
        {"latents": fixture("latent_masked4d"), "batch_size": 1},
        {"latents": fixture("latent_indexed", "latent2"), "batch_size": 2},
        {"latents": fixture("latent"), "batch_size": 8},
    ],
    "SplitImageToTileList": [
        {"image": TILES, **tiled(64, 64, 16)},
        {"image": TILES, **tiled(64, 64, 0)},
        {"image": BIG, **tiled(64, 64, 16)},
        {"image": TILES, **tiled(72, 64, 40)},
        {"image": TILES, **tiled(1024, 1024, 128)},
        {"image": TILES, **tiled(64, 64, 64)},
    ],
    "ImageMergeTileList": [
        {
            "image_list": {"$node": "SplitImageToTileList", "$slot": 0, "$inputs": {"image": TILES, **tiled(*split)}},
            "final_width": 100,
            "final_height": 70,
            "overlap": overlap,
        }
        for split, overlap in (((64, 64, 16), 16), ((64, 64, 0), 0), ((72, 64, 40), 40), ((64, 64, 16), 8))
    ],
    "ImageGrid": [
        grid(fixture("rgb", "tall", "big"), 2, 32, 40, 3),
        grid(fixture("rgb", "wide"), 4, 32, 32, 0),
        grid(RGB, 1, 33, 47, 5),
        grid(fixture("rgb2", "rgb"), 1, 32, 32, 1),
    ],
    "MergeImageLists": [{"images": fixture("rgb", "tall", "rgb2")}, {"images": RGB}],
    "ShuffleDataset": [
        {"images": fixture("rgb", "tall", "rgb2", "wide", "big"), "seed": seed} for seed in (0, 1, 12345, 2**64 - 1)
    ],
    "CreateList": [
        {"inputs.input0": RGB, "inputs.input1": fixture("tall")},
        {"inputs.input0": fixture("rgb", "rgb2"), "inputs.input1": RGB},
        {"inputs.input0": fixture("text")},
        {"inputs.input0": 1, "inputs.input1": 2, "inputs.input2": 3},
    ],
}
