"""Golden cases of the nodes that read and write files."""

from __future__ import annotations

from tests.runtime.pack.fixtures import fixture, output

IMAGES = [
    "rgb.png",
    "rgba.png",
    "gray.png",
    "gray_alpha.png",
    "gray16.png",
    "rgb.tiff",
    "bilevel.png",
    "palette.png",
    "palette_transparent.png",
    "rotated.png",
    "animated.webp",
    "animated.gif",
    "gray.jpg",
    "folder/inside.png",
    "lossless.webp",
    "rgb.bmp",
    "cmyk.jpg",
    "cut.png",
]
PREFIXES = [
    "ComfyUI",
    "%width%x%height%",
    "sub/folder/name",
    "%year%%month%%day%_x",
    "%batch_num%_y",
    "trailing/",
    "../outside",
    "x%unknown%y",
    "sp ace ü",
]

CASES = {
    "LoadImage": [{"image": name} for name in IMAGES],
    "LoadImageMask": [
        {"image": name, "channel": channel}
        for name in ("rgb.png", "rgba.png", "gray.png", "gray16.png", "palette_transparent.png", "rotated.png")
        for channel in ("alpha", "red", "green", "blue")
    ],
    "LoadImageOutput": [
        {"image": name + " [output]", "$files": {f"output/{name}": name}} for name in ("rgb.png", "rgba.png")
    ],
    "SaveImage": [
        *({"images": fixture("rgb2"), "filename_prefix": prefix} for prefix in PREFIXES),
        *({"images": fixture(name), "filename_prefix": "a"} for name in ("hdr", "rgba", "smooth")),
        {"images": fixture("rgb"), "filename_prefix": "c", "$files": {"output/c_00007_.png": "rgb.png"}},
        {"images": fixture("rgb"), "filename_prefix": "c", "$files": {"output/c_extra_00007_.png": "rgb.png"}},
        {"images": fixture("rgb"), "filename_prefix": "c", "$files": {"output/C_00004_.png": "rgb.png"}},
        {"images": fixture("rgb"), "filename_prefix": "c", "$files": {"output/c_xyz_.png": "rgb.png"}},
        {"images": fixture("rgb"), "filename_prefix": "c", "$files": {"output/c_12.txt": "rgb.png"}},
        {"images": fixture("rgb", "tall"), "filename_prefix": "many"},
        *({"images": fixture("rgb2"), "filename_prefix": prefix} for prefix in ("", ".", "a/./b", "%%width%%")),
    ],
    "PreviewImage": [{"images": fixture(name)} for name in ("rgb", "rgb3", "rgba")],
    "MaskPreview": [{"mask": fixture(name)} for name in ("mask", "mask2", "mask_flat")],
    "ImageCompare": [
        {"compare_view": {"__value__": ["", ""]}, "image_a": fixture("rgb"), "image_b": fixture("rgb2")},
        {"compare_view": {"__value__": ["", ""]}, "image_b": fixture("rgb")},
        {"compare_view": {"__value__": ["", ""]}},
    ],
    "SaveLatent": [
        {"samples": fixture(name), "filename_prefix": "latents/ComfyUI"}
        for name in ("latent", "latent_masked", "latent2")
    ],
    "LoadLatent": [{"latent": name} for name in ("plain.latent", "old.latent")],
    "SaveText": [
        *({"text": text, "filename_prefix": "ComfyUI", "format": "txt"} for text in ("hello\nünïcode", "")),
        {"text": "a,b", "filename_prefix": "sub/x", "format": "csv"},
        {"text": "# t", "filename_prefix": "x", "format": "md"},
        {"text": '{"b":1,"a":"ü"}', "filename_prefix": "x", "format": "json"},
        {"text": "not json", "filename_prefix": "x", "format": "json"},
        {"text": "x", "filename_prefix": "x", "format": "txt", "$files": {"output/x_00002.txt": "rgb.png"}},
        {"text": "x", "filename_prefix": "x", "format": "txt", "$files": {"output/x_00002_.txt": "rgb.png"}},
        *(
            {"text": "x", "filename_prefix": prefix, "format": "txt"}
            for prefix in ("", "%batch_num%", "%width%x%height%")
        ),
    ],
    "PreviewAny": [
        {"source": fixture(name)}
        for name in (
            "int",
            "float",
            "true",
            "text",
            "empty_text",
            "none",
            "list",
            "dict",
            "empty_dict",
            "box_list",
            "rgb",
            "latent",
            "sigmas",
        )
    ]
    + [{"source": output("StringConcatenate", string_a="a", string_b="b", delimiter="-")}],
}
