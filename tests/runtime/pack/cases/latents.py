"""Golden cases of the nodes that make and change latents, and of the pixel-space VAE."""

from __future__ import annotations

from tests.runtime.pack.fixtures import fixture, output

METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]
LATENT, LATENT2, LATENT3, BIG, SMALL, VIDEO = (
    fixture(n) for n in ("latent", "latent2", "latent3", "latent_big", "latent_small", "latent_video")
)
VAE = output("VAELoader", vae_name="pixel_space")
PAIRS = [
    (LATENT, fixture("latent_other")),
    (LATENT, BIG),
    (BIG, SMALL),
    (LATENT2, LATENT),
    (LATENT, LATENT2),
    (LATENT3, LATENT2),
    (fixture("latent_masked"), LATENT),
]
SIZES = [(64, 64, 1), (100, 52, 2), (512, 256, 1)]
VIDEO_SIZES = [(64, 64, 9, 1), (128, 96, 25, 2), (100, 70, 8, 1)]


def empty(sizes: list[tuple[int, int, int]]) -> list[dict[str, int]]:
    return [{"width": width, "height": height, "batch_size": batch} for width, height, batch in sizes]


def empty_video() -> list[dict[str, int]]:
    return [
        {"width": width, "height": height, "length": length, "batch_size": batch}
        for width, height, length, batch in VIDEO_SIZES
    ]


def upscaled(samples: object, method: str, width: int, height: int, crop: str = "disabled") -> dict[str, object]:
    return {"samples": samples, "upscale_method": method, "width": width, "height": height, "crop": crop}


CASES = {
    "EmptyLatentImage": empty(SIZES),
    "EmptySD3LatentImage": empty(SIZES),
    "EmptyFlux2LatentImage": empty(SIZES),
    "EmptyHunyuanImageLatent": empty([(64, 64, 1), (512, 256, 2)]),
    "EmptyChromaRadianceLatentImage": empty([(16, 16, 1), (36, 20, 2)]),
    "EmptyQwenImageLayeredLatentImage": [
        {"width": 64, "height": 48, "layers": layers, "batch_size": batch} for layers, batch in ((3, 1), (0, 2))
    ],
    "EmptyHunyuanLatentVideo": empty_video(),
    "EmptyMochiLatentVideo": empty_video(),
    "EmptyLTXVLatentVideo": empty_video(),
    "EmptyCosmosLatentVideo": empty_video(),
    "StableCascade_EmptyLatentImage": [
        {"width": 256, "height": 320, "compression": 42, "batch_size": 2},
        {"width": 1000, "height": 300, "compression": 10, "batch_size": 1},
    ],
    "LatentUpscale": [
        *(
            upscaled(samples, method, width, height)
            for method in METHODS
            for samples, width, height in ((LATENT, 128, 96), (BIG, 64, 64), (SMALL, 104, 72))
        ),
        *(upscaled(BIG, method, 80, 200, "center") for method in METHODS),
        upscaled(LATENT2, "bislerp", 0, 128),
        upscaled(LATENT2, "bilinear", 128, 0),
        upscaled(LATENT, "bilinear", 0, 0),
        upscaled(LATENT, "area", 8, 8),
        upscaled(fixture("latent_masked"), "nearest-exact", 128, 96),
        upscaled(fixture("latent_zero"), "bislerp", 128, 96),
        upscaled(VIDEO, "bilinear", 128, 96),
        upscaled(VIDEO, "bislerp", 128, 96),
        upscaled(VIDEO, "bicubic", 96, 80, "center"),
    ],
    "LatentUpscaleBy": [
        *(
            {"samples": samples, "upscale_method": method, "scale_by": factor}
            for method in METHODS
            for samples, factor in ((LATENT, 1.5), (BIG, 0.6))
        ),
        {"samples": fixture("latent_masked2"), "upscale_method": "area", "scale_by": 2.0},
        {"samples": VIDEO, "upscale_method": "bicubic", "scale_by": 1.5},
    ],
    "LatentComposite": [
        *(
            {"samples_to": BIG, "samples_from": SMALL, "x": x, "y": y, "feather": feather}
            for x, y in ((0, 0), (16, 8), (100, 60), (90, 77))
            for feather in (0, 8, 16, 40)
        ),
        {"samples_to": BIG, "samples_from": SMALL, "x": 50, "y": 37, "feather": 57},
        {"samples_to": LATENT2, "samples_from": LATENT, "x": 8, "y": 0, "feather": 0},
        {"samples_to": fixture("latent_masked"), "samples_from": BIG, "x": 0, "y": 0, "feather": 16},
        {"samples_to": LATENT2, "samples_from": fixture("latent_small2"), "x": 8, "y": 8, "feather": 8},
    ],
    "LatentCompositeMasked": [
        {"destination": BIG, "source": SMALL, "x": 16, "y": 8, "resize_source": False},
        {"destination": BIG, "source": SMALL, "x": 16, "y": 8, "resize_source": False, "mask": fixture("mask")},
        {"destination": BIG, "source": SMALL, "x": 100, "y": 60, "resize_source": False, "mask": fixture("mask_big")},
        {"destination": LATENT2, "source": BIG, "x": 0, "y": 0, "resize_source": True, "mask": fixture("mask2")},
        {"destination": LATENT3, "source": LATENT2, "x": 8, "y": 0, "resize_source": False},
        {"destination": fixture("latent_masked"), "source": SMALL, "x": 3, "y": 5, "resize_source": False},
        {"destination": SMALL, "source": BIG, "x": 500, "y": 500, "resize_source": False},
    ],
    "LatentBlend": [
        {"samples1": one, "samples2": two, "blend_factor": factor}
        for (one, two), factor in zip(PAIRS, (0.5, 0.3, 1.0, 0.0, 0.7, 0.5, 0.25), strict=True)
    ],
    "LatentAdd": [{"samples1": one, "samples2": two} for one, two in PAIRS],
    "LatentSubtract": [{"samples1": one, "samples2": two} for one, two in PAIRS],
    "LatentMultiply": [
        {"samples": LATENT, "multiplier": 1.5},
        {"samples": fixture("latent_masked2"), "multiplier": -10.0},
        {"samples": VIDEO, "multiplier": 0.0},
    ],
    "LatentInterpolate": [
        *({"samples1": one, "samples2": two, "ratio": 0.3} for one, two in PAIRS),
        {"samples1": LATENT, "samples2": fixture("latent_zero"), "ratio": 0.5},
        {"samples1": LATENT, "samples2": LATENT, "ratio": 1.0},
        {"samples1": VIDEO, "samples2": fixture("latent_video"), "ratio": 0.25},
    ],
    "LatentFlip": [
        {"samples": samples, "flip_method": method}
        for samples in (LATENT, fixture("latent_masked2"))
        for method in ("x-axis: vertically", "y-axis: horizontally")
    ],
    "LatentRotate": [
        {"samples": samples, "rotation": rotation}
        for samples in (LATENT, fixture("latent_masked2"))
        for rotation in ("none", "90 degrees", "180 degrees", "270 degrees")
    ],
    "LatentCrop": [
        {"samples": BIG, "width": 64, "height": 64, "x": 16, "y": 8},
        {"samples": BIG, "width": 64, "height": 72, "x": 400, "y": 400},
        {"samples": BIG, "width": 512, "height": 64, "x": 3, "y": 13},
        {"samples": fixture("latent_masked"), "width": 64, "height": 64, "x": 0, "y": 0},
        {"samples": SMALL, "width": 64, "height": 64, "x": 8, "y": 0},
    ],
    "LatentConcat": [
        {"samples1": one, "samples2": two, "dim": dim}
        for dim in ("x", "-x", "y", "-y", "t", "-t")
        for one, two in ((LATENT, fixture("latent_other")), (VIDEO, fixture("latent_video_other")), (LATENT2, LATENT))
    ],
    "LatentCut": [
        {"samples": VIDEO, "dim": dim, "index": index, "amount": amount}
        for dim in ("x", "y", "t")
        for index, amount in ((0, 1), (2, 3), (-1, 1), (-2, 9), (50, 2), (-50, 2))
    ]
    + [{"samples": LATENT2, "dim": dim, "index": 1, "amount": 2} for dim in ("x", "y", "t")],
    "LatentCutToBatch": [
        {"samples": samples, "dim": dim, "slice_size": size}
        for samples in (VIDEO, LATENT2)
        for dim in ("t", "x", "y")
        for size in (1, 2, 9)
    ],
    "LatentBatch": [
        *({"samples1": one, "samples2": two} for one, two in PAIRS),
        {"samples1": fixture("latent_indexed"), "samples2": LATENT},
        {"samples1": fixture("latent_masked2"), "samples2": fixture("latent_masked4d")},
        {"samples1": LATENT, "samples2": fixture("latent_video")},
    ],
    "LatentBatchSeedBehavior": [
        {"samples": samples, "seed_behavior": behaviour}
        for samples in (LATENT3, fixture("latent_indexed"))
        for behaviour in ("random", "fixed")
    ],
    "LatentFromBatch": [
        *(
            {"samples": LATENT3, "batch_index": index, "length": length}
            for index, length in ((0, 1), (1, 2), (2, 5), (9, 1), (-1, 1), (-2, 2), (-9, 1))
        ),
        {"samples": fixture("latent_masked2"), "batch_index": 1, "length": 1},
        {"samples": fixture("latent_masked_one"), "batch_index": 1, "length": 1},
        {"samples": fixture("latent_indexed"), "batch_index": 1, "length": 2},
        {"samples": VIDEO, "batch_index": 0, "length": 1},
    ],
    "RepeatLatentBatch": [
        *({"samples": samples, "amount": 3} for samples in (LATENT, LATENT2, VIDEO)),
        {"samples": fixture("latent_masked"), "amount": 2},
        {"samples": fixture("latent_masked2"), "amount": 2},
        {"samples": fixture("latent_masked_one"), "amount": 2},
        {"samples": fixture("latent_indexed"), "amount": 3},
    ],
    "SetLatentNoiseMask": [
        {"samples": LATENT, "mask": fixture("mask")},
        {"samples": LATENT2, "mask": fixture("mask2")},
        {"samples": fixture("latent_masked"), "mask": fixture("mask_flat")},
    ],
    "ReplaceVideoLatentFrames": [
        *(
            {"destination": VIDEO, "source": fixture("latent_video_other"), "index": i}
            for i in (0, 2, 3, -1, -2, 4, 9, -9)
        ),
        {"destination": VIDEO, "index": 1},
    ],
    "TrimVideoLatent": [{"samples": VIDEO, "trim_amount": amount} for amount in (0, 2, 5, 9)],
    "VAEEncode": [
        {"pixels": fixture(name), "vae": VAE}
        for name in ("rgb", "rgb2", "rgba", "even", "big", "hdr", "gray", "smooth", "rgb3", "pixel")
    ],
    "VAEDecode": [
        *(
            {"samples": fixture(name), "vae": VAE}
            for name in ("latent_pixels", "latent_pixels2", "latent", "latent_video")
        ),
        {"samples": output("VAEEncode", pixels=fixture("rgb"), vae=VAE), "vae": VAE},
        {"samples": output("VAEEncode", pixels=fixture("even"), vae=VAE), "vae": VAE},
    ],
    "VAEDecodeTiled": [
        {
            "samples": samples,
            "vae": VAE,
            "tile_size": 64,
            "overlap": overlap,
            "temporal_size": 64,
            "temporal_overlap": 8,
        }
        for samples in (fixture("latent_pixels2"), output("VAEEncode", pixels=fixture("tiles"), vae=VAE))
        for overlap in (0, 32)
    ],
    "VAEEncodeForInpaint": [
        {"pixels": fixture(name), "vae": VAE, "mask": fixture(mask), "grow_mask_by": grow}
        for name, mask in (
            ("rgb", "mask"),
            ("rgb2", "mask2"),
            ("smooth", "mask_dots"),
            ("big", "mask_small"),
            ("even", "mask_flat"),
        )
        for grow in (0, 1, 6, 7)
    ],
}
