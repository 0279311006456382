"""Random values as workflows pass them around: images, masks, latents, schedules, numbers, texts, odd ones too."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")

DTYPES = (torch.float16, torch.float64, torch.bfloat16)
TEXTS = (
    "", " ", "a", "hello world", "Grüße, Welt 123", "ǅ ß İ ﬁ", "line one\nline two\r\nline three",
    "\t tab \u00a0 nbsp ",
    "😀👍🏽", "a,b;c", "{a} {{b}} }", "C:\\path\\new", "%d %s %%", "aaaaaaaa", "The Quick brown FOX", "o'neill's", "0",
    "١٢٣", "a\u0301", "x" * 300, "\x00\x1f", "ab12cd345", '"quoted"', "null", "ﬀ Σίσυφος",
)  # fmt: skip
PATTERNS = (
    "", "a", r"\d+", r"(\w)(\w)", "(a|b)?c", "[", "(?P<n>\\w+) (?P=n)", "^.*$", "^line", r"(x)|(y)", "(?i)FOX", ".",
    r"\b", "o", "(", "a{2,3}", r"(?<=a)b", r"\Z", "İ", "(a)(b)?(c)?", "*", r"\w+$", "(?:)", "(?s).+",
)  # fmt: skip
REPLACEMENTS = ("", "-", r"\1", r"\g<0>!", r"\2", r"\g<n>", "\\", r"\n", "$1", "\\\\", "ü")
PREFIXES = (
    "ComfyUI", "", "a/b", "a/", "/", "%width%x%height%", "%batch_num%", "x%batch_num%/y", "%year%-%month%",
    "%nothing%", "%", "%%width%%", ".", "..", "../x", "a/../b", "a/./b", "a//b", ".hidden", "a.b", "a b", " a", "a ",
    "ü😀", "a\\b", "x_00003_", "x_", "_", "a_b", "%width", "%date:yyyy%", "[output]", "a/..", "sub/%width%/n", "a:b",
    "%batch_num%_%batch_num%", "x" * 40, "x\ny", "%nothing%width%", "%WIDTH%",
)  # fmt: skip


class Draw:
    """Draws random values; the same seed draws the same ones."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self._torch = torch.Generator().manual_seed(self.random.getrandbits(62))
        self.base_size = (self.integer(1, 24), self.integer(1, 24))
        self.base_batch = self.pick((1, 1, 2, 3))
        self.base_channels = self.pick((3, 3, 3, 3, 4, 4, 1, 2, 5))
        self.dtype = self.pick(DTYPES) if self.chance(0.2) else torch.float32
        """The type of most tensors of this case."""
        self.frames = self.integer(1, 5) if self.chance(0.25) else None
        """How many frames most latents of this case have; None: they are not a video."""
        self.latent_channels = self.pick((4, 4, 16, 3, 1))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        return self.random.choice(items)

    def integer(self, least: int, most: int) -> int:
        return self.random.randint(least, most)

    def number(self, least: float, most: float) -> float:
        return self.pick((least, most)) if self.chance(0.1) else round(self.random.uniform(least, most), 4)

    def tensor(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return noise, now and then rounded to few levels, all one value, or beyond its bounds."""
        values = torch.rand(shape, generator=self._torch, dtype=torch.float32) * (high - low) + low
        kind = self.random.random()
        if kind < 0.1:
            values = (values * 4).round() / 4
        elif kind < 0.15:
            values = torch.full(shape, self.pick((low, high, (low + high) / 2)))
        elif kind < 0.2:
            values = (values - low) * 2 + low - (high - low) / 2
        dtype = self.dtype if self.chance(0.9) else self.pick((torch.float32, *DTYPES))
        return values.to(dtype)

    def size(self, largest: int = 24) -> tuple[int, int]:
        """Return a height and a width: those that most tensors of this case have, or others."""
        return self.base_size if self.chance(0.7) else (self.integer(1, largest), self.integer(1, largest))

    def batch(self) -> int:
        return self.base_batch if self.chance(0.75) else self.integer(1, 4)

    def image(self, height: int | None = None, width: int | None = None) -> Tensor:
        """Return [batch, height, width, channel]."""
        rows, columns = self.size()
        channels = self.base_channels if self.chance(0.8) else self.pick((1, 2, 3, 4, 5))
        return self.tensor(self.batch(), height or rows, width or columns, channels)

    def mask(self) -> Tensor:
        """Return [batch, height, width], [height, width] or [batch, 1, height, width]."""
        shape = self.size()
        form = self.pick(("batch",) * 16 + ("single",) * 3 + ("channel",))
        if form == "single":
            return self.tensor(*shape)
        return self.tensor(self.batch(), *(1,) * (form == "channel"), *shape)

    def latent(self, video: bool | None = None) -> dict[str, Any]:
        """Return a LATENT, perhaps of a video, perhaps with a noise mask of any size, a batch index or other keys."""
        height, width = self.size()
        frames = self.frames if self.chance(0.9) else self.pick((None, 1, 3))
        if video is not None:
            frames = (frames or self.integer(1, 5)) if video else None
        channels = self.latent_channels if self.chance(0.85) else self.pick((4, 16, 3))
        time = () if frames is None else (frames,)
        samples = self.tensor(self.batch(), channels, *time, height, width, low=-2.0, high=2.0)
        latent: dict[str, Any] = {"samples": samples}
        if self.chance(0.3):
            latent["noise_mask"] = self.noise_mask(samples)
        if self.chance(0.2):
            first = self.integer(0, 5)
            latent["batch_index"] = [first + index * self.pick((1, 1, 2)) for index in range(samples.shape[0])]
        if self.chance(0.1):
            latent["downscale_ratio_spacial"] = self.pick((8, 16, 32))
        if self.chance(0.03):
            latent["type"] = "audio"
        return latent

    def noise_mask(self, samples: Tensor) -> Tensor:
        """Return a noise mask for `samples`: as large as its pixels or itself or neither, with any number of ones."""
        height, width = samples.shape[-2:]
        height, width = self.pick(
            ((height * 8, width * 8), (height, width), (self.integer(1, 60), self.integer(1, 60)))
        )
        count = samples.shape[0] if self.chance(0.5) else self.integer(1, 4)
        shape: tuple[int, ...] = self.pick(
            ((count, 1, height, width), (count, height, width), (count, 1, height, width))
        )
        if self.chance(0.05):
            shape = (height, width)
        if samples.ndim == 5 and self.chance(0.4):
            shape = (count, 1, samples.shape[2], height, width)
        return self.tensor(*shape)

    def sigmas(self) -> Tensor:
        """Return a schedule that falls to 0, now and then empty, short, or in no order."""
        count = self.pick((0, 1, 2, 3, 5, 9, 20))
        values = torch.rand(count, generator=self._torch) * 15
        if self.chance(0.9):
            values = values.sort(descending=True).values
        if count and self.chance(0.7):
            values[-1] = 0.0
        return values.to(self.dtype)

    def text(self) -> str:
        if self.chance(0.2):
            return "".join(self.pick("ab1 .\nÄß😀{}()\\") for _ in range(self.integer(0, 12)))
        return self.pick(TEXTS)

    def anything(self) -> Any:
        """Return a value of any kind."""
        makers: tuple[Callable[[], Any], ...] = (
            lambda: self.integer(-5, 5),
            lambda: self.number(-3, 3),
            lambda: self.chance(0.5),
            lambda: None,
            self.text,
            lambda: [self.integer(0, 3), self.text(), None, [True]],
            lambda: {"key": self.text(), "nested": {"ü": [1, 2.5]}},
            lambda: self.pick(([], {}, (), 0, 0.0, "", float("nan"), float("inf"), 10**30, -(2**63), 1e300)),
            lambda: (1, "two"),
            lambda: self.tensor(1),
            lambda: self.tensor(2, 3),
            self.latent,
            lambda: {1: "one", None: 2},
            lambda: {"set": {1}},
        )
        return self.pick(makers)()
