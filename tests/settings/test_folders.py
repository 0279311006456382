"""Where settings and caches lie: one place of the system's, also where a variable or the home is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs
import pytest

from discomfort.settings import files, folders
from discomfort.settings.context import ContextConfig, load_config

linux = pytest.mark.skipif(sys.platform != "linux", reason="the variables of the XDG specification")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "DISCOMFORT_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@linux
def test_the_folders_are_those_of_the_system(home: Path) -> None:
    assert folders.cache_folder() == home / ".cache" / "discomfort"
    assert folders.settings_folder() == home / ".config" / "discomfort"


@linux
def test_variables_move_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert folders.cache_folder() == tmp_path / "cache" / "discomfort"
    assert folders.settings_folder() == tmp_path / "config" / "discomfort"


def test_our_own_variable_wins_and_may_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOMFORT_CACHE_DIR", str(tmp_path))
    assert folders.cache_folder() == tmp_path
    monkeypatch.setenv("DISCOMFORT_CACHE_DIR", "")
    assert folders.cache_folder() is None


def test_a_user_without_a_home_has_no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: "~/.cache/discomfort")
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: "~/.config/discomfort")
    assert folders.cache_folder() is None
    assert folders.settings_folder() is None


def test_without_platformdirs_nothing_is_remembered_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert folders.cache_folder() is None
    assert folders.settings_folder() is None
    assert load_config() == ContextConfig()


def test_settings_of_this_folder_go_before_those_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / "user"
    settings.mkdir()
    (settings / "workflow_context.json").write_text('{"MAX_RAM_GB": 1}', encoding="utf-8")
    monkeypatch.setattr(files, "settings_folder", lambda: settings)
    assert load_config().max_ram_gb == 1
    (tmp_path / "workflow_context.json").write_text('{"MAX_RAM_GB": 2}', encoding="utf-8")
    assert load_config().max_ram_gb == 2


def test_a_clone_has_settings_in_its_folder_and_an_installed_package_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "discomfort" / "settings" / "files.py"
    monkeypatch.setattr(files, "__file__", str(module))
    (tmp_path / "workflow_context.json").write_text("{}", encoding="utf-8")
    assert files.settings_file("workflow_context.json") is None
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    assert files.settings_file("workflow_context.json") == tmp_path / "workflow_context.json"
