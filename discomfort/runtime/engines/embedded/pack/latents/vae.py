"""The pixel-space VAE, which needs no weights, and the nodes that encode and decode with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from discomfort.runtime.engines.embedded.pack.protocol import node

Latent = dict[str, Any]


class PixelSpaceVAE:
    """A VAE whose latents are the pixels themselves, in -1 to 1; it gives float32."""

    def encode(self, pixels: Tensor) -> Tensor:
        """Turn [batch, height, width, channel] in 0 to 1 into samples [batch, channel, height, width] in -1 to 1."""
        return (pixels[..., :3].movedim(-1, 1) * 2.0 - 1.0).float()

    def decode(self, samples: Tensor) -> Tensor:
        """Turn samples [batch, channel, height, width] into pixels [batch, height, width, channel], kept in 0 to 1.

        Of video, [batch, channel, time, height, width], the first frame is decoded.
        """
        if samples.ndim == 5:
            samples = samples[:, :, 0]
        return ((samples.float() + 1.0) / 2.0).clamp(0, 1).movedim(1, -1)


@node("VAELoader")
def vae_loader(vae_name: str) -> tuple[PixelSpaceVAE]:
    """Give the pixel-space VAE."""
    if vae_name != "pixel_space":
        raise ValueError(f"the embedded engine has one VAE, 'pixel_space'; {vae_name!r} needs a ComfyUI")
    return (PixelSpaceVAE(),)


@node("VAEEncode")
def vae_encode(pixels: Tensor, vae: PixelSpaceVAE) -> tuple[Latent]:
    """Encode an image."""
    return ({"samples": vae.encode(pixels)},)


@node("VAEDecode")
def vae_decode(samples: Latent, vae: PixelSpaceVAE) -> tuple[Tensor]:
    """Decode a latent to an image."""
    return (vae.decode(samples["samples"]),)


@node("VAEDecodeTiled")
def vae_decode_tiled(
    samples: Latent,
    vae: PixelSpaceVAE,
    tile_size: int,
    overlap: int = 64,
    temporal_size: int = 64,
    temporal_overlap: int = 8,
) -> tuple[Tensor]:
    """Decode a latent to an image, of video all frames; tiles make no difference where a pixel depends on no other."""
    latent = samples["samples"]
    if tile_size < 1:
        raise ValueError(f"VAEDecodeTiled needs tiles of at least one pixel, not {tile_size}")
    if latent.shape[1] == 1 and latent.ndim == 4:
        latent = latent.expand(-1, 3, -1, -1)  # as in ComfyUI, where a tile with one channel is written into three
    if latent.shape[1] != 3:
        raise ValueError(f"VAEDecodeTiled takes latents with 3 channels; this one has {latent.shape[1]}")
    frames = latent.movedim(2, 1).flatten(0, 1) if latent.ndim == 5 else latent
    return (vae.decode(frames),)


@node("VAEEncodeForInpaint")
def vae_encode_for_inpaint(pixels: Tensor, vae: PixelSpaceVAE, mask: Tensor, grow_mask_by: int = 6) -> tuple[Latent]:
    """Encode an image with what is masked made grey, and keep the grown mask for sampling."""
    if pixels.shape[-1] < 3 or grow_mask_by < 0:
        raise ValueError(
            f"VAEEncodeForInpaint takes images with at least 3 channels and grows masks by 0 or more, not "
            f"{pixels.shape[-1]} channels and {grow_mask_by}"
        )
    height, width = pixels.shape[1:3]
    mask = functional.interpolate(mask.reshape(-1, 1, *mask.shape[-2:]), size=(height, width), mode="bilinear")
    keep = (1.0 - mask.round()).squeeze(1).unsqueeze(-1)
    grown = mask
    if grow_mask_by > 0:
        kernel = torch.ones(1, 1, grow_mask_by, grow_mask_by)
        grown = functional.conv2d(mask.round(), kernel, padding=-(-(grow_mask_by - 1) // 2)).clamp(0, 1)
    gray = pixels[..., :3] - 0.5
    gray *= keep  # in place as in ComfyUI: in the type of the pixels, and an error where there are more masks
    gray += 0.5
    return ({"samples": vae.encode(gray), "noise_mask": grown[..., :height, :width].round()},)
