"""The examples of docs/engines-comfyui.md run: on the double, which is at the paths and addresses they name."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from types import CodeType

import pytest

from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.process.server_config import read_config

PAGE = (Path(__file__).parents[3] / "docs" / "engines-comfyui.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def at_home(text: str, checkout: Path, server: ManagedServer) -> str:
    """Return an example with the paths and addresses of this machine."""
    replaced = {
        "/path/to/ComfyUI": str(checkout),
        "/path/to/venv/bin/python": sys.executable,
        "http://127.0.0.1:8188": server.url,
        "the server's DISCOMFORT_TOKEN": server.token,
        ', arguments=["--cpu"]': "",
    }
    for there, here in replaced.items():
        text = text.replace(there, here)
    return text


@pytest.mark.parametrize("number", range(len(blocks("python"))))
async def test_example_runs(number: int, checkout: Path, server: ManagedServer) -> None:
    source = at_home(blocks("python")[number], checkout, server)
    code = compile(source, f"example {number + 1}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, CodeType)
    running = eval(code, {})
    if inspect.isawaitable(running):
        await running


def test_configuration_is_read(checkout: Path, server: ManagedServer, tmp_path: Path) -> None:
    (text,) = blocks("json")
    (tmp_path / "comfy_serverless.json").write_text(at_home(text, checkout, server))
    config = read_config(tmp_path / "comfy_serverless.json")
    assert (config.path, config.python, config.arguments) == (checkout, sys.executable, ("--cpu",))
    assert (config.first_port, config.start_attempts) == (8188, 10)
