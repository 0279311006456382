"""Settings files with values that JSON can hold and no program can use: each is a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from discomfort.errors import ConfigError
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server_config import read_config
from discomfort.settings.context import load_config
from discomfort.settings.pass_by import load_rules
from tests.runtime.comfyui.helpers import make_checkout

READERS: dict[str, Callable[[Path], object]] = {
    "comfy_serverless.json": read_config,
    "workflow_context.json": load_config,
    "pass_by_rules.json": load_rules,
}
SERVER_TEXTS = ("API_COMMAND_LINE", "API_WORKING_DIRECTORY", "API_URL", "COMFYUI_PATH")
SERVER_NUMBERS = ("INITIAL_PORT", "MAX_COMFY_START_ATTEMPTS", "COMFY_START_ATTEMPTS_SLEEP")
NO_TEXTS = (r"\u0000", r"a\u0000b", r"\ud800", r"python3 main.py \udc80")
NO_NUMBERS = ("1" + "0" * 400, "-1" + "0" * 400, "1e400", "-1e400", "NaN", "Infinity")


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("value", NO_TEXTS)
@pytest.mark.parametrize("key", SERVER_TEXTS)
def test_a_text_that_no_program_can_be_given(tmp_path: Path, key: str, value: str) -> None:
    checkout = make_checkout(tmp_path / "ComfyUI")
    path = "" if key == "COMFYUI_PATH" else f'"COMFYUI_PATH": "{checkout.as_posix()}", '
    with pytest.raises(ConfigError, match=key) as caught:
        read_config(write(tmp_path, "comfy_serverless.json", f'{{{path}"{key}": "{value}"}}'))
    str(caught.value).encode("utf-8")
    with pytest.raises(ConfigError):
        ComfyUIEngine.from_config(tmp_path / "comfy_serverless.json")


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("key", SERVER_NUMBERS)
def test_a_number_beyond_all_use(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=key):
        read_config(write(tmp_path, "comfy_serverless.json", f'{{"{key}": {value}}}'))


@pytest.mark.parametrize("host", ["\u202e", "a b", "x" * 300, "host:8188", "a/b"])
def test_an_address_that_nothing_can_have(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="API_URL"):
        read_config(write(tmp_path, "comfy_serverless.json", f'{{"API_URL": "{host}"}}'))


@pytest.mark.parametrize("value", [*NO_NUMBERS, r'"\u0000"', r'"\ud800"'])
@pytest.mark.parametrize("key", ["MAX_RAM_PERCENT", "MAX_RAM_GB", "CONTEXTS_DIR_NAME"])
def test_context_settings(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load_config(write(tmp_path, "workflow_context.json", f'{{"{key}": {value}}}'))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"[",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"INITIAL_PORT": 1' + b"0" * 5000 + b"}",
        b"1e400",
    ],
)
@pytest.mark.parametrize("name", READERS)
def test_what_is_not_a_settings_file(tmp_path: Path, name: str, text: bytes) -> None:
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        READERS[name](write(tmp_path, name, text))
