"""Golden cases of the nodes that change the size of images."""

from __future__ import annotations

from tests.runtime.pack.fixtures import fixture

METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
SIZES = [(14, 10), (3, 2), (7, 5), (11, 4), (1, 9)]
RGB, RGBA, RGB2, BIG = (fixture(name) for name in ("rgb", "rgba", "rgb2", "big"))


def scaled(image: object, method: str, width: int, height: int, crop: str) -> dict[str, object]:
    return {"image": image, "upscale_method": method, "width": width, "height": height, "crop": crop}


def resized(image: object, kind: str, method: str = "area", **options: object) -> dict[str, object]:
    nested = {f"resize_type.{name}": value for name, value in options.items()}
    return {"input": image, "resize_type": kind, **nested, "scale_method": method}


CASES = {
    "ImageScale": [
        *(scaled(RGB, method, *size, "disabled") for method in METHODS for size in SIZES),
        *(scaled(BIG, method, 9, 21, "center") for method in METHODS),
        *(scaled(RGBA, method, 10, 6, "center") for method in METHODS),
        *(scaled(fixture("hdr"), method, 9, 6, "disabled") for method in METHODS),
        scaled(RGB2, "bicubic", 21, 0, "disabled"),
        scaled(RGB2, "bicubic", 0, 3, "center"),
        scaled(RGB2, "lanczos", 0, 0, "disabled"),
        scaled(fixture("gray"), "bilinear", 9, 9, "disabled"),
    ],
    "ImageScaleBy": [
        *(
            {"image": image, "upscale_method": method, "scale_by": factor}
            for image, factor in ((RGB, 1.5), (RGBA, 0.3), (BIG, 0.77))
            for method in METHODS
        ),
        {"image": RGB2, "upscale_method": "bilinear", "scale_by": 1.0},
        {"image": RGB, "upscale_method": "area", "scale_by": 0.01},
    ],
    "ImageScaleToTotalPixels": [
        {"image": BIG, "upscale_method": "area", "megapixels": 0.01, "resolution_steps": 1},
        {"image": RGB, "upscale_method": "bilinear", "megapixels": 0.01, "resolution_steps": 8},
        {"image": fixture("tall"), "upscale_method": "lanczos", "megapixels": 0.01, "resolution_steps": 3},
        {"image": RGB2, "upscale_method": "nearest-exact", "megapixels": 0.02, "resolution_steps": 64},
        {"image": fixture("pixel"), "upscale_method": "bicubic", "megapixels": 0.01, "resolution_steps": 16},
        {"image": fixture("wide"), "upscale_method": "bicubic", "megapixels": 0.01, "resolution_steps": 256},
    ],
    "ImageScaleToMaxDimension": [
        *({"image": BIG, "upscale_method": method, "largest_size": 20} for method in METHODS),
        {"image": fixture("tall"), "upscale_method": "area", "largest_size": 31},
        {"image": RGB2, "upscale_method": "bilinear", "largest_size": 7},
        {"image": fixture("even"), "upscale_method": "bilinear", "largest_size": 13},
        {"image": RGB, "upscale_method": "bilinear", "largest_size": 0},
    ],
    "ResizeAndPadImage": [
        *(
            {"image": image, "target_width": width, "target_height": height, "padding_color": color, "interpolation": m}
            for m in METHODS
            for image, width, height, color in ((RGB, 12, 12, "white"), (BIG, 9, 30, "black"))
        ),
        {"image": RGB2, "target_width": 7, "target_height": 5, "padding_color": "black", "interpolation": "area"},
        {"image": RGBA, "target_width": 20, "target_height": 6, "padding_color": "white", "interpolation": "bicubic"},
        {"image": BIG, "target_width": 3, "target_height": 20, "padding_color": "white", "interpolation": "lanczos"},
    ],
    "ResizeImagesByShorterEdge": [
        {"images": RGB, "shorter_edge": 9},
        {"images": fixture("big", "tall", "rgb2"), "shorter_edge": 6},
        {"images": fixture("even"), "shorter_edge": 8},
        {"images": RGBA, "shorter_edge": 3},
    ],
    "ResizeImagesByLongerEdge": [
        {"images": RGB, "longer_edge": 9},
        {"images": fixture("big", "tall", "rgb2"), "longer_edge": 11},
        {"images": fixture("even"), "longer_edge": 10},
        {"images": RGBA, "longer_edge": 3},
    ],
    "ResizeImageMaskNode": [
        *(
            resized(image, "scale dimensions", method, width=11, height=4, crop=crop)
            for image in (RGB, fixture("mask2"))
            for method in METHODS
            for crop in ("disabled", "center")
        ),
        resized(RGB, "scale dimensions", width=0, height=10, crop="disabled"),
        resized(RGB, "scale dimensions", width=13, height=0, crop="center"),
        resized(RGB, "scale dimensions", width=0, height=0, crop="center"),
        resized(RGBA, "scale dimensions", "lanczos", width=9, height=9, crop="center"),
        resized(RGB2, "scale by multiplier", "bicubic", multiplier=1.7),
        resized(fixture("mask"), "scale by multiplier", "lanczos", multiplier=0.5),
        resized(RGB, "scale by multiplier", multiplier=0.01),
        *(resized(i, "scale longer dimension", "bilinear", longer_size=13) for i in (RGB, fixture("tall"), BIG)),
        *(resized(i, "scale shorter dimension", "bilinear", shorter_size=13) for i in (RGB, fixture("tall"), BIG)),
        resized(fixture("even"), "scale longer dimension", longer_size=0),
        resized(fixture("even"), "scale shorter dimension", shorter_size=0),
        resized(BIG, "scale width", "lanczos", width=20),
        resized(fixture("mask_big"), "scale width", width=17),
        resized(RGB, "scale width", width=0),
        resized(BIG, "scale height", "area", height=20),
        resized(fixture("mask_flat"), "scale height", "bilinear", height=17),
        resized(RGB, "scale height", height=0),
        resized(BIG, "scale total pixels", "area", megapixels=0.01),
        resized(RGB, "scale total pixels", "bicubic", megapixels=0.01),
        resized(RGB, "match size", "bicubic", match=BIG, crop="center"),
        resized(BIG, "match size", "area", match=fixture("mask2"), crop="disabled"),
        resized(fixture("mask_big"), "match size", "bilinear", match=RGB, crop="center"),
        *(resized(BIG, "scale to multiple", method, multiple=8) for method in METHODS),
        resized(RGB2, "scale to multiple", multiple=3),
        resized(RGB, "scale to multiple", multiple=8),
        resized(fixture("mask_big"), "scale to multiple", multiple=16),
        resized(BIG, "scale to multiple", multiple=1),
        resized(RGB, "scale to multiple", multiple=6),
        resized(fixture("wide"), "scale to multiple", "bicubic", multiple=5),
        resized(fixture("tall"), "scale to multiple", "bicubic", multiple=2),
    ],
}
