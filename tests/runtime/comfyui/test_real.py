"""The engine on a real ComfyUI: `pytest --comfyui=PATH --comfyui-python=PYTHON`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.protocol import EngineLost, NodeFailed, PromptRejected
from tests.runtime.comfyui.helpers import is_alive, loader, node, request_for, result_of

pytestmark = pytest.mark.comfyui


async def test_real_server_keeps_the_laws(
    comfyui_path: Path, comfyui_python: str, tmp_path: Path, context: WorkflowContext
) -> None:
    """Values exact, equal content cached (C4), wrong prompts named (R6), restarted after a kill (R7)."""
    for folder in ("custom_nodes", "input", "output", "temp", "models", "user"):
        (tmp_path / folder).mkdir()
    database = f"sqlite:///{tmp_path / 'comfyui.db'}"
    arguments = ["--cpu", "--base-directory", str(tmp_path), "--database-url", database, "--disable-api-nodes"]
    engine = ComfyUIEngine.managed(comfyui_path, comfyui_python, arguments)
    try:
        catalog = await engine.catalog()
        assert catalog["DiscomfortPort"].category == "discomfort/utilities"
        image = torch.rand(2, 64, 32, 3)
        prompt = {"l": loader(context, image, "IMAGE"), "k": node("ImageInvert", image=["l", 0])}
        request = request_for(context, prompt, image=["k", 0])
        assert torch.equal(await result_of(engine, request), 1.0 - image)
        again = await engine.run(request)
        assert set(again.cached) == {"l", "k"}
        outcomes = await asyncio.gather(*(engine.run(request) for _ in range(5)))
        assert len(outcomes) == 5
        with pytest.raises(PromptRejected, match=r"main\.json, node k!"):
            await engine.run(request_for(context, {"k": node("NoSuchClass")}, out=["k", 0]))
        lost = {"l": node("DiscomfortContextLoader", digest="d1-" + "0" * 32, value_type="IMAGE")}
        with pytest.raises(NodeFailed, match=r"main\.json, node l!"):
            await engine.run(request_for(context, lost, out=["l", 0]))
        assert engine.server is not None
        process = engine.server.process_id
        assert process is not None
        await engine.server.stop()
        assert not is_alive(process)
        try:
            restarted = await result_of(engine, request)
        except EngineLost:  # the websocket's end was not noticed yet; the executor runs such prompts again
            restarted = await result_of(engine, request)
        assert torch.equal(restarted, 1.0 - image)
        process = engine.server.process_id
        assert process is not None
    finally:
        await engine.close()
    assert not is_alive(process)
