"""Files that are replaced under their names, on a real ComfyUI: `pytest --comfyui=PATH --comfyui-python=PYTHON`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from tests.runtime.comfyui.files_scenario import Scenario, prepare
from tests.runtime.comfyui.real import real_config

pytestmark = [pytest.mark.comfyui, pytest.mark.timeout(600)]


def test_on_a_managed_server(comfyui_path: Path, comfyui_python: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    engine = ComfyUIEngine.managed(real_config(comfyui_path, comfyui_python, tmp_path))
    try:
        run_blocking(engine.start())
        with WorkflowContext(max_ram_gb=0.5) as context:
            Scenario(engine, tmp_path, context).play()
    finally:
        run_blocking(engine.close())


def test_on_an_attached_server(comfyui_path: Path, comfyui_python: str, tmp_path: Path) -> None:
    """The server goes on when the engine is closed, and still knows what it has read."""
    prepare(tmp_path)
    server = ManagedServer(real_config(comfyui_path, comfyui_python, tmp_path))
    asyncio.run(server.start())
    try:
        engine = ComfyUIEngine.attached(server.url, server.token)
        with WorkflowContext(max_ram_gb=0.5) as context:
            Scenario(engine, tmp_path, context).play()
        run_blocking(engine.close())
    finally:
        asyncio.run(server.stop())


def test_in_this_process(comfyui_path: Path, comfyui_python: str, tmp_path: Path) -> None:
    program = Path(__file__).with_name("files_scenario.py")
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [comfyui_python, str(program), str(comfyui_path), str(tmp_path)]
    played = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    if "No module named" in played.stderr and comfyui_python == sys.executable:
        pytest.skip("this Python lacks ComfyUI's requirements")
    assert played.returncode == 0, played.stderr[-4000:]
    assert "played" in played.stdout
