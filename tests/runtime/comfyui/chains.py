"""Programs for servers, of classes that every ComfyUI and the double have."""

from __future__ import annotations

from typing import Any

import torch

from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.protocol import Listener, PromptRequest, PromptResult

Workflow = dict[str, Any]


def port(name: str, source: list[Any] | None = None) -> dict[str, Any]:
    inputs = {"unique_id": name, "tags": ""}
    return {"class_type": "DiscomfortPort", "inputs": inputs if source is None else {**inputs, "input": source}}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}


def inverted(times: int, color: int = 0, size: int = 8) -> Workflow:
    """Return a workflow that inverts an image again and again and gives it as `image`."""
    chain = {"0": node("EmptyImage", width=size, height=size, batch_size=1, color=color)}
    chain |= {str(number): node("ImageInvert", image=[str(number - 1), 0]) for number in range(1, times + 1)}
    return {**chain, "out": port("image", [str(times), 0])}


def expected(times: int, color: int = 0, size: int = 8) -> torch.Tensor:
    """Return what `inverted` gives."""
    parts = [(color >> shift & 255) / 255 for shift in (16, 8, 0)]
    image = torch.tensor(parts).expand(1, size, size, 3).clone()
    for _ in range(times):
        image = 1.0 - image
    return image


def count_prompts(engine: ComfyUIEngine) -> list[int]:
    """Have `engine` note the size of each prompt that is submitted, and return the list."""
    sizes: list[int] = []
    run = engine.run

    async def counting(request: PromptRequest, listener: Listener | None = None) -> PromptResult:
        sizes.append(len(request.prompt))
        return await run(request, listener)

    engine.run = counting  # type: ignore[method-assign]
    return sizes
