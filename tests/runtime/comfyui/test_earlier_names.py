"""The names of the earlier Discomfort: ComfyConnector, and the thin files at the root of the repository."""

from __future__ import annotations

import ast
import asyncio
import json
import pickle
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import discomfort
from discomfort import ComfyConnector, EngineError
from tests.runtime.comfyui.helpers import INVERSION, is_alive, make_checkout, node

ROOT = Path(__file__).parents[3]
SUM = {"sum": node("Add", a=1, b=2), "show": node("PreviewAny", source=["sum", 0])}
FILES = ("comfy_serverless.py", "workflow_tools.py", "workflow_context.py")


def configuration(folder: Path, checkout: Path) -> Path:
    path = folder / "comfy_serverless.json"
    path.write_text(json.dumps({"COMFYUI_PATH": str(checkout), "COMFY_START_ATTEMPTS_SLEEP": 0.05}))
    return path


@pytest_asyncio.fixture
async def connector(checkout: Path, tmp_path: Path) -> AsyncIterator[ComfyConnector]:
    made = await ComfyConnector.create(configuration(tmp_path, checkout))
    yield made
    await made.kill_api()


def text_of(history: dict[str, dict[str, dict[str, object]]]) -> object:
    (entry,) = history.values()
    return entry["outputs"]["show"]


async def test_a_process_has_one_connector(connector: ComfyConnector, checkout: Path, tmp_path: Path) -> None:
    config = tmp_path / "comfy_serverless.json"
    assert await ComfyConnector.create() is connector
    assert await ComfyConnector.create(str(config)) is connector
    both = await asyncio.gather(ComfyConnector.create(config), ComfyConnector.create())
    assert both[0] is both[1] is connector
    (tmp_path / "other").mkdir()
    other = configuration(tmp_path / "other", checkout)
    with pytest.raises(EngineError, match=r"kill_api\(\)"):
        await ComfyConnector.create(other)
    await connector.kill_api()
    second = await ComfyConnector.create(other)
    assert second is not connector
    assert text_of(await second.run_workflow(SUM, use_workflow_json=False)) == {"text": ["3"]}
    await second.kill_api()


async def test_a_connector_whose_server_did_not_start_is_not_in_the_way(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    broken = configuration(tmp_path / "broken", make_checkout(tmp_path / "no_server"))
    (tmp_path / "no_server" / "main.py").write_text("raise SystemExit(3)")
    with pytest.raises(EngineError):
        await ComfyConnector.create(broken)
    made = await ComfyConnector.create(configuration(tmp_path, checkout))
    assert made.server_address.startswith("http://127.0.0.1:")
    await made.kill_api()


async def test_it_runs_prompts_and_workflows(connector: ComfyConnector, tmp_path: Path) -> None:
    assert text_of(await connector.run_workflow(SUM, use_workflow_json=False)) == {"text": ["3"]}
    path = tmp_path / "sum.json"
    path.write_text(json.dumps(SUM))
    assert text_of(await connector.run_workflow(str(path), use_workflow_json=False)) == {"text": ["3"]}
    prompt = await connector.get_prompt_from_workflow(INVERSION)
    assert prompt["2"] == {
        "class_type": "ImageInvert", "inputs": {"image": ["1", 0]}, "_meta": {"title": "ImageInvert"}
    }  # fmt: skip
    with pytest.raises(FileNotFoundError):
        await connector.run_workflow(tmp_path / "nothing.json")


async def test_its_addresses_are_those_of_the_server(connector: ComfyConnector) -> None:
    with urllib.request.urlopen(f"{connector.server_address}/system_stats") as answer:
        assert json.load(answer)["system"]
    assert (
        connector.ws_address == f"ws{connector.server_address.removeprefix('http')}/ws?clientId={connector.client_id}"
    )
    async with aiohttp.ClientSession() as session, session.ws_connect(connector.ws_address) as websocket:
        assert (await websocket.receive_json(timeout=30))["type"] == "status"
        # a websocket of the program does not take away the messages of the runs
        assert text_of(await connector.run_workflow(SUM, use_workflow_json=False)) == {"text": ["3"]}


async def test_a_killed_server_is_started_again(connector: ComfyConnector, checkout: Path, tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(b"png")
    kept, ephemeral = connector.upload_data(source), connector.upload_data(source, is_ephemeral=True)
    assert Path(kept) == checkout / "input" / "photo.png"
    server = connector._engine.server
    assert server is not None
    process = server.process_id
    assert process is not None
    await connector.kill_api()
    assert not is_alive(process)
    assert Path(kept).exists()
    assert not Path(ephemeral).exists()
    with pytest.raises(EngineError, match="does not run"):
        _ = connector.server_address
    with pytest.raises(EngineError, match="does not run"):
        _ = connector.ws_address
    assert text_of(await connector.run_workflow(SUM, use_workflow_json=False)) == {"text": ["3"]}
    assert await ComfyConnector.create() is connector
    assert connector.server_address


async def test_the_page_s_example_runs(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    configuration(tmp_path, checkout)
    nodes = [{**node, "mode": 0} for node in INVERSION["nodes"] if node["type"] != "DiscomfortPort"]
    preview = {"id": 4, "type": "PreviewAny", "mode": 0, "widgets_values": [], "outputs": []}
    empty = {"id": 5, "type": "EmptyImage", "mode": 0, "widgets_values": [8, 8, 1, 0], "inputs": []}
    empty["outputs"] = [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]
    preview["inputs"] = [{"name": "source", "type": "*", "link": 2}]
    links = [[1, 5, 0, 2, 0, "IMAGE"], [2, 2, 0, 4, 0, "*"]]
    (tmp_path / "main_workflow.json").write_text(
        json.dumps({**INVERSION, "nodes": [*nodes, preview, empty], "links": links})
    )
    page = (ROOT / "docs" / "earlier-discomfort.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    source = source.replace("custom_nodes.discomfort.comfy_serverless", "comfy_serverless")
    code = compile(source, "docs/earlier-discomfort.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {}
    await eval(code, names)
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")
    (entry,) = names["history"].values()
    assert entry["status"]["status_str"] == "success"


def run_program(code: str, folder: Path, *paths: Path) -> str:
    """Run a program in `folder` with our requirements and without an installed Discomfort; return what it prints."""
    site = [path for path in sys.path if path.endswith("site-packages")]
    start = f"import sys; sys.path[:0] = {['', *map(str, paths), *site]!r}\n"
    command = [sys.executable, "-S", "-c", start + code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["discomfort", "my_pack"])
def test_a_script_in_the_folder_of_comfyui_imports_the_earlier_names(tmp_path: Path, name: str) -> None:
    target = tmp_path / "custom_nodes" / name
    shutil.copytree(ROOT / "discomfort", target / "discomfort", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "comfy_nodes", target / "comfy_nodes", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("__init__.py", *FILES):
        shutil.copy(ROOT / file, target / file)
    code = (
        f"from custom_nodes.{name}.comfy_serverless import ComfyConnector\n"
        f"from custom_nodes.{name}.workflow_tools import WorkflowTools\n"
        f"from custom_nodes.{name}.workflow_context import WorkflowContext\n"
        f"from custom_nodes.{name}.discomfort import Discomfort\n"
        "import discomfort\n"
        "assert WorkflowTools is discomfort.WorkflowTools\n"
        "assert WorkflowContext is discomfort.WorkflowContext is discomfort.Context\n"
        "assert ComfyConnector is discomfort.ComfyConnector and Discomfort is discomfort.Discomfort\n"
        "with WorkflowContext(max_ram_gb=0.01) as context:\n"
        "    context.save('seed', 7)\n"
        "    print(context.load('seed'), WorkflowTools().pass_by_rules['MODEL'], discomfort.__file__)\n"
    )
    printed = run_program(code, tmp_path).split()
    assert printed[:2] == ["7", "ref"]
    assert Path(printed[2]).resolve().is_relative_to(target.resolve())


def test_a_script_in_the_repository_imports_the_earlier_names(tmp_path: Path) -> None:
    code = (
        "import comfy_serverless, workflow_tools, workflow_context, discomfort\n"
        "assert comfy_serverless.ComfyConnector is discomfort.ComfyConnector\n"
        "assert workflow_tools.WorkflowTools is discomfort.WorkflowTools\n"
        "assert workflow_context.WorkflowContext is discomfort.Context\n"
        "print('fine')\n"
    )
    assert run_program(code, tmp_path, ROOT) == "fine\n"


@pytest.mark.parametrize(
    "call",
    [
        lambda path: discomfort.compile([path]),
        lambda path: discomfort.compile(["{}", path]),
        lambda path: discomfort.Tools.discover_port_nodes(path),
        lambda path: discomfort.Tools.stitch_workflows([path, path]),
    ],
)
def test_a_missing_workflow_is_a_file_not_found_error(call: object, tmp_path: Path) -> None:
    assert callable(call)
    with pytest.raises(FileNotFoundError, match="there is no such file") as caught:
        call(str(tmp_path / "nothing.json"))
    assert isinstance(caught.value, discomfort.CompileError)
    assert "nothing.json" in str(caught.value)


async def test_a_session_s_missing_workflow_is_a_file_not_found_error(tmp_path: Path) -> None:
    async with await discomfort.Discomfort.create(engine="embedded") as session:
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            await session.run([tmp_path / "nothing.json"])


def test_other_mistakes_are_not_file_not_found_errors() -> None:
    with pytest.raises(discomfort.CompileError) as caught:
        discomfort.compile(["{}"])
    assert not isinstance(caught.value, OSError)


def test_a_compile_error_can_be_sent_to_another_process(tmp_path: Path) -> None:
    for source in ("{}", str(tmp_path / "nothing.json")):
        with pytest.raises(discomfort.CompileError) as caught:
            discomfort.compile([source])
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is type(caught.value)
        assert (again.diagnostics, str(again)) == (caught.value.diagnostics, str(caught.value))


def test_findings_that_can_be_read_once_make_an_error() -> None:
    with pytest.raises(discomfort.CompileError) as caught:
        discomfort.compile(["{}"])
    again = discomfort.CompileError(finding for finding in caught.value.diagnostics)
    assert (again.diagnostics, str(again)) == (caught.value.diagnostics, str(caught.value))
