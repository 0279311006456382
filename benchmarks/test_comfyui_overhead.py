"""What a run costs on a ComfyUI server beyond the barest possible client, alternately in one run.

COMFYUI_PATH=/path/to/ComfyUI COMFYUI_PYTHON=/path/to/python pytest benchmarks/test_comfyui_overhead.py -s
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import discomfort
from benchmarks.comfyui_bare import BareClient
from discomfort.runtime.engine_thread import run_awaiting
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from tests.runtime.comfyui.real import real_config

pytestmark = [
    pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="needs a ComfyUI checkout: COMFYUI_PATH"),
    pytest.mark.timeout(900),
]

Once = Callable[[int], Awaitable[None]]


def workflow(class_type: str, name: str, value_type: str, **literals: Any) -> dict[str, Any]:
    """Return a workflow INPUT port → one node → OUTPUT port, as the editor saves it."""
    linked = {"name": name, "type": value_type, "link": 1}
    if value_type == "STRING":
        linked["widget"] = {"name": name}
    widgets: list[Any] = [*([""] if value_type == "STRING" else []), *literals.values()]
    ports = [("given", None, [1]), ("result", 2, [])]
    nodes: list[dict[str, Any]] = [
        {
            "id": number,
            "type": "DiscomfortPort",
            "mode": 0,
            "inputs": [{"name": "input", "type": "*", "link": link}],
            "outputs": [{"name": "output", "type": "*", "links": links}],
            "widgets_values": [unique_id, ""],
        }
        for number, (unique_id, link, links) in zip((1, 3), ports, strict=True)
    ]
    outputs = [{"name": value_type, "type": value_type, "links": [2]}]
    node = {"id": 2, "type": class_type, "mode": 0, "inputs": [linked], "outputs": outputs, "widgets_values": widgets}
    links = [[1, 1, 0, 2, 0, value_type], [2, 2, 0, 3, 0, value_type]]
    return {"version": 0.4, "last_node_id": 3, "last_link_id": 2, "nodes": [*nodes, node], "links": links}


def small_rivals(plan: discomfort.Plan, context: Any, engine: ComfyUIEngine, bare: BareClient) -> tuple[Once, Once]:
    """Return one text in and one out: by a plan, and by the barest client."""

    async def ours(number: int) -> None:
        results = await plan.arun(context, inputs={"given": f"ours {number}"}, engine=engine)
        assert results["result"] == f"ours {number}!"

    async def theirs(number: int) -> None:
        inputs = {"string_a": f"bare {number}", "string_b": "!", "delimiter": ""}
        prompt = {
            "1": {"class_type": "StringConcatenate", "inputs": inputs},
            "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
        }
        answers = await bare.run(prompt)
        assert answers["2"]["text"] == [f"bare {number}!"]

    return ours, theirs


def image_rivals(plan: discomfort.Plan, context: Any, engine: ComfyUIEngine, bare: BareClient) -> tuple[Once, Once]:
    """Return a picture in and one out: as a tensor by a plan, and as PNG files over ComfyUI's own HTTP routes."""

    def picture(number: int) -> torch.Tensor:
        ramp = torch.linspace(0, 1, 1024)
        plain = torch.stack(
            [ramp.expand(1024, 1024), ramp.unsqueeze(1).expand(1024, 1024), ramp.flip(0) * ramp[:, None]]
        )
        noise = torch.rand(1024, 1024, 3, generator=torch.Generator().manual_seed(number))
        return (plain.permute(1, 2, 0) * 0.95 + noise * 0.05).unsqueeze(0).contiguous()

    pictures = [picture(number) for number in range(4)]

    def given(number: int) -> torch.Tensor:
        image = pictures[number % len(pictures)].clone()
        image[0, 0, 0, 0] = (number % 256) / 255  # never what was sent before
        image[0, 0, 1, 0] = (number // 256) / 255
        return image

    async def ours(number: int) -> None:
        results = await plan.arun(context, inputs={"given": given(number)}, engine=engine)
        assert results["result"].shape == (1, 1024, 1024, 3)

    async def theirs(number: int) -> None:
        name = await bare.upload(given(number), f"bare-{number}.png")
        prompt = {
            "1": {"class_type": "LoadImage", "inputs": {"image": name}},
            "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
            "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
        }
        answers = await bare.run(prompt)
        assert (await bare.download(answers["3"]["images"][0])).shape == (1, 1024, 1024, 3)

    return ours, theirs


async def alternate(rivals: tuple[Once, Once], rounds: int, warm_up: int) -> list[list[float]]:
    """Return the milliseconds of each round for each rival, taken in turn."""
    times: list[list[float]] = [[], []]
    for number in range(rounds + warm_up):
        for taken, once in zip(times, rivals, strict=True):
            begin = time.perf_counter()
            await once(number)
            if number >= warm_up:
                taken.append((time.perf_counter() - begin) * 1000)
    return times


async def one_request(bare: BareClient) -> float:
    """Return the milliseconds of one request in the fastest tenth."""
    taken = []
    for _ in range(200):
        begin = time.perf_counter()
        await bare.ask()
        taken.append((time.perf_counter() - begin) * 1000)
    return statistics.quantiles(taken, n=10)[0]


def row(what: str, times: list[list[float]]) -> tuple[float, float]:
    """Print one line of the table; return what both take when nothing disturbs them: the fastest tenth, in ms."""
    ours, theirs = (statistics.quantiles(taken, n=10)[0] for taken in times)
    print(f"| {what} | {theirs:.2f} | {ours:.2f} | {ours - theirs:+.2f} | {ours / theirs:.2f} |")
    return ours, theirs


async def test_overhead(tmp_path: Path) -> None:
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    engine = ComfyUIEngine.managed(real_config(Path(os.environ["COMFYUI_PATH"]).resolve(), python, tmp_path))
    try:
        catalog = await run_awaiting(engine.catalog())
        small = discomfort.compile(
            [workflow("StringConcatenate", "string_a", "STRING", string_b="!", delimiter="")], catalog=catalog
        )
        image = discomfort.compile([workflow("ImageInvert", "image", "IMAGE")], catalog=catalog)
        assert engine.url is not None
        print(
            "\n| fastest tenth of the runs | bare client, ms | Discomfort, ms | difference, ms | ratio |"
            "\n|---|---|---|---|---|"
        )
        async with BareClient(engine.url) as bare:
            with discomfort.Context(max_ram_gb=2) as context:
                rivals = small_rivals(small, context, engine, bare)
                ours, theirs = row("a text in and out", await alternate(rivals, 200, 20))
                ask = await one_request(bare)
                print(f"one more request, which registers the prompt: {ask:.2f} ms at the least")
                assert ours <= theirs * 1.1 + 3 + ask
                rivals = image_rivals(image, context, engine, bare)
                ours, theirs = row("an image of 1024 × 1024 in and out", await alternate(rivals, 20, 3))
                assert ours * 5 <= theirs
    finally:
        await run_awaiting(engine.close())
