"""Write the small image files that golden cases load: python -m tests.runtime.pack.make_files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.runtime.pack import fixtures
from tests.runtime.pack.fixtures import noise

HERE = Path(__file__).parent / "files"


def pixels(channels: int, height: int = 17, width: int = 22, seed: int = 1) -> npt.NDArray[Any]:
    values = noise(height, width, channels, seed=seed).numpy()
    return (values * 256).astype(np.uint8).squeeze()


def main() -> None:
    rgb = Image.fromarray(pixels(3))
    rgb.save(HERE / "rgb.png")
    Image.fromarray(pixels(4, seed=2), "RGBA").save(HERE / "rgba.png")
    Image.fromarray(pixels(1, seed=3), "L").save(HERE / "gray.png")
    Image.fromarray(pixels(2, seed=4), "LA").save(HERE / "gray_alpha.png")
    Image.fromarray(pixels(1, seed=5).astype(np.uint16) * 257).save(HERE / "gray16.png")
    rgb.save(HERE / "rgb.tiff")
    Image.fromarray(pixels(1, seed=6) > 127).save(HERE / "bilevel.png")
    palette = rgb.quantize(8)
    palette.save(HERE / "palette.png")
    palette.save(HERE / "palette_transparent.png", transparency=2)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(HERE / "rotated.png", exif=exif)
    frames = [Image.fromarray(pixels(3, seed=seed)) for seed in (7, 8, 9)]
    frames[0].save(HERE / "animated.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    frames[0].save(HERE / "animated.gif", save_all=True, append_images=frames[1:], duration=100)
    rgb.convert("L").save(HERE / "gray.jpg", quality=95)
    Image.fromarray(pixels(4, seed=10), "RGBA").save(HERE / "lossless.webp", lossless=True, exact=True)
    Image.fromarray(pixels(3, seed=11)).save(HERE / "rgb.bmp")
    Image.fromarray(pixels(4, seed=12), "CMYK").save(HERE / "cmyk.jpg", quality=95)
    whole = (HERE / "rgb.png").read_bytes()
    (HERE / "cut.png").write_bytes(whole[: len(whole) * 2 // 3])
    latent = fixtures.build()["latent2"]["samples"]
    save_file({"latent_tensor": latent, "latent_format_version_0": torch.tensor([])}, HERE / "plain.latent")
    save_file({"latent_tensor": latent}, HERE / "old.latent")
    (HERE / "folder").mkdir(exist_ok=True)
    rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(HERE / "folder" / "inside.png")


if __name__ == "__main__":
    main()
