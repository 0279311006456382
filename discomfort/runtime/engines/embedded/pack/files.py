"""Nodes that read and write files, in the folders of the running context."""

from __future__ import annotations

import json
import os
import random
import re
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch._tensor_str import printoptions

from discomfort.runtime.engines.embedded.for_node_authors.folders import current_folders
from discomfort.runtime.engines.embedded.pack import safetensors_file
from discomfort.runtime.engines.embedded.pack.image_files import decoder, read_image
from discomfort.runtime.engines.embedded.pack.pictures import as_batch, to_picture
from discomfort.runtime.engines.embedded.pack.protocol import node

Metadata = Mapping[str, Any] | None
UiFile = dict[str, str]

SHOWN_EDGE = 6
"""Values that the text of a large tensor shows at either end of each dimension, as in ComfyUI."""

LONGEST_NAME = 4096
"""Characters of the longest path below a folder."""

TEXT_FORMATS = ("txt", "md", "csv", "json")
"""The endings of the files that SaveText writes."""

OLD_LATENT_SCALE = 1.0 / 0.18215
"""What latents saved without a format version are multiplied by: Stable Diffusion 1's scale factor."""


def input_files() -> list[str]:
    """List the files that image nodes offer: those of the input folder, subfolders not looked into."""
    folder = current_folders().input
    return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def latent_files() -> list[str]:
    """List the latents of the input folder."""
    return [name for name in input_files() if name.endswith(".latent")]


def annotated_path(name: str) -> Path:
    """Find the file that `name`, `name [output]` or `name [temp]` names.

    Raises:
        ValueError: the name leads out of its folder.
    """
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{name[:40]!r}… has {len(name)} characters; names of files have at most {LONGEST_NAME}")
    folders = current_folders()
    match = re.fullmatch(r"(.*?)\s*\[(input|output|temp)\]", name)
    folder: Path = getattr(folders, match[2]) if match else folders.input
    path = (folder / (match[1] if match else name)).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} is outside of {folder}")
    return path


def _is_there(name: str, what: str) -> bool | str:
    path = annotated_path(name)
    return True if path.is_file() else f"{what} {name!r} is not there: {path}"


def _stamp(name: str) -> str:
    """Give what changes when a file does."""
    path = annotated_path(name)
    if not path.is_file():
        return ""
    status = path.stat()
    return f"{status.st_mtime_ns}:{status.st_size}"


@node(
    "LoadImage",
    options={"image": input_files},
    IS_CHANGED=lambda image: _stamp(image),
    DEPENDS_ON=decoder,
    VALIDATE_INPUTS=lambda image: _is_there(image, "image"),
)
def load_image(image: str) -> tuple[Tensor, Tensor]:
    """Read an image of the input folder."""
    return read_image(annotated_path(image))


@node(
    "LoadImageOutput",
    IS_CHANGED=lambda image: _stamp(image),
    DEPENDS_ON=decoder,
    VALIDATE_INPUTS=lambda image: _is_there(image, "image"),
)
def load_image_output(image: str) -> tuple[Tensor, Tensor]:
    """Read an image of the output folder."""
    return read_image(annotated_path(image))


@node(
    "LoadImageMask",
    options={"image": input_files},
    IS_CHANGED=lambda image, channel: _stamp(image),
    DEPENDS_ON=decoder,
    VALIDATE_INPUTS=lambda image: _is_there(image, "image"),
)
def load_image_mask(image: str, channel: str) -> tuple[Tensor]:
    """Read one channel of an image as mask; alpha is inverted, and 64×64 zeros where there is none."""
    pixels, mask = read_image(annotated_path(image))
    if channel == "alpha":
        return (mask,)
    return (pixels[..., ("red", "green", "blue").index(channel)],)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a node is to write: folder, name, the next free number, and the subfolder as the `ui` answer names it."""

    folder: Path
    name: str
    counter: int
    subfolder: str
    kind: str

    def file(self, number: int, pattern: str) -> tuple[Path, UiFile]:
        """Return the path of the `number`-th new file and its `ui` entry; `pattern` holds {name} and {counter:05}."""
        filename = pattern.format(name=self.name, counter=self.counter + number)
        return self.folder / filename, {"filename": filename, "subfolder": self.subfolder, "type": self.kind}


def _filled_in(prefix: str, width: int, height: int) -> str:
    """Replace %width%, %height% and parts of the local time."""
    now = time.localtime()
    values = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for name, value in values.items():
        prefix = prefix.replace(f"%{name}%", value)
    return prefix


def _number_of(filename: str, name: str) -> int:
    """Read the number of an earlier file `<name>_00012_….png`; 0 for files of another name."""
    if os.path.normcase(filename[: len(name)]) != os.path.normcase(name) or filename[len(name) : len(name) + 1] != "_":
        return 0
    digits = filename[len(name) + 1 :].split("_")[0].split(".")[0]
    return int(digits) if digits.isdigit() else 0


def destination(prefix: str, kind: str, width: int = 0, height: int = 0) -> Destination:
    """Find where a node with this `filename_prefix` writes, and make the folder.

    Args:
        prefix: a name, maybe with subfolders and %width%, %height%, %year% …
        kind: "output" or "temp".
        width: replaces %width%.
        height: replaces %height%.

    Raises:
        ValueError: the prefix leads out of the folder.
    """
    root: Path = getattr(current_folders(), kind)
    inside, name = os.path.split(os.path.normpath(_filled_in(prefix, width, height)))  # "" is the name "."
    folder = (root / inside).resolve()
    if not folder.is_relative_to(root.resolve()):
        raise ValueError(f"filename_prefix {prefix!r} leads out of {root}")
    folder.mkdir(parents=True, exist_ok=True)
    counter = max((_number_of(path.name, name) for path in folder.iterdir()), default=0) + 1
    subfolder = folder.relative_to(root.resolve()).as_posix()
    return Destination(folder, name, counter, "" if subfolder == "." else subfolder, kind)


def _png_text(prompt: Metadata, extra_pnginfo: Metadata) -> PngInfo:
    """Put the prompt and the editor's workflow into text chunks, as ComfyUI does."""
    text = PngInfo()
    if prompt is not None:
        text.add_text("prompt", json.dumps(prompt))
    for key, value in (extra_pnginfo or {}).items():
        text.add_text(key, json.dumps(value))
    return text


def save_images(
    images: Tensor, prefix: str, kind: str, prompt: Metadata = None, extra_pnginfo: Metadata = None, level: int = 4
) -> list[UiFile]:
    """Write a batch as PNG files and return their `ui` entries."""
    target = destination(prefix, kind, images[0].shape[1], images[0].shape[0])
    text = _png_text(prompt, extra_pnginfo)
    entries = []
    for number, image in enumerate(images):
        numbered = replace(target, name=target.name.replace("%batch_num%", str(number)))
        path, entry = numbered.file(number, "{name}_{counter:05}_.png")
        to_picture(image).save(path, pnginfo=text, compress_level=level)
        entries.append(entry)
    return entries


def random_suffix() -> str:
    """Return five random lower-case letters: what keeps previews of different nodes apart."""
    return "".join(random.choices(string.ascii_lowercase, k=5))


def preview(images: Tensor, prefix: str = "ComfyUI_temp") -> list[UiFile]:
    """Write previews to the temp folder and return their `ui` entries."""
    return save_images(images, f"{prefix}_{random_suffix()}", "temp", level=1)


@node("SaveImage")
def save_image(
    images: Tensor, filename_prefix: str = "ComfyUI", prompt: Metadata = None, extra_pnginfo: Metadata = None
) -> dict[str, Any]:
    """Write PNG files to the output folder."""
    entries = save_images(images, filename_prefix, "output", prompt, extra_pnginfo)
    return {"ui": {"images": entries}, "result": (images,)}


@node("PreviewImage")
def preview_image(images: Tensor, prompt: Metadata = None, extra_pnginfo: Metadata = None) -> dict[str, Any]:
    """Write PNG files to the temp folder."""
    prefix = f"ComfyUI_temp_{random_suffix()}"
    return {
        "ui": {"images": save_images(images, prefix, "temp", prompt, extra_pnginfo, level=1)},
        "result": (images,),
    }


@node("MaskPreview")
def mask_preview(mask: Tensor, prompt: Metadata = None, extra_pnginfo: Metadata = None) -> dict[str, Any]:
    """Write masks as grey PNG files to the temp folder."""
    images = as_batch(mask).unsqueeze(-1).expand(-1, -1, -1, 3)
    return {"ui": {"images": preview(images), "animated": (False,)}, "result": (mask,)}


@node("ImageCompare")
def image_compare(
    compare_view: Any,
    image_a: Tensor | None = None,
    image_b: Tensor | None = None,
    prompt: Metadata = None,
    extra_pnginfo: Metadata = None,
) -> dict[str, Any]:
    """Write both images to the temp folder for the editor to compare."""
    suffix = random_suffix()
    shown = {
        f"{side}_images": [] if image is None else save_images(image, f"comfy.compare.{side}_temp_{suffix}", "temp")
        for side, image in (("a", image_a), ("b", image_b))
    }
    return {"ui": shown, "result": ()}


@node("SaveLatent")
def save_latent(
    samples: dict[str, Any], filename_prefix: str, prompt: Metadata = None, extra_pnginfo: Metadata = None
) -> dict[str, Any]:
    """Write a latent's samples to the output folder, as safetensors."""
    target = destination(filename_prefix, "output")
    path, entry = target.file(0, "{name}_{counter:05}_.latent")
    metadata = {} if prompt is None else {"prompt": json.dumps(prompt)}
    metadata |= {key: json.dumps(value) for key, value in (extra_pnginfo or {}).items()}
    tensors = {"latent_tensor": samples["samples"], "latent_format_version_0": torch.tensor([])}
    safetensors_file.write(path, tensors, metadata)
    return {"ui": {"latents": [entry]}, "result": (samples,)}


@node(
    "LoadLatent",
    options={"latent": latent_files},
    IS_CHANGED=lambda latent: _stamp(latent),
    VALIDATE_INPUTS=lambda latent: _is_there(latent, "latent"),
)
def load_latent(latent: str) -> tuple[dict[str, Any]]:
    """Read a latent of the input folder."""
    tensors = safetensors_file.read(annotated_path(latent))
    scale = 1.0 if "latent_format_version_0" in tensors else OLD_LATENT_SCALE
    return ({"samples": tensors["latent_tensor"].float() * scale},)


@node("SaveText")
def save_text(
    text: str, filename_prefix: str, format: str, prompt: Metadata = None, extra_pnginfo: Metadata = None
) -> dict[str, Any]:
    """Write a text to the output folder; JSON is indented where it can be read."""
    if format not in TEXT_FORMATS:
        raise ValueError(f"texts are written as {', '.join(TEXT_FORMATS)}, not as {format!r}")
    target = destination(filename_prefix, "output", width=1, height=1)
    path, entry = target.file(0, "{name}_{counter:05}." + format)
    content = text
    if format == "json":
        try:
            content = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except json.JSONDecodeError:
            content = text
    path.write_text(content, encoding="utf-8", newline="\n")
    return {"ui": {"text": (text,), "files": [entry]}, "result": (text,)}


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, int | float):
        return str(value)
    try:
        return json.dumps(value, indent=4, ensure_ascii=False)
    except TypeError:
        with printoptions(edgeitems=SHOWN_EDGE):
            return str(value)


@node("PreviewAny")
def preview_any(source: Any = None) -> dict[str, Any]:
    """Show a value as text: JSON where that is possible, else as Python writes it."""
    text = _as_text(source)
    return {"ui": {"text": (text,)}, "result": (text,)}
