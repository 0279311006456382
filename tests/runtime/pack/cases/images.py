"""Golden cases of the nodes that make, filter, cut and combine images."""

from __future__ import annotations

from tests.runtime.pack.fixtures import fixture

BLEND_MODES = ["normal", "multiply", "screen", "overlay", "soft_light", "difference"]
PORTER_DUFF_MODES = [
    "ADD",
    "CLEAR",
    "DARKEN",
    "DST",
    "DST_ATOP",
    "DST_IN",
    "DST_OUT",
    "DST_OVER",
    "LIGHTEN",
    "MULTIPLY",
    "OVERLAY",
    "SCREEN",
    "SRC",
    "SRC_ATOP",
    "SRC_IN",
    "SRC_OUT",
    "SRC_OVER",
    "XOR",
]
MORPHOLOGY = ["erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"]
DITHERS = ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"]
SEEDS = [0, 7, 2**32 + 5, 2**64 - 1]

RGB, RGBA, GRAY, RGB2, HDR = (fixture(name) for name in ("rgb", "rgba", "gray", "rgb2", "hdr"))
MASK, MASK2 = fixture("mask"), fixture("mask2")

CASES = {
    "EmptyImage": [
        {"width": 7, "height": 5, "batch_size": 1, "color": 0},
        {"width": 3, "height": 2, "batch_size": 2, "color": 0x12AB7F},
        {"width": 1, "height": 1, "batch_size": 1, "color": 0xFFFFFF},
    ],
    "ImageInvert": [{"image": image} for image in (RGB, RGBA, HDR, RGB2)],
    "ImageBlend": [
        *({"image1": RGB, "image2": fixture("rgb_other"), "blend_factor": 0.7, "blend_mode": m} for m in BLEND_MODES),
        *({"image1": HDR, "image2": fixture("hdr"), "blend_factor": 1.0, "blend_mode": m} for m in BLEND_MODES),
        {"image1": RGB, "image2": fixture("tall"), "blend_factor": 0.5, "blend_mode": "normal"},
        {"image1": RGB2, "image2": RGB, "blend_factor": 0.25, "blend_mode": "screen"},
        {"image1": RGB, "image2": RGB2, "blend_factor": 0.25, "blend_mode": "multiply"},
        {"image1": RGB, "image2": RGBA, "blend_factor": 0.25, "blend_mode": "normal"},
        {"image1": RGBA, "image2": RGB, "blend_factor": 0.25, "blend_mode": "normal"},
        {"image1": RGB, "image2": fixture("big"), "blend_factor": 0.0, "blend_mode": "overlay"},
        {"image1": fixture("rgb3"), "image2": RGB2, "blend_factor": 0.5, "blend_mode": "normal"},
    ],
    "ImageBlur": [
        {"image": RGB, "blur_radius": 1, "sigma": 1.0},
        {"image": fixture("big"), "blur_radius": 5, "sigma": 2.5},
        {"image": fixture("big"), "blur_radius": 31, "sigma": 10.0},
        {"image": fixture("rgba2"), "blur_radius": 2, "sigma": 0.1},
        {"image": RGB, "blur_radius": 5, "sigma": 1.0},
        {"image": HDR, "blur_radius": 2, "sigma": 1.5},
    ],
    "ImageSharpen": [
        {"image": RGB, "sharpen_radius": 1, "sigma": 1.0, "alpha": 1.0},
        {"image": fixture("big"), "sharpen_radius": 4, "sigma": 2.5, "alpha": 5.0},
        {"image": RGB2, "sharpen_radius": 2, "sigma": 0.7, "alpha": 0.0},
        {"image": HDR, "sharpen_radius": 1, "sigma": 1.0, "alpha": 0.3},
        {"image": RGBA, "sharpen_radius": 1, "sigma": 1.0, "alpha": 2.0},
        {"image": RGB, "sharpen_radius": 6, "sigma": 1.0, "alpha": 1.0},
    ],
    "ImageQuantize": [
        *({"image": fixture("smooth"), "colors": colors, "dither": d} for d in DITHERS for colors in (2, 5, 16)),
        {"image": fixture("big"), "colors": 256, "dither": "none"},
        {"image": RGB2, "colors": 1, "dither": "bayer-4"},
        *({"image": fixture("colors"), "colors": colors, "dither": "bayer-2"} for colors in (3, 4, 5, 6, 7, 16, 200)),
        *({"image": fixture("big"), "colors": colors, "dither": "bayer-16"} for colors in (7, 250)),
        {"image": fixture("rgb3"), "colors": 3, "dither": "floyd-steinberg"},
        {"image": HDR, "colors": 8, "dither": "none"},
        {"image": RGBA, "colors": 8, "dither": "none"},
    ],
    "ImageAddNoise": [
        *({"image": RGB, "seed": seed, "strength": 0.5} for seed in SEEDS),
        {"image": RGB2, "seed": 3, "strength": 1.0},
        {"image": HDR, "seed": 3, "strength": 0.0},
        {"image": RGBA, "seed": 4, "strength": 0.1},
    ],
    "ImageRGBToYUV": [{"image": image} for image in (RGB, RGB2, HDR, fixture("colors"), RGBA)],
    "ImageYUVToRGB": [
        {"Y": RGB, "U": fixture("rgb_other"), "V": fixture("hdr")},
        {"Y": RGB2, "U": RGB2, "V": fixture("rgb2_other")},
        {"Y": GRAY, "U": GRAY, "V": GRAY},
        {"Y": fixture("rgb2"), "U": fixture("rgb"), "V": RGB},
    ],
    "Morphology": [
        *({"image": fixture("even"), "operation": operation, "kernel_size": 3} for operation in MORPHOLOGY),
        *({"image": fixture("big"), "operation": operation, "kernel_size": 4} for operation in MORPHOLOGY),
        {"image": RGB2, "operation": "dilate", "kernel_size": 5},
        {"image": HDR, "operation": "erode", "kernel_size": 6},
        {"image": RGBA, "operation": "gradient", "kernel_size": 3},
        {"image": GRAY, "operation": "top_hat", "kernel_size": 9},
    ],
    "NormalizeImages": [
        {"images": RGB, "mean": 0.5, "std": 0.5},
        {"images": fixture("rgb", "tall", "rgb2"), "mean": 0.25, "std": 0.1},
        {"images": HDR, "mean": 0.0, "std": 1.0},
    ],
    "AdjustBrightness": [
        {"images": image, "factor": factor} for image in (RGB, HDR, RGBA) for factor in (0.0, 0.5, 1.7)
    ],
    "AdjustContrast": [{"images": image, "factor": factor} for image in (RGB, HDR, RGBA) for factor in (0.0, 0.5, 1.7)],
    "ImageCrop": [
        {"image": RGB, "width": 3, "height": 2, "x": 1, "y": 2},
        {"image": RGB2, "width": 512, "height": 512, "x": 0, "y": 0},
        {"image": RGB, "width": 3, "height": 3, "x": 100, "y": 100},
        {"image": RGBA, "width": 4, "height": 4, "x": 5, "y": 3},
    ],
    "ImageCropV2": [
        {"image": RGB, "crop_region": {"x": 1, "y": 2, "width": 3, "height": 2}},
        {"image": RGB2, "crop_region": fixture("box")},
        {"image": RGB, "crop_region": {"x": 100, "y": 100, "width": 3, "height": 3}},
        {"image": RGB, "crop_region": {"x": 0, "y": 0, "width": 50, "height": 50}},
        {"image": RGB, "crop_region": {"x": 2, "y": 1}},
        {"image": RGB, "crop_region": {}},
    ],
    "ImagePadForOutpaint": [
        {"image": RGB, "left": 2, "top": 1, "right": 3, "bottom": 4, "feathering": 0},
        {"image": fixture("big"), "left": 8, "top": 0, "right": 0, "bottom": 8, "feathering": 6},
        {"image": fixture("big"), "left": 3, "top": 3, "right": 3, "bottom": 3, "feathering": 15},
        {"image": RGB2, "left": 0, "top": 0, "right": 0, "bottom": 0, "feathering": 2},
        {"image": RGB, "left": 1, "top": 1, "right": 1, "bottom": 1, "feathering": 40},
        {"image": fixture("even"), "left": 1, "top": 0, "right": 1, "bottom": 0, "feathering": 3},
        {"image": fixture("even"), "left": 0, "top": 2, "right": 0, "bottom": 2, "feathering": 5},
        {"image": RGBA, "left": 1, "top": 0, "right": 1, "bottom": 0, "feathering": 0},
    ],
    "ImageFlip": [
        {"image": image, "flip_method": method}
        for image in (RGB, fixture("rgba2"))
        for method in ("x-axis: vertically", "y-axis: horizontally")
    ],
    "ImageRotate": [
        {"image": image, "rotation": rotation}
        for image in (RGB, fixture("rgba2"))
        for rotation in ("none", "90 degrees", "180 degrees", "270 degrees")
    ],
    "ImageStitch": [
        *(
            {
                "image1": RGB,
                "image2": other,
                "direction": direction,
                "match_image_size": match,
                "spacing_width": space,
                "spacing_color": color,
            }
            for direction in ("right", "down", "left", "up")
            for other, match, space, color in (
                (fixture("tall"), True, 0, "white"),
                (fixture("tall"), False, 3, "red"),
                (fixture("big"), True, 4, "green"),
                (fixture("wide2"), False, 0, "black"),
                (fixture("rgba2"), False, 0, "white"),
                (fixture("big"), False, 3, "white"),
                (fixture("wide2"), True, 1, "blue"),
            )
        ),
        {"image1": RGB, "direction": "right", "match_image_size": True, "spacing_width": 8, "spacing_color": "white"},
        {
            "image1": RGB,
            "image2": RGBA,
            "direction": "right",
            "match_image_size": True,
            "spacing_width": 2,
            "spacing_color": "red",
        },
        {
            "image1": RGBA,
            "image2": fixture("even"),
            "direction": "down",
            "match_image_size": False,
            "spacing_width": 2,
            "spacing_color": "black",
        },
        {
            "image1": fixture("even"),
            "image2": RGBA,
            "direction": "up",
            "match_image_size": False,
            "spacing_width": 0,
            "spacing_color": "black",
        },
        {
            "image1": fixture("rgb3"),
            "image2": fixture("rgb2"),
            "direction": "left",
            "match_image_size": False,
            "spacing_width": 5,
            "spacing_color": "white",
        },
    ],
    "CenterCropImages": [
        {"images": RGB, "width": 3, "height": 2},
        {"images": fixture("rgb", "tall", "big"), "width": 4, "height": 4},
        {"images": RGB2, "width": 512, "height": 512},
        {"images": fixture("big"), "width": 20, "height": 9},
        {"images": RGBA, "width": 2, "height": 100},
    ],
    "RandomCropImages": [
        *({"images": fixture("big"), "width": 20, "height": 9, "seed": seed} for seed in SEEDS),
        {"images": fixture("rgb", "big"), "width": 4, "height": 4, "seed": 11},
        {"images": RGB2, "width": 512, "height": 512, "seed": 1},
        {"images": RGB2, "width": 3, "height": 3, "seed": 1},
    ],
    "GetImageSize": [{"image": image} for image in (RGB, fixture("rgb3"), RGBA, fixture("tall"))],
    "ImageCompositeMasked": [
        {"destination": fixture("big"), "source": RGB, "x": 3, "y": 4, "resize_source": False},
        {"destination": fixture("big"), "source": RGB, "x": 3, "y": 4, "resize_source": False, "mask": MASK},
        {"destination": fixture("big"), "source": RGB2, "x": 44, "y": 30, "resize_source": False, "mask": MASK2},
        {"destination": RGB, "source": fixture("big"), "x": 0, "y": 0, "resize_source": True, "mask": MASK},
        {
            "destination": RGB,
            "source": fixture("big"),
            "x": 2,
            "y": 1,
            "resize_source": False,
            "mask": fixture("mask_big"),
        },
        {"destination": RGB2, "source": fixture("tall"), "x": 0, "y": 0, "resize_source": True},
        {"destination": RGB, "source": RGBA, "x": 1, "y": 1, "resize_source": False},
        {"destination": RGBA, "source": RGB, "x": 1, "y": 1, "resize_source": False, "mask": MASK},
        {"destination": RGB, "source": RGB, "x": 100, "y": 100, "resize_source": False},
        {
            "destination": fixture("rgb3"),
            "source": RGB2,
            "x": 0,
            "y": 0,
            "resize_source": False,
            "mask": fixture("mask_flat"),
        },
        {"destination": RGB, "source": RGB2, "x": 0, "y": 2, "resize_source": False, "mask": MASK2},
        {
            "destination": fixture("even"),
            "source": RGB,
            "x": 0,
            "y": 0,
            "resize_source": False,
            "mask": fixture("mask_small"),
        },
    ],
    "PorterDuffImageComposite": [
        *(
            {
                "source": RGB,
                "source_alpha": MASK,
                "destination": fixture("rgb_other"),
                "destination_alpha": fixture("mask_other"),
                "mode": mode,
            }
            for mode in PORTER_DUFF_MODES
        ),
        {
            "source": fixture("big"),
            "source_alpha": fixture("mask_small"),
            "destination": RGB,
            "destination_alpha": fixture("mask_big"),
            "mode": "SRC_OVER",
        },
        {"source": RGB2, "source_alpha": MASK2, "destination": RGB, "destination_alpha": MASK, "mode": "XOR"},
        {"source": HDR, "source_alpha": MASK, "destination": RGB, "destination_alpha": MASK, "mode": "OVERLAY"},
        {"source": RGBA, "source_alpha": MASK, "destination": RGB, "destination_alpha": MASK, "mode": "ADD"},
        {"source": RGB, "source_alpha": MASK, "destination": RGBA, "destination_alpha": MASK, "mode": "DST_OVER"},
    ],
    "JoinImageWithAlpha": [
        {"image": RGB, "alpha": MASK},
        {"image": RGBA, "alpha": fixture("mask_small")},
        {"image": RGB2, "alpha": MASK},
        {"image": fixture("rgb3"), "alpha": MASK2},
        {"image": RGB, "alpha": fixture("mask_big")},
        {"image": RGB, "alpha": MASK2},
    ],
    "SplitImageWithAlpha": [{"image": image} for image in (RGB, RGBA, fixture("rgba2"))],
}
