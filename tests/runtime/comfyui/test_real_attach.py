"""Attaching to real ComfyUI servers: with shared memory, over HTTP, and without our nodes: `pytest --comfyui=PATH`."""

from __future__ import annotations

import asyncio
import json
import math
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from PIL import Image

from discomfort.compiler.frontend import load_workflow
from discomfort.context.context import WorkflowContext
from discomfort.context.errors import UnreadableValueError
from discomfort.context.values.opaque import OpaqueValue
from discomfort.ir.api_prompt import emit_prompt
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engines.comfyui.channels.with_our_nodes import NodesChannel
from discomfort.runtime.engines.comfyui.channels.without_our_nodes import PlainChannel
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.protocol import EngineError, NodeFailed, PromptRejected
from discomfort.session import Discomfort
from tests.runtime.comfyui.chains import port
from tests.runtime.comfyui.helpers import INVERSION, loader, node, request_for, result_of
from tests.runtime.comfyui.real import Witness, real_config, write_nodes

pytestmark = [pytest.mark.comfyui, pytest.mark.timeout(550)]

ONE_STEP = 1.001 / 255
"""ComfyUI rounds the pictures that it saves down to 8 bits."""


def running(server: ManagedServer) -> Iterator[ManagedServer]:
    asyncio.run(server.start())
    try:
        yield server
    finally:
        asyncio.run(server.stop())


@pytest.fixture(scope="module")
def open_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedServer]:
    """A server with our nodes that sees what we see."""
    yield from running(ManagedServer(real_config(*given(request), tmp_path_factory.mktemp("open"))))


@pytest.fixture(scope="module")
def closed_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedServer]:
    """A server with our nodes that has a /dev/shm of its own, and next to no room for pictures."""
    unshared = ["unshare", "--map-root-user", "--mount"]
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("needs Linux's unshare")
    if subprocess.run([*unshared, "mount", "-t", "tmpfs", "none", "/dev/shm"], check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    base = tmp_path_factory.mktemp("closed")
    checkout, python = given(request)
    config = real_config(checkout, python, base)
    mounts = f"mount -t tmpfs none /dev/shm && mount -t tmpfs -o size=64k none {base}/output"
    wrapper = base / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(unshared)} sh -c \'{mounts} && exec {python} "$@"\' sh "$@"\n')
    wrapper.chmod(0o755)
    yield from running(ManagedServer(replace(config, python=str(wrapper))))


@pytest.fixture(scope="module")
def bare_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedServer]:
    """A server without our nodes."""
    base = tmp_path_factory.mktemp("bare")
    (base / "nothing").mkdir()
    write_nodes(base)
    yield from running(ManagedServer(real_config(*given(request), base), custom_nodes=base / "nothing"))


def given(request: pytest.FixtureRequest) -> tuple[Path, str]:
    """Return checkout and interpreter; for fixtures that outlive a test."""
    option = request.config.getoption
    return Path(str(option("--comfyui"))).resolve(), str(option("--comfyui-python") or sys.executable)


@pytest_asyncio.fixture
async def attach() -> AsyncIterator[Any]:
    """Attaches engines, which are closed at the end."""
    engines = []

    def make(server: ManagedServer, token: str | None, share_memory: bool | None = None) -> ComfyUIEngine:
        engines.append(ComfyUIEngine.attached(server.url, token, share_memory=share_memory))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.close()


def inversion(context: WorkflowContext, image: torch.Tensor) -> Any:
    prompt = {"l": loader(context, image, "IMAGE"), "k": node("ImageInvert", image=["l", 0])}
    return request_for(context, prompt, image=["k", 0])


async def channel_of(engine: ComfyUIEngine) -> Any:
    return (await engine.connected())._channel


async def is_shared(engine: ComfyUIEngine) -> bool:
    channel = await channel_of(engine)
    assert isinstance(channel, NodesChannel)
    (shared,) = {shared for _, shared in channel._attached.values()}
    return shared


async def test_local_server_maps_the_contexts_memory(
    attach: Any, open_server: ManagedServer, context: WorkflowContext
) -> None:
    engine = attach(open_server, open_server.token)
    image = torch.rand(2, 64, 32, 3)
    assert torch.equal(await result_of(engine, inversion(context, image)), 1.0 - image)
    assert await is_shared(engine)


async def test_remote_server_gets_values_over_http(
    attach: Any, open_server: ManagedServer, context: WorkflowContext
) -> None:
    engine = attach(open_server, open_server.token, share_memory=False)
    image = torch.rand(1, 700, 800, 3)
    assert torch.equal(await result_of(engine, inversion(context, image)), 1.0 - image)
    assert not await is_shared(engine)
    with pytest.raises((EngineError, TypeError), match="pickle"):
        await engine.run(request_for(context, {"l": loader(context, {1, 2, 3})}, out=["l", 0]))


async def test_wrong_token_is_refused(attach: Any, open_server: ManagedServer, context: WorkflowContext) -> None:
    with pytest.raises(EngineError, match="token"):
        await attach(open_server, "wrong").run(inversion(context, torch.rand(1, 2, 2, 3)))


async def test_server_that_cannot_see_the_memory_gets_values_over_http(
    attach: Any, closed_server: ManagedServer, context: WorkflowContext
) -> None:
    engine = attach(closed_server, closed_server.token)
    image = torch.rand(1, 300, 200, 3)
    assert torch.equal(await result_of(engine, inversion(context, image)), 1.0 - image)
    assert not await is_shared(engine)


async def test_R7_full_disk_on_the_server_is_reported_and_survived(
    attach: Any, closed_server: ManagedServer, context: WorkflowContext
) -> None:
    engine = attach(closed_server, closed_server.token)
    image = torch.rand(1, 256, 256, 3)
    request = inversion(context, image)
    picture = node("SaveImage", images=["k", 0], filename_prefix="full")
    with pytest.raises(NodeFailed, match=r"SaveImage.*No space left on device"):
        await engine.run(replace(request, prompt={**request.prompt, "picture": picture}))
    assert torch.equal(await result_of(engine, request), 1.0 - image)


async def test_server_without_our_nodes_runs_what_can_travel(
    attach: Any, bare_server: ManagedServer, context: WorkflowContext
) -> None:
    engine = attach(bare_server, None)
    assert isinstance(await channel_of(engine), PlainChannel)
    image = torch.randint(0, 256, (2, 40, 30, 3)).float() / 255
    assert torch.allclose(await result_of(engine, inversion(context, image)), 1.0 - image, atol=ONE_STEP)
    mask = torch.randint(0, 256, (1, 40, 30)).float() / 255
    prompt = {"l": loader(context, mask, "MASK"), "k": node("InvertMask", mask=["l", 0])}
    assert torch.allclose(
        await result_of(engine, request_for(context, prompt, mask=["k", 0])), 1.0 - mask, atol=ONE_STEP
    )
    text = {"k": node("StringConcatenate", string_a="light", string_b="house", delimiter="")}
    assert await result_of(engine, request_for(context, text, text=["k", 0])) == "lighthouse"


async def test_server_without_our_nodes_runs_a_workflow_with_ports(bare_server: ManagedServer) -> None:
    image = torch.randint(0, 256, (1, 40, 30, 3)).float() / 255
    async with await Discomfort.create(engine=bare_server.url) as discomfort:
        results = await discomfort.run([INVERSION], inputs={"photo": image})
    assert torch.allclose(results["result"], 1.0 - image, atol=ONE_STEP)


async def test_what_cannot_travel_is_reported_before_anything_runs(
    attach: Any, bare_server: ManagedServer, context: WorkflowContext
) -> None:
    engine = attach(bare_server, None)
    latent = {"samples": torch.zeros(1, 4, 8, 8)}
    prompt = {
        "l": loader(context, latent, "LATENT"),
        "k": node("LatentUpscaleBy", samples=["l", 0], scale_by=random.random()),
    }
    with pytest.raises(PromptRejected, match="install the Discomfort nodes") as caught:
        await engine.run(request_for(context, prompt, latent=["k", 0]))
    assert [finding.where.node for finding in caught.value.diagnostics] == ["l!", "k!"]


FLIPPING = {
    "in": port("latent"),
    "1": node("LatentFlip", samples=["in", 0], flip_method="x-axis: vertically"),
    "out": port("flipped", ["1", 0]),
}
FRAMES = {
    "1": node("EmptyImage", width=16, height=16, batch_size=3, color=0x40),
    "2": node("RebatchImages", images=["1", 0], batch_size=1),
    "out": port("frames", ["2", 0]),
}
NUMBERS = {
    "in": port("text"),
    "1": node("StringLength", string=["in", 0]),
    "2": node("StringContains", string=["in", 0], substring="house", case_sensitive=True),
    "length": port("length", ["1", 0]),
    "found": port("found", ["2", 0]),
}


async def test_R5_a_plan_of_which_something_cannot_travel_is_not_submitted(
    bare_server: ManagedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness(monkeypatch)
    async with await Discomfort.create(engine=bare_server.url) as discomfort:
        with pytest.raises(BindError) as caught:
            await discomfort.run(
                [INVERSION, FLIPPING, FRAMES],
                inputs={"photo": torch.zeros(1, 8, 8, 3), "latent": {"samples": torch.zeros(1, 4, 8, 8)}},
            )
    found = [(finding.code, finding.where.input) for finding in caught.value.diagnostics]
    assert found == [("DF521", name) for name in ("latent", "flipped", "frames")]
    assert witness.classes == {}


async def test_server_without_our_nodes_gives_numbers_and_truth_values_back(bare_server: ManagedServer) -> None:
    async with await Discomfort.create(engine=bare_server.url) as discomfort:
        results = await discomfort.run([NUMBERS], inputs={"text": "lighthouse"})
    assert results == {"length": 10, "found": True}


FILM = {
    "1": node("EmptyImage", width=32, height=16, batch_size=3, color=0x336699),
    "2": node("CreateVideo", images=["1", 0], fps=12.0),
    "film": port("film", ["2", 0]),
    "frames": port("frames", ["1", 0]),
}
REVIEW = {
    "in": port("film"),
    "1": node("GetVideoComponents", video=["in", 0]),
    "again": port("again", ["1", 0]),
    "fps": port("fps", ["1", 2]),
}


async def test_remote_server_keeps_a_video_and_takes_it_back(open_server: ManagedServer) -> None:
    engine = ComfyUIEngine.attached(open_server.url, open_server.token, share_memory=False)
    rules = {"VIDEO": "val"}
    async with await Discomfort.create(engine=engine) as discomfort:
        with discomfort.Context() as context:
            results = await discomfort.run([FILM], context=context, rules=rules)
            assert type(results["film"]) is OpaqueValue
            with pytest.raises(UnreadableValueError, match=r"output 'film' \(VIDEO\).*stays on the ComfyUI server"):
                results["film"].get_dimensions()
            back = await discomfort.run([REVIEW], context=context)
            assert torch.equal(back["again"], results["frames"])
            assert back["fps"] == 12.0
        with pytest.raises(BindError, match=r"input 'film'.*stays on another ComfyUI server"):
            await discomfort.run([REVIEW], inputs={"film": results["film"]})


async def test_a_server_without_our_nodes_refuses_a_video_before_anything_runs(
    bare_server: ManagedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness(monkeypatch)
    async with await Discomfort.create(engine=bare_server.url) as discomfort:
        with pytest.raises(BindError, match="output 'film' is VIDEO") as caught:
            await discomfort.run([FILM], rules={"VIDEO": "val"})
    assert [(finding.code, finding.where.input) for finding in caught.value.diagnostics] == [("DF521", "film")]
    assert witness.classes == {}


async def test_R6_a_picture_that_is_None_names_its_port(bare_server: ManagedServer) -> None:
    for kind in ("IMAGE", "MASK"):
        nothing = {"1": node("NothingForTests"), "out": port(kind.lower(), ["1", int(kind == "MASK")])}
        async with await Discomfort.create(engine=bare_server.url) as discomfort:
            with pytest.raises(NodeFailed, match=rf"output '{kind.lower()}'.*perhaps None.*install the Discomfort"):
                await discomfort.run([nothing])


DESCRIBING = {"in": port("given"), "1": node("DescribeForTests", value=["in", 0]), "out": port("seen", ["1", 0])}


@pytest.mark.parametrize("value", [5, -(2**63) + 1, 2.75, False, True, "hello", "7", ""], ids=repr)
async def test_R4_a_scalar_reaches_a_wildcard_of_a_server_without_our_nodes(
    bare_server: ManagedServer, value: Any
) -> None:
    async with await Discomfort.create(engine=bare_server.url) as discomfort:
        results = await discomfort.run([DESCRIBING], inputs={"given": value})
    assert results == {"seen": f"{type(value).__name__} {value!r}"}


@pytest.mark.parametrize("value", [None, math.nan, 10**30, -(2**63), 1e300], ids=repr)
async def test_R5_a_scalar_that_no_primitive_node_gives_is_refused(
    bare_server: ManagedServer, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    witness = Witness(monkeypatch)
    async with await Discomfort.create(engine=bare_server.url) as discomfort:
        with pytest.raises(BindError, match="input 'given'") as caught:
            await discomfort.run([DESCRIBING], inputs={"given": value})
    assert [finding.code for finding in caught.value.diagnostics] == ["DF521"]
    assert witness.classes == {}


async def test_a_saved_picture_opens_as_the_stitched_workflow(open_server: ManagedServer) -> None:
    """What SaveImage of a run embeds holds the nodes of all workflows; the editor makes a prompt of it again."""
    image = torch.rand(1, 16, 24, 3)
    engine = ComfyUIEngine.attached(open_server.url, open_server.token)
    async with await Discomfort.create(engine=engine) as discomfort:
        await discomfort.run([INVERSION, SAVING], inputs={"photo": image})
        catalog = await discomfort.engine.catalog()
    (path,) = (open_server.config.base_folder / "output").glob("stays*.png")
    with Image.open(path) as picture:
        embedded = json.loads(picture.info["workflow"])
    lowered = load_workflow(embedded, catalog)
    assert not lowered.diagnostics
    prompt = emit_prompt(lowered.graph)
    assert sorted(spec["class_type"] for spec in prompt.values()) == sorted(node["type"] for node in embedded["nodes"])
    (saver,) = (spec for spec in prompt.values() if spec["class_type"] == "SaveImage")
    assert prompt[saver["inputs"]["images"][0]]["class_type"] == "ImageInvert"


SAVING = {
    "version": 0.4,
    "last_node_id": 2,
    "last_link_id": 1,
    "nodes": [
        {
            "id": 1,
            "type": "DiscomfortPort",
            "mode": 0,
            "widgets_values": ["result", ""],
            "inputs": [{"name": "input", "type": "*", "link": None}],
            "outputs": [{"name": "output", "type": "*", "links": [1]}],
        },
        {
            "id": 2,
            "type": "SaveImage",
            "mode": 0,
            "widgets_values": ["stays"],
            "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
            "outputs": [],
        },
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
}
"""Saves what `INVERSION` makes."""
