"""What is drawn for the inputs of each class: from their declared types, and by hand where that is not enough."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from discomfort.runtime.engines.embedded.pack.protocol import facts
from tests.runtime.pack.fuzz.values import PATTERNS, PREFIXES, REPLACEMENTS, Draw


class Linked(list[Any]):
    """Values that arrive over a link, one after the other; other drawn values are literals of the prompt."""


class Output(dict[str, Any]):
    """The first output of another node of the pack: its class and literals."""


Recipe = Callable[[Draw], Any]
Options = Mapping[str, Any]

SIZES = frozenset(
    {
        "width", "height", "batch_size", "target_width", "target_height", "largest_size", "longer_edge", "shorter_edge",
        "longer_size", "shorter_size", "final_width", "final_height", "cell_width", "cell_height", "amount", "length",
        "left", "top", "right", "bottom", "layers", "columns", "padding", "spacing_width", "blur_radius", "steps",
        "sharpen_radius", "kernel_size", "grow_mask_by", "multiple", "resolution_steps", "expand", "compression",
    }
)  # fmt: skip
"""Inputs that memory or time grows with; only small values are drawn for them."""


def link(*values: Any) -> Linked:
    return Linked(values)


def integer(draw: Draw, name: str, options: Options) -> Any:
    """Return an INT: mostly within its bounds, over a link also beyond them."""
    least, most = int(options.get("min", -20)), int(options.get("max", 20))
    if name in SIZES:
        most = min(most, max(least, -20) + 40)
        least = max(least, -20)
    near = min(most, max(least, 0) + 30)
    value = draw.pick((draw.integer(max(least, -30), near),) * 6 + (least, most, draw.integer(least, most)))
    if draw.chance(0.1):
        beyond = (-1, 0, -3, least - 1, near + 7) if name in SIZES else (-1, 0, -7, least - 1, most + 1, 10**6)
        return link(draw.pick(beyond))
    return link(value) if draw.chance(0.15) else value


def floating(draw: Draw, name: str, options: Options) -> Any:
    """Return a FLOAT: mostly within its bounds, over a link also beyond them."""
    least, most = float(options.get("min", -20.0)), float(options.get("max", 20.0))
    near = min(most, max(least, 0.0) + 4.0)
    value = draw.pick(
        (draw.number(max(least, -30.0), near),) * 6 + (least, min(most, 30.0), options.get("default", near))
    )
    if draw.chance(0.08):
        return link(draw.pick((-1.0, 0.0, near + 1.5, 1, least - 0.5)))
    return link(value) if draw.chance(0.1) else value


def choice(draw: Draw, options: list[Any]) -> Any:
    value = draw.pick(options) if options else ""
    return link(draw.pick((value, value, "nonsense"))) if draw.chance(0.05) else value


def several(draw: Draw, one: Recipe) -> Linked:
    """Return one value, now and then several, over a link."""
    return Linked(one(draw) for _ in range(draw.pick((2, 3)) if draw.chance(0.07) else 1))


def by_type(draw: Draw, name: str, spec: Any) -> Any:
    """Draw a value for an input from its declaration."""
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    if isinstance(kind, list):
        return choice(draw, kind)
    if kind == "COMBO":
        return choice(draw, options.get("options", []))
    if kind in ("COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3"):
        return grown(draw, name, options) if "template" in options else chosen(draw, name, options)
    simple: dict[str, Recipe] = {
        "INT": lambda draw: integer(draw, name, options),
        "FLOAT": lambda draw: floating(draw, name, options),
        "STRING": lambda draw: link(draw.text()) if draw.chance(0.2) else draw.text(),
        "BOOLEAN": lambda draw: link(draw.pick((True, False, 1, 0, None))) if draw.chance(0.1) else draw.chance(0.5),
        "IMAGE": lambda draw: several(draw, Draw.image),
        "MASK": lambda draw: several(draw, Draw.mask),
        "LATENT": lambda draw: several(draw, Draw.latent),
        "SIGMAS": lambda draw: several(draw, Draw.sigmas),
        "IMAGE,MASK": lambda draw: link(draw.image() if draw.chance(0.5) else draw.mask()),
        "VAE": lambda draw: Output(class_type="VAELoader", inputs={"vae_name": "pixel_space"}),
        "FLOAT,INT,BOOLEAN": lambda draw: link(draw.pick((draw.integer(-9, 9), draw.number(-5, 5), draw.chance(0.5)))),
        "INT,FLOAT,STRING,BOOLEAN": lambda draw: link(draw.pick((*NUMBERS, draw.integer(-(10**6), 10**6), True, 0.5))),
        "DICT": lambda draw: link(draw.pick(DICTIONARIES)),
        "ARRAY": lambda draw: link(draw.pick(ARRAYS)),
        "BOUNDING_BOX": box,
        "COLOR": lambda draw: draw.pick(COLORS),
        "IMAGECOMPARE": lambda draw: {"__value__": ["", ""]},
    }
    if kind in simple:
        return simple[kind](draw)
    if kind in ("*", "COMFY_MATCHTYPE_V3"):
        if (options.get("template") or {}).get("allowed_types") == "IMAGE,MASK":
            return link(draw.image() if draw.chance(0.6) else draw.mask())
        return several(draw, Draw.anything)
    raise LookupError(f"no recipe for {name}: {spec}")


def grown(draw: Draw, name: str, options: Options) -> dict[str, Any]:
    """Return values for an input that grows, as `name.image0`, `name.image1` …"""
    template = options["template"]
    count = draw.pick((1, 1, 2, 2, 3, 4))
    if "names" in template:
        keys = template["names"][:count] if draw.chance(0.8) else draw.random.sample(template["names"], count)
        count = len(keys) if template["min"] or draw.chance(0.9) else 0
        inner = next(iter(template["input"]["required"].values()))
    else:
        ((_, inner),) = template["input"]["required"].items()
        keys = [f"{template['prefix']}{number}" for number in range(count)]
        if draw.chance(0.2):
            draw.random.shuffle(keys)
    return {f"{name}.{key}": by_type(draw, key, inner) for key in keys[:count]}


def chosen(draw: Draw, name: str, options: Options) -> dict[str, Any]:
    """Return a choice and the inputs that come with it, as `name`, `name.width` …"""
    option = draw.pick(options["options"])
    inner = {**option["inputs"].get("required", {}), **option["inputs"].get("optional", {})}
    return {name: option["key"], **{f"{name}.{key}": by_type(draw, key, spec) for key, spec in inner.items()}}


def box(draw: Draw) -> Any:
    values = {key: draw.integer(0, 25) for key in ("x", "y")} | {
        key: draw.integer(1, 25) for key in ("width", "height")
    }
    if draw.chance(0.15):
        values.pop(draw.pick(list(values)))
    if draw.chance(0.15):
        values[draw.pick(list(values))] = draw.pick((-3, 0, 1000))
    return link(values) if draw.chance(0.3) else values


NUMBERS = (
    "1", "-3", " 4.5 ", "1e3", "", "abc", "0x10", "1_000", "inf", "nan", "٣", "+7", "--1", "1e400", "9" * 25, "-0",
    ".5", "1,5", "²", "True", float("nan"), float("inf"), 10**25, -0.0, 2.5, -2.5, 1e300, False,
)  # fmt: skip
DICTIONARIES: tuple[Any, ...] = (
    {}, {"a": 1}, {"ü": [1, 2.5, None]}, {"deep": {"b": True}}, {1: 2}, {"n": float("nan")}, {"s": {1}}, {"t": (1, 2)},
    {(1, 2): 3}, {"b": b"x"},
)  # fmt: skip
ARRAYS: tuple[Any, ...] = (
    [],
    [1, "two", 3.5, None, True],
    [[1], {"a": "ü"}],
    [float("inf")],
    ["x"],
    [{1}],
    [b"x"],
    (1, 2),
)
COLORS = (
    "#ffffff", "#00000080", "#FFaa00", "#12345", "ffffff", "", "#gggggg", "#1234567890", "#+12345", "#fff", " #ffffff",
    "#12_456", "#ffffff00", "#FFFFFFFF",
)  # fmt: skip
EXPRESSIONS = (
    "a + b", "a", "a * 2 - 1", "a / b", "a // b", "a % b", "a ** 2", "-a", "+a", "not a", "~a", "a if b else 0",
    "max(a, b)", "min(values)", "sum(values)", "sum(a, b)", "round(a, 1)", "round(a)", "sqrt(a)", "sin(a) + cos(a)",
    "floor(a)", "ceil(a)", "abs(a)", "int(a)", "float(a)", "log(a)", "log2(a)", "log10(a)", "tan(a)", "pow(a, 2)",
    "a > b", "1 < a < 5", "a == b", "a and b", "a or b", "a in values", "values[0]", "len(values)", "a & 3", "a | 1",
    "a ^ 1", "a << 2", "a >> 1", "'x' * 3", "", " ", "a b", "x", "a; b", "y = a", "[a, b]", "(a, b)", "{a: b}", "1e400",
    "9 ** 99", "a.real", "a.imag", "a.conjugate()", "10 ** 400", "True", "None", "'1'", "1/0", "a is b", "a @ b",
    "sum([a, b])", "max([a, b])", "[x for x in values]", "lambda: 1", "pi", "e", "a\n+ b", "  a", "int('7')", "f'{a}'",
    "values[-1]", "values[99]", "values[0:1]", "sum(values) / 2", "min(a)", "max()", "round(a, b)", "inf", "1_000",
    "0x1f", "a += 1", "if a: b", "import os", "a.__class__", "sum(*values)", "pow(a, b, 3)", "a not in values",
)  # fmt: skip
FORMATS = (
    "{a}", "{a} {b}", "{a:.2f}", "{a!r}", "{}", "{0}", "{z}", "{{a}}", "{a", "a}", "", "{a:>8}", "{a:d}", "{a[0]}",
    "{a.real}", "{a:x}", "{a!s:>5}", "{a:{b}}", "text", "{a[key]}", "{a.__class__}", "{a:,}", "{a:%}", "{values}",
)  # fmt: skip
JSON_TEXTS = (
    '{"a": 1}', '{"a": null}', '{"a": true}', '{"a": [1, 2.5]}', '{"a": {"b": "ü"}}', '{"a": ""}', "[1]", "1", "null",
    "",
    "{", '{"a": 1e400}', '{"a": NaN}', '{"a": 1, "a": 2}', '"a"', '{"b": 1}', ' {"a": "x"} ', "{'a': 1}", '{"": 5}',
    '{"a": 0}', '{"a": false}', "true", '["a"]',
)  # fmt: skip
SIGMA_TEXTS = (
    "1, 0.5",
    "",
    "1 2 3",
    "a1b2",
    "-1.5,+2",
    "1e3",
    "1..5",
    ".5",
    "1.",
    "½",
    "٣",
    "1,,2",
    "--3",
    "1-2",
    "0x10",
)


def split_tiles(draw: Draw) -> dict[str, Any]:
    def size() -> int:
        return draw.integer(30, 170)

    def tile() -> Any:
        return draw.integer(64, 90) if draw.chance(0.8) else link(draw.integer(3, 63))

    shape = (draw.pick((1, 1, 2)), size(), size(), draw.base_channels)
    return {
        "image": link(draw.tensor(*shape)),
        "tile_width": tile(),
        "tile_height": tile(),
        "overlap": draw.pick((0, 8, 66, draw.integer(0, 90), draw.integer(0, 60), 4096)),
    }


def merge_tiles(draw: Draw) -> dict[str, Any]:
    """Tiles as they come from a split with the same sizes, or a list that does not fit."""
    height, width = draw.integer(64, 150), draw.integer(64, 150)
    rows, columns, overlap = draw.integer(40, 90), draw.integer(40, 90), draw.pick((0, 1, 8, draw.integer(0, 60), 300))
    count = 0
    for size, tile in ((height, rows), (width, columns)):
        stride = max(round(tile / 4), tile - overlap)
        many = 1 if size <= tile else -(-(size - tile) // stride) + 1
        count = many if not count else count * many
    shape = (min(rows, height), min(columns, width))
    count = min(40, max(1, count + (draw.pick((-1, 1)) if draw.chance(0.1) else 0)))
    batch, channels = draw.pick((1, 1, 2)), draw.base_channels
    tiles = [draw.tensor(batch, *shape, channels) for _ in range(count)]
    if draw.chance(0.1):
        tiles[-1] = draw.tensor(batch, draw.integer(20, 90), draw.integer(20, 90), channels)
    sizes = {"final_width": width, "final_height": height, "overlap": overlap}
    return {
        "image_list": Linked(tiles),
        **{key: link(value) if draw.chance(0.2) else value for key, value in sizes.items()},
    }


def video_frames(draw: Draw) -> dict[str, Any]:
    inputs: dict[str, Any] = {"destination": link(draw.latent(video=draw.chance(0.9))), "index": draw.integer(-12, 8)}
    if draw.chance(0.9):
        inputs["source"] = link(draw.latent(video=draw.chance(0.9)))
    return inputs


def as_encoded(draw: Draw) -> dict[str, Any]:
    """Return a latent of the pixel-space VAE, mostly with three channels."""
    draw.latent_channels = 3 if draw.chance(0.8) else draw.latent_channels
    return draw.latent()


def custom_combo(draw: Draw) -> dict[str, Any]:
    inputs: dict[str, Any] = {"choice": draw.pick(("one", "two", "", "ü"))}
    if draw.chance(0.7):
        inputs["index"] = draw.integer(-1, 5)
    return inputs | {f"option{number}": draw.text() for number in range(1, draw.integer(1, 4))}


def rebatched(draw: Draw) -> Linked:
    return Linked(draw.latent() for _ in range(draw.integer(1, 4)))


def with_prefix(draw: Draw) -> Any:
    return draw.pick(PREFIXES)


WHOLE: dict[str, Callable[[Draw], dict[str, Any]]] = {
    "SplitImageToTileList": split_tiles,
    "ImageMergeTileList": merge_tiles,
    "ReplaceVideoLatentFrames": video_frames,
    "CustomCombo": custom_combo,
}
"""Recipes for all inputs of a class at once."""

INPUTS: dict[tuple[str, str], Recipe] = {
    ("RebatchLatents", "latents"): rebatched,
    ("RebatchImages", "images"): lambda draw: Linked(draw.image() for _ in range(draw.integer(1, 4))),
    ("MergeImageLists", "images"): lambda draw: Linked(draw.image() for _ in range(draw.integer(1, 4))),
    ("ShuffleDataset", "images"): lambda draw: Linked(draw.image() for _ in range(draw.integer(1, 4))),
    ("ImageGrid", "images"): lambda draw: Linked(draw.image() for _ in range(draw.integer(1, 5))),
    ("MergeTextLists", "texts"): lambda draw: Linked(draw.text() for _ in range(draw.integer(1, 4))),
    ("TrimVideoLatent", "samples"): lambda draw: several(draw, lambda draw: draw.latent(video=draw.chance(0.9))),
    ("VAEDecode", "samples"): lambda draw: several(draw, as_encoded),
    ("VAEDecodeTiled", "samples"): lambda draw: several(draw, as_encoded),
    ("VAELoader", "vae_name"): lambda draw: "pixel_space",
    ("RegexMatch", "regex_pattern"): lambda draw: draw.pick(PATTERNS),
    ("RegexExtract", "regex_pattern"): lambda draw: draw.pick(PATTERNS),
    ("RegexReplace", "regex_pattern"): lambda draw: draw.pick(PATTERNS),
    ("RegexReplace", "replace"): lambda draw: draw.pick(REPLACEMENTS),
    ("RegexExtract", "group_index"): lambda draw: draw.integer(0, 4),
    ("StringFormat", "f_string"): lambda draw: draw.pick(FORMATS),
    ("JsonExtractString", "json_string"): lambda draw: draw.pick(JSON_TEXTS),
    ("JsonExtractString", "key"): lambda draw: draw.pick(("a", "a", "b", "")),
    ("ComfyMathExpression", "expression"): lambda draw: draw.pick(EXPRESSIONS),
    ("ManualSigmas", "sigmas"): lambda draw: draw.pick(SIGMA_TEXTS),
    ("ImageColorToMask", "color"): lambda draw: draw.pick((0, 0xFFFFFF, 0x808080, 0x404040, draw.integer(0, 0xFFFFFF))),
    ("SaveImage", "filename_prefix"): with_prefix,
    ("SaveLatent", "filename_prefix"): with_prefix,
    ("SaveText", "filename_prefix"): with_prefix,
    ("SaveText", "text"): lambda draw: link(draw.pick((draw.text(), draw.pick(JSON_TEXTS)))),
    ("ImageAddNoise", "seed"): lambda draw: draw.pick((0, 1, 2**32, 2**63, 2**64 - 1, draw.integer(0, 2**64 - 1))),
    ("ShuffleDataset", "seed"): lambda draw: draw.pick((0, 2**32 - 1, 2**32, 2**64 - 1, draw.integer(0, 2**64 - 1))),
    ("RandomCropImages", "seed"): lambda draw: draw.pick((0, 2**32 - 1, 2**32, 2**64 - 1, draw.integer(0, 2**64 - 1))),
    ("ImageScaleToTotalPixels", "megapixels"): lambda draw: draw.pick((0.01, 0.02, draw.number(0.01, 0.05))),
    ("LatentUpscale", "width"): lambda draw: draw.pick((0, 8, 64, draw.integer(0, 30) * 8, draw.integer(0, 200))),
    ("LatentUpscale", "height"): lambda draw: draw.pick((0, 8, 64, draw.integer(0, 30) * 8, draw.integer(0, 200))),
    **{
        (name, side): lambda draw: draw.integer(0, 26) * 8
        for name in ("LatentComposite", "LatentCompositeMasked", "LatentCrop")
        for side in ("x", "y")
    },
    ("LatentComposite", "feather"): lambda draw: draw.pick((0, 0, 8, 16, draw.integer(0, 200))),
}
"""Recipes for single inputs."""


def inputs_of(class_type: str, draw: Draw) -> dict[str, Any]:
    """Draw the inputs of a class by their keys in a prompt."""
    if class_type in WHOLE:
        return WHOLE[class_type](draw)
    declared = facts()[class_type]["input"]
    inputs: dict[str, Any] = {}
    for group in ("required", "optional"):
        for name, spec in declared.get(group, {}).items():
            if group == "optional" and draw.chance(0.35):
                continue
            recipe = INPUTS.get((class_type, name))
            value = recipe(draw) if recipe else by_type(draw, name, _tamed(class_type, spec))
            inputs.update(value if _is_expanded(spec) else {name: value})
    return inputs


def _is_expanded(spec: Any) -> bool:
    return spec[0] in ("COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3")


def _tamed(class_type: str, spec: Any) -> Any:
    """Return a declaration whose megapixels are few."""
    if class_type != "ResizeImageMaskNode" or spec[0] != "COMFY_DYNAMICCOMBO_V3":
        return spec
    text = json.dumps(spec)
    return json.loads(text.replace('"min": 0.01, "max": 16.0', '"min": 0.01, "max": 0.03'))
