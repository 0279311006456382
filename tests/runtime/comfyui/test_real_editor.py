"""What is saved stays usable: a picture of a run, dropped into a real ComfyUI's editor: `pytest --comfyui=PATH`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.plan import compile
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from tests.conformance.harness.page import FrontendMissing, browse
from tests.conformance.harness.server import SETTINGS
from tests.runtime.comfyui.helpers import INVERSION
from tests.runtime.comfyui.real import real_config
from tests.runtime.comfyui.test_real_attach import SAVING

pytestmark = [pytest.mark.comfyui, pytest.mark.timeout(550)]


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedServer]:
    path = str(request.config.getoption("--comfyui"))
    python = str(request.config.getoption("--comfyui-python") or sys.executable)
    made = ManagedServer(real_config(Path(path).resolve(), python, tmp_path_factory.mktemp("editor")))
    asyncio.run(made.start())
    body = json.dumps(SETTINGS).encode()  # no tutorial over the page
    posted = urllib.request.Request(f"{made.url}/settings", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(posted).close()
    yield made
    asyncio.run(made.stop())


def saved_picture(server: ManagedServer, context: WorkflowContext) -> Path:
    """Run two workflows, the second of which saves what the first makes; return the file."""
    engine = ComfyUIEngine.attached(server.url, server.token)
    try:
        plan = compile([INVERSION, SAVING], catalog=run_blocking(engine.catalog()))
        plan.run(context, inputs={"photo": torch.rand(1, 16, 24, 3)}, engine=engine)
    finally:
        run_blocking(engine.close())
    (path,) = (server.config.base_folder / "output").glob("stays*.png")
    return path


def shape(prompt: dict[str, Any], node_id: str) -> Any:
    """Return what feeds a node, as nested lists of classes."""
    spec = prompt[node_id]
    sources = [value for value in spec["inputs"].values() if isinstance(value, list)]
    return [spec["class_type"], *(shape(prompt, str(source[0])) for source in sources)]


def test_a_saved_picture_opens_in_the_editor_as_the_stitched_workflow(
    server: ManagedServer, context: WorkflowContext
) -> None:
    picture = saved_picture(server, context)
    command = [sys.executable, "-c", "from discomfort.cli.main import main; main()", "prompt", str(picture)]
    ours = subprocess.run(command, capture_output=True, text=True, check=True)
    try:
        with browse(server.url) as editor:
            answer = editor.drop(picture)
    except FrontendMissing as missing:
        pytest.skip(str(missing))
    assert answer.error is None
    prompt = answer.value
    assert prompt is not None
    assert prompt == json.loads(ours.stdout)
    (saver,) = (node_id for node_id, spec in prompt.items() if spec["class_type"] == "SaveImage")
    assert shape(prompt, saver)[:2] == ["SaveImage", ["ImageInvert", ["DiscomfortPort"]]]
