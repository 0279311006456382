"""Nodes that hold a value, choose it from a list or turn it into another kind of value."""

from __future__ import annotations

import math
from typing import Any

from discomfort.runtime.engines.embedded.pack.protocol import node

MEGAPIXEL = 1024 * 1024


def _same(value: Any) -> tuple[Any]:
    """Give the value."""
    return (value,)


for _name in ("PrimitiveInt", "PrimitiveFloat", "PrimitiveString", "PrimitiveStringMultiline", "PrimitiveBoolean"):
    node(_name)(_same)


@node("SeedNode")
def seed_node(seed: int) -> tuple[int]:
    """Give the seed."""
    return (seed,)


@node("PrimitiveBoundingBox")
def primitive_bounding_box(x: int, y: int, width: int, height: int) -> tuple[dict[str, int]]:
    """Give a box."""
    return ({"x": x, "y": y, "width": width, "height": height},)


@node("CustomCombo", ACCEPT_ALL_INPUTS=True, VALIDATE_INPUTS=lambda choice: True)
def custom_combo(choice: str, index: int = 0, **options: Any) -> tuple[str, int]:
    """Give the option chosen in the editor and its place; the options themselves do not matter here."""
    return choice, index


@node("ResolutionSelector")
def resolution_selector(aspect_ratio: str, megapixels: float, multiple: int) -> tuple[int, int]:
    """Give the sides, in whole multiples, of an image of so many times 1024×1024 pixels."""
    across, down = (int(part) for part in aspect_ratio.split()[0].split(":"))
    unit = math.sqrt(megapixels * MEGAPIXEL / (across * down))
    return round(across * unit / multiple) * multiple, round(down * unit / multiple) * multiple


@node("ColorToRGBInt")
def color_to_rgb_int(color: str) -> tuple[int, str, float]:
    """Read #RRGGBB or #RRGGBBAA into a number, #RRGGBB and an opacity.

    As in ComfyUI a number that Python reads as a whole but not in pairs (12_456) counts as white.
    """
    if len(color) not in (7, 9) or not color.startswith("#"):
        raise ValueError(f"a colour is written #RRGGBB or #RRGGBBAA, not {color!r}")
    int(color[1:], 16)  # raises for what is not a number
    try:
        red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    except ValueError:
        red = green = blue = 255
    opacity = int(color[7:], 16) / 255 if len(color) == 9 else 1.0
    return (red << 16) + (green << 8) + blue, color[:7], opacity
