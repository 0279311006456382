"""Golden cases of the nodes that make and change masks."""

from __future__ import annotations

from tests.runtime.pack.fixtures import fixture

MASK, MASK2, FLAT, BIG, DOTS = (fixture(n) for n in ("mask", "mask2", "mask_flat", "mask_big", "mask_dots"))

CASES = {
    "SolidMask": [
        {"value": 1.0, "width": 4, "height": 3},
        {"value": 0.3, "width": 1, "height": 5},
        {"value": 0, "width": 2, "height": 2},
    ],
    "InvertMask": [{"mask": mask} for mask in (MASK, MASK2, FLAT)],
    "CropMask": [
        {"mask": MASK, "x": 1, "y": 2, "width": 3, "height": 2},
        {"mask": MASK2, "x": 0, "y": 0, "width": 512, "height": 512},
        {"mask": FLAT, "x": 4, "y": 1, "width": 9, "height": 2},
        {"mask": MASK, "x": 100, "y": 0, "width": 5, "height": 5},
    ],
    "MaskComposite": [
        *(
            {"destination": MASK, "source": fixture("mask_other"), "x": x, "y": y, "operation": operation}
            for operation in ("multiply", "add", "subtract", "and", "or", "xor")
            for x, y in ((0, 0), (3, 2))
        ),
        {"destination": BIG, "source": MASK, "x": 39, "y": 23, "operation": "add"},
        {"destination": MASK2, "source": MASK, "x": 1, "y": 1, "operation": "multiply"},
        {"destination": FLAT, "source": FLAT, "x": 2, "y": 0, "operation": "subtract"},
        {"destination": MASK, "source": fixture("mask_thirds"), "x": 0, "y": 0, "operation": "xor"},
        {"destination": fixture("mask_thirds"), "source": fixture("mask_thirds"), "x": 0, "y": 0, "operation": "and"},
        {"destination": MASK, "source": MASK2, "x": 0, "y": 0, "operation": "add"},
        {"destination": MASK, "source": MASK, "x": 100, "y": 100, "operation": "add"},
    ],
    "FeatherMask": [
        {"mask": BIG, "left": 5, "top": 4, "right": 3, "bottom": 2},
        {"mask": MASK2, "left": 0, "top": 0, "right": 0, "bottom": 0},
        {"mask": MASK, "left": 100, "top": 0, "right": 0, "bottom": 100},
        {"mask": FLAT, "left": 1, "top": 2, "right": 7, "bottom": 5},
    ],
    "GrowMask": [
        *({"mask": DOTS, "expand": expand, "tapered_corners": t} for expand in (1, 2, 3, -1, 0) for t in (True, False)),
        *({"mask": BIG, "expand": expand, "tapered_corners": t} for expand in (2, -2) for t in (True, False)),
        {"mask": MASK2, "expand": 1, "tapered_corners": True},
        {"mask": FLAT, "expand": 1, "tapered_corners": False},
        {"mask": MASK, "expand": 50, "tapered_corners": True},
        {"mask": MASK, "expand": -50, "tapered_corners": True},
    ],
    "ThresholdMask": [
        {"mask": MASK, "value": 0.5},
        {"mask": fixture("mask_thirds"), "value": 0.5},
        {"mask": MASK2, "value": 0.0},
        {"mask": FLAT, "value": 1.0},
    ],
    "MaskToImage": [{"mask": mask} for mask in (MASK, MASK2, FLAT)],
    "ImageToMask": [
        {"image": image, "channel": channel}
        for image in (fixture("rgb"), fixture("rgba2"))
        for channel in ("red", "green", "blue", "alpha")
    ],
    "ImageColorToMask": [
        *(
            {"image": fixture("colors"), "color": color}
            for color in (0xFF0000, 0x00FF00, 0, 0xFFFFFF, 0x7F3F1F, 0x804020)
        ),
        {"image": fixture("rgb2"), "color": 0x102030},
        {"image": fixture("rgba"), "color": 0},
        {"image": fixture("hdr"), "color": 0xFF00FF},
    ],
}
