"""Nodes that make and cut noise schedules without a model: one-dimensional float32 tensors that fall to 0.

Karras schedule: T. Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", equation 5.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor

from discomfort.runtime.engines.embedded.pack.protocol import node

# ComfyUI's `[-+]?(?:\d*\.*\d+)`, which takes hours for a million dots: dots count where they begin.
NUMBER = re.compile(r"[-+]?\d*(?:(?<!\.)\.+)?\d+")


def _ending_in_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])


@node("KarrasScheduler")
def karras_scheduler(steps: int, sigma_max: float, sigma_min: float, rho: float) -> tuple[Tensor]:
    """Space the `rho`-th roots of sigma evenly."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (_ending_in_zero((high + torch.linspace(0, 1, steps) * (low - high)) ** rho),)


@node("ExponentialScheduler")
def exponential_scheduler(steps: int, sigma_max: float, sigma_min: float) -> tuple[Tensor]:
    """Space the logarithms of sigma evenly."""
    return (_ending_in_zero(torch.linspace(math.log(sigma_max), math.log(sigma_min), steps).exp()),)


@node("PolyexponentialScheduler")
def polyexponential_scheduler(steps: int, sigma_max: float, sigma_min: float, rho: float) -> tuple[Tensor]:
    """Space the logarithms of sigma by a power of the step."""
    ramp = torch.linspace(1, 0, steps) ** rho
    return (_ending_in_zero(torch.exp(ramp * (math.log(sigma_max) - math.log(sigma_min)) + math.log(sigma_min))),)


@node("VPScheduler")
def vp_scheduler(steps: int, beta_d: float, beta_min: float, eps_s: float) -> tuple[Tensor]:
    """Follow the variance-preserving process from time 1 to `eps_s`."""
    time = torch.linspace(1, eps_s, steps)
    return (_ending_in_zero(torch.sqrt(torch.special.expm1(beta_d * time**2 / 2 + beta_min * time))),)


@node("SplitSigmas")
def split_sigmas(sigmas: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Cut a schedule in two; both parts hold the sigma they meet at."""
    return sigmas[: step + 1], sigmas[step:]


@node("SplitSigmasDenoise")
def split_sigmas_denoise(sigmas: Tensor, denoise: float) -> tuple[Tensor, Tensor]:
    """Cut a schedule so that the second part holds the share `denoise` of its steps."""
    last = round(max(sigmas.shape[-1] - 1, 0) * denoise)
    return sigmas[:-last], sigmas[-(last + 1) :]


@node("FlipSigmas")
def flip_sigmas(sigmas: Tensor) -> tuple[Tensor]:
    """Turn a schedule round; a first sigma of 0 becomes 0.0001."""
    flipped = sigmas.flip(0)
    if len(flipped) and flipped[0] == 0:
        flipped[0] = 0.0001
    return (flipped,)


@node("SetFirstSigma")
def set_first_sigma(sigmas: Tensor, sigma: float) -> tuple[Tensor]:
    """Replace the first sigma."""
    changed = sigmas.clone()
    changed[0] = sigma
    return (changed,)


SPACINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda even: even,
    "cosine": lambda even: torch.sin(even * math.pi / 2),
    "sine": lambda even: 1 - torch.cos(even * math.pi / 2),
}


def _spaced(steps: int, spacing: str) -> Tensor:
    """Return how far along each of `steps` new places between two sigmas is, 0 and 1 left out."""
    return SPACINGS[spacing](torch.linspace(0, 1, steps + 1)[1:-1])


@node("ExtendIntermediateSigmas")
def extend_intermediate_sigmas(
    sigmas: Tensor, steps: int, start_at_sigma: float, end_at_sigma: float, spacing: str
) -> tuple[Tensor]:
    """Put further sigmas between neighbours that lie within the bounds, so that each step becomes `steps`."""
    highest = float("inf") if start_at_sigma < 0 else start_at_sigma
    places = _spaced(steps, spacing)
    parts = []
    for index in range(len(sigmas) - 1):
        current, following = sigmas[index], sigmas[index + 1]
        parts.append(current.unsqueeze(0))
        if end_at_sigma <= current <= highest:
            parts.append(current + (following - current) * places)
    return (torch.cat([*parts, sigmas[-1:]]).float(),)


@node("ManualSigmas")
def manual_sigmas(sigmas: str) -> tuple[Tensor]:
    """Read all numbers in a text."""
    return (torch.tensor([float(number) for number in NUMBER.findall(sigmas)], dtype=torch.float32),)
