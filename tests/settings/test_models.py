"""The models of the settings files: everything wrong at once with its path, and the key that editors read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import discomfort
from discomfort.errors import ConfigError
from discomfort.runtime.engines.comfyui.process.server_config import ServerConfigError, read_config
from discomfort.settings.checking import check_settings, path_of
from discomfort.settings.context import load_config
from discomfort.settings.models import SETTINGS
from discomfort.settings.pass_by import load_rules
from tests.runtime.comfyui.helpers import make_checkout

READERS: dict[str, Callable[[Path], object]] = {
    "pass_by_rules": load_rules,
    "workflow_context": load_config,
    "comfy_serverless": read_config,
}
WRONG = {
    "pass_by_rules": (
        {"VAE": "maybe", "IMAGE": "val", "A B": 3},
        ["""$.VAE: expected "val" or "ref", found 'maybe'""", """$['A B']: expected "val" or "ref", found 3"""],
    ),
    "workflow_context": (
        {"MAX_RAM": 5, "MAX_RAM_GB": -1, "CONTEXTS_DIR_NAME": "../x", "MAX_RAM_PERCENT": True},
        [
            "$.MAX_RAM: unknown key 'MAX_RAM'; did you mean 'MAX_RAM_GB'?",
            "$.MAX_RAM_GB: expected a number from 0 to 1073741824, found -1",
            "$.CONTEXTS_DIR_NAME: expected a plain name or an absolute path, found '../x' (it leads out of its folder)",
            "$.MAX_RAM_PERCENT: expected a number from 0 to 100, found True",
        ],
    ),
    "comfy_serverless": (
        {
            "INITIAL_PORT": 70000,
            "color": 1,
            "API_URL": "h:1",
            "API_COMMAND_LINE": "python 'main.py",
            "COMFYUI_PATH": 5,
        },
        [
            "$.INITIAL_PORT: expected a whole number from 1 to 65535, found 70000",
            "$.color: unknown key 'color'; known keys are " + ", ".join(SETTINGS["comfy_serverless"].model_fields),
            "$.API_URL: expected a host name or address alone, without a port, found 'h:1' (the port is INITIAL_PORT)",
            '$.API_COMMAND_LINE: expected text, found "python \'main.py" (No closing quotation)',
            "$.COMFYUI_PATH: expected text, found 5",
        ],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_everything_wrong_is_reported_at_once_with_its_path(name: str, tmp_path: Path) -> None:
    settings, findings = WRONG[name]
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        READERS[name](path)
    assert str(caught.value) == "\n  ".join([f"{path}:", *findings])
    assert isinstance(caught.value, ServerConfigError) is (name == "comfy_serverless")


@pytest.mark.parametrize("name", READERS)
def test_a_file_may_name_its_schema(name: str, tmp_path: Path) -> None:
    path = make_checkout(tmp_path / "ComfyUI") / f"{name}.json"
    path.write_text('{\n  // for editors\n  "$schema": "../schema.json"\n}', encoding="utf-8")
    READERS[name](path)
    assert discomfort.schema(name)["properties"]["$schema"] == {"type": "string"}


def test_the_path_of_a_part() -> None:
    assert path_of() == "$"
    assert path_of("nodes", 3, "a b") == "$.nodes[3]['a b']"


def test_one_finding_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^rules: \$\[5\]: expected the name of a type, found 5$"):
        check_settings(SETTINGS["pass_by_rules"], {5: "val"}, "rules")


@pytest.mark.parametrize("value", [8188.0, "8188", True, 10**400, -1, [], None])
def test_ports_are_whole_numbers(value: object) -> None:
    model = SETTINGS["comfy_serverless"]
    if value is None:
        assert check_settings(model, {"INITIAL_PORT": value}, "x")
        return
    with pytest.raises(ConfigError, match="INITIAL_PORT"):
        check_settings(model, {"INITIAL_PORT": value}, "x")
