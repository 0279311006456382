"""Which ComfyUI is started: `comfy_serverless.json`, COMFYUI_PATH, the ComfyUI around us."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server_config import (
    ServerConfig,
    find_config,
    read_config,
)
from discomfort.runtime.engines.protocol import EngineError
from discomfort.settings.server import split_command_line


def write(folder: Path, text: str) -> Path:
    path = folder / "comfy_serverless.json"
    path.write_text(text)
    return path


def test_documented_file_is_read(checkout: Path) -> None:
    text = """{
        "API_COMMAND_LINE": "python3 main.py --cpu --preview-method auto",  // comments are fine
        "API_WORKING_DIRECTORY": "./",
        "API_URL": "0.0.0.0",
        "INITIAL_PORT": 8188,
        "TEST_PAYLOAD_FILE": "test_server.json",
        "MAX_COMFY_START_ATTEMPTS": 7,
        "COMFY_START_ATTEMPTS_SLEEP": 0.5,
        "COMFYUI_PATH": "./"
    }"""
    assert read_config(write(checkout, text)) == ServerConfig(
        checkout.resolve(),
        python=sys.executable,
        arguments=("--cpu", "--preview-method", "auto"),
        working_directory=checkout.resolve(),
        host="127.0.0.1",
        first_port=8188,
        start_attempts=7,
        attempt_pause=0.5,
    )


def test_everything_wrong_is_reported_at_once(checkout: Path) -> None:
    path = write(
        checkout, '{"INITIAL_PORT": "8188", "MAX_COMFY_START_ATTEMPTS": true, "INITAL_PORT": 1, "COMFYUI_PATH": "./"}'
    )
    with pytest.raises(EngineError) as caught:
        read_config(path)
    assert str(caught.value) == (
        f"{path}:\n"
        "  $.INITIAL_PORT: expected a whole number from 1 to 65535, found '8188'\n"
        "  $.MAX_COMFY_START_ATTEMPTS: expected a whole number from 1 to 65535, found True\n"
        "  $.INITAL_PORT: unknown key 'INITAL_PORT'; did you mean 'INITIAL_PORT'?"
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"INITIAL_PORT": 70000}'])
def test_unusable_file_is_reported(checkout: Path, text: str) -> None:
    with pytest.raises(EngineError, match=r"comfy_serverless\.json"):
        read_config(write(checkout, text))


def test_file_may_begin_with_a_byte_order_mark(checkout: Path) -> None:
    """As editors on Windows write it."""
    path = checkout / "comfy_serverless.json"
    path.write_text(json.dumps({"COMFYUI_PATH": str(checkout)}), "utf-8-sig")
    assert read_config(path).path == checkout.resolve()


def test_path_without_comfyui_names_the_ways_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="COMFYUI_PATH"):
        read_config(write(tmp_path, '{"COMFYUI_PATH": "nowhere"}'))


def test_order_is_argument_file_variable(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    assert find_config() is None
    with pytest.raises(EngineError, match="no ComfyUI is named"):
        ComfyUIEngine.from_config()
    monkeypatch.setenv("COMFYUI_PATH", str(checkout))
    assert find_config() == ServerConfig(checkout.resolve())
    here: dict[str, Any] = {"COMFYUI_PATH": str(checkout), "INITIAL_PORT": 8001}
    write(tmp_path, json.dumps(here))
    found = find_config()
    assert found is not None
    assert found.first_port == 8001
    other = write(checkout, '{"INITIAL_PORT": 8002}')
    named = find_config(other)
    assert named is not None
    assert named.first_port == 8002


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python3 main.py", (None, (), ())),
        ("/opt/venv/bin/python main.py --cpu", ("/opt/venv/bin/python", (), ("--cpu",))),
        ("python -s -u main.py --cpu", (None, ("-s", "-u"), ("--cpu",))),
        ("python ComfyUI/main.py --output-directory 'a b'", (None, (), ("--output-directory", "a b"))),
        ("--lowvram", (None, (), ("--lowvram",))),
        ("", (None, (), ())),
    ],
)
def test_command_line_is_split(line: str, expected: tuple[object, ...]) -> None:
    assert split_command_line(line) == expected


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("API_COMMAND_LINE", 'python main.py "--cpu', "No closing quotation"),
        ("API_URL", "http://127.0.0.1:8188", "the port is INITIAL_PORT"),
        ("MAX_COMFY_START_ATTEMPTS", 0, "expected a whole number from 1"),
        ("COMFY_START_ATTEMPTS_SLEEP", -1, "expected a number from 0 to 3600"),
        ("API_WORKING_DIRECTORY", "nowhere", "no folder"),
    ],
)
def test_values_with_which_no_server_can_start_are_reported(checkout: Path, key: str, value: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        read_config(write(checkout, json.dumps({"COMFYUI_PATH": "./", key: value})))


def test_relative_interpreter_starts_at_the_file_or_the_current_folder(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = read_config(write(checkout, '{"API_COMMAND_LINE": "venv/bin/python main.py", "COMFYUI_PATH": "./"}'))
    assert named.python == str(checkout / "venv" / "bin" / "python")
    monkeypatch.chdir(tmp_path)
    assert ServerConfig(checkout, "venv/bin/python").checked().python == str(tmp_path / "venv" / "bin" / "python")
    assert ServerConfig(checkout, "python3.11").checked().python == "python3.11"


def test_base_folder_follows_the_argument(checkout: Path) -> None:
    assert ServerConfig(checkout).base_folder == checkout
    assert ServerConfig(checkout, arguments=("--base-directory", "/data")).base_folder == Path("/data")
    assert ServerConfig(checkout, arguments=("--base-directory=/data",)).base_folder == Path("/data")
    assert ServerConfig(checkout, arguments=("--base-directory", "data")).base_folder == checkout / "data"


def test_folders_follow_the_arguments(checkout: Path) -> None:
    config = ServerConfig(checkout, arguments=("--input-directory", "/in", "--temp-directory=/t", "--cpu"))
    assert config.folder("input") == Path("/in")
    assert config.folder("temp") == Path("/t/temp")
    assert config.folder("output") == checkout / "output"
