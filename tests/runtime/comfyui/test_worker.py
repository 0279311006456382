"""The documented face of the server: `Discomfort.Worker`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engine_thread import run_awaiting
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.worker import Worker
from discomfort.runtime.engines.protocol import EngineError, NodeFailed
from discomfort.session import Discomfort
from tests.runtime.comfyui.chains import port
from tests.runtime.comfyui.helpers import PATIENCE, StartEngine, is_alive, node


@pytest_asyncio.fixture
async def worker(server: ManagedServer) -> AsyncIterator[Worker]:
    """The worker of an attached engine; it lives on the engine loop, as in a session."""
    engine = ComfyUIEngine.attached(server.url, server.token, patience=PATIENCE)
    yield Worker(engine)
    await run_awaiting(engine.close())


async def test_prompt_runs_as_it_is_and_gives_its_history(worker: Worker, tmp_path: Path) -> None:
    prompt = {"sum": node("Add", a=1, b=2), "show": node("PreviewAny", source=["sum", 0])}
    path = tmp_path / "prompt.json"
    path.write_text(json.dumps(prompt))
    for payload in (prompt, str(path)):
        history = await worker.run_workflow(payload, use_workflow_json=False)
        (entry,) = history.values()
        assert entry["outputs"] == {"show": {"text": ["3"]}}
        assert entry["status"]["status_str"] == "success"


async def test_failing_prompt_raises(worker: Worker) -> None:
    prompt = {"bad": node("Misbehave", value=1, how="raise", unless=""), "show": node("PreviewAny", source=["bad", 0])}
    with pytest.raises(NodeFailed, match="asked to fail"):
        await worker.run_workflow(prompt, use_workflow_json=False)


async def test_files_are_uploaded_into_the_servers_folders(
    managed: StartEngine, checkout: Path, tmp_path: Path
) -> None:
    engine = managed()
    worker = Worker(engine)
    source = tmp_path / "photo.png"
    source.write_bytes(b"one")
    first = worker.upload_data(source, is_ephemeral=True)
    assert Path(first) == checkout / "input" / "photo.png"
    source.write_bytes(b"two")
    second = worker.upload_data(str(source))
    assert Path(second).read_bytes() == b"two"
    assert Path(first).read_bytes() == b"one"
    assert worker.upload_data(source, overwrite=True) == first
    model = worker.upload_data(source, "models", "checkpoints")
    assert Path(model) == checkout / "models" / "checkpoints" / "photo.png"
    await run_awaiting(engine.start())
    assert engine.server is not None
    process = engine.server.process_id
    assert process is not None
    await worker.kill_api()
    assert not is_alive(process)
    assert not Path(first).exists()
    assert Path(second).exists()


async def test_uploaded_model_is_among_the_options(checkout: Path, tmp_path: Path) -> None:
    """The classes list the files of the server, and a model is checked against that list before it is loaded."""
    engine = ComfyUIEngine.managed(checkout, arguments=["--base-directory", str(checkout)], patience=PATIENCE)
    source = tmp_path / "new.safetensors"
    source.write_bytes(b"")
    loading = {"in": port("name"), "1": node("LoraName", name=["in", 0]), "out": port("loaded", ["1", 0])}
    async with await Discomfort.create(engine=engine) as discomfort:
        with pytest.raises(BindError, match="takes one of"):
            await discomfort.run([loading], inputs={"name": source.name})
        discomfort.Worker.upload_data(source, "models", "loras")
        assert await discomfort.run([loading], inputs={"name": source.name}) == {"loaded": source.name}


def test_wrong_uploads_are_refused(checkout: Path, tmp_path: Path, server: ManagedServer) -> None:
    worker = Worker(ComfyUIEngine.managed(checkout))
    source = tmp_path / "x"
    source.write_bytes(b"x")
    with pytest.raises(FileNotFoundError):
        worker.upload_data(tmp_path / "missing")
    with pytest.raises(ValueError, match="folder_type"):
        worker.upload_data(source, "models2")
    with pytest.raises(ValueError, match="subfolder"):
        worker.upload_data(source, "models")
    with pytest.raises(ValueError, match="leads out"):
        worker.upload_data(source, "input", "../../..")
    with pytest.raises(EngineError, match="attached"):
        Worker(ComfyUIEngine.attached(server.url)).upload_data(source)


async def test_workflow_of_the_editor_is_converted(worker: Worker) -> None:
    workflow = {
        "version": 0.4,
        "last_node_id": 2,
        "last_link_id": 1,
        "nodes": [
            {
                "id": 1,
                "type": "Add",
                "pos": [0, 0],
                "mode": 0,
                "inputs": [],
                "outputs": [{"name": "INT", "type": "INT", "links": [1]}],
                "widgets_values": [3, 4],
            },
            {
                "id": 2,
                "type": "PreviewAny",
                "pos": [0, 0],
                "mode": 0,
                "inputs": [{"name": "source", "type": "*", "link": 1}],
                "outputs": [],
                "widgets_values": [],
            },
        ],
        "links": [[1, 1, 0, 2, 0, "INT"]],
    }
    prompt = await worker.get_prompt_from_workflow(workflow)
    assert prompt["1"]["inputs"] == {"a": 3, "b": 4}
    (entry,) = (await worker.run_workflow(workflow)).values()
    assert entry["outputs"]["2"] == {"text": ["7"]}
    assert entry["prompt"][3]["extra_pnginfo"] == {"workflow": workflow}
