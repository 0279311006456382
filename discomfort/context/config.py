"""``workflow_context.json``: how much RAM a context may take and where its directories lie."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discomfort.context.errors import ConfigError
from discomfort.jsonc import loads_jsonc

GIB = 1024**3
DEFAULT_RAM_PERCENT = 50.0
CONFIG_NAME = "workflow_context.json"
_KEYS = ("MAX_RAM_PERCENT", "MAX_RAM_GB", "CONTEXTS_DIR_NAME")


@dataclass(frozen=True, slots=True)
class ContextConfig:
    """What ``workflow_context.json`` says.

    Attributes:
        max_ram_percent: share of the RAM that is free when the context is created, 0 to 100; wins over max_ram_gb.
        max_ram_gb: budget in GiB.
        contexts_dir_name: name of the directory that holds the contexts of a user, or an absolute path.
    """

    max_ram_percent: float | None = None
    max_ram_gb: float | None = None
    contexts_dir_name: str = "contexts"

    def ram_budget(self, available: int, max_ram_gb: float | None = None) -> int:
        """Bytes of RAM a context may take, given the bytes available now and the caller's own limit in GiB."""
        if max_ram_gb is not None:
            return int(_number("max_ram_gb", max_ram_gb, 0, 1 << 30) * GIB)
        if self.max_ram_percent is None and self.max_ram_gb is not None:
            return int(self.max_ram_gb * GIB)
        percent = DEFAULT_RAM_PERCENT if self.max_ram_percent is None else self.max_ram_percent
        return int(available * percent / 100)


def settings_file(name: str) -> Path | None:
    """A settings file the user keeps beside the package (the custom node's folder), if there is one."""
    candidate = Path(__file__).resolve().parents[2] / name
    return candidate if candidate.is_file() else None


def read_settings(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Read a JSON object with comments.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it does not hold a JSON object; the message says where.
    """
    try:
        settings = loads_jsonc(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(settings).__name__}")
    return settings


def load_config(path: str | os.PathLike[str] | None = None) -> ContextConfig:
    """Read a configuration; without a path, the one beside the package, or the defaults.

    Raises:
        FileNotFoundError: the path names no file.
        ConfigError: unknown keys, or values out of range.
    """
    source = Path(path) if path is not None else settings_file(CONFIG_NAME)
    if source is None:
        return ContextConfig()
    settings = read_settings(source)
    for key in settings:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known keys are {', '.join(_KEYS)}"
            raise ConfigError(f"{source}: unknown key {key!r}{hint}")
    try:
        return _config(settings)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def _config(settings: Mapping[str, Any]) -> ContextConfig:
    percent, gigabytes = settings.get("MAX_RAM_PERCENT"), settings.get("MAX_RAM_GB")
    return ContextConfig(
        max_ram_percent=None if percent is None else _number("MAX_RAM_PERCENT", percent, 0, 100),
        max_ram_gb=None if gigabytes is None else _number("MAX_RAM_GB", gigabytes, 0, 1 << 30),
        contexts_dir_name=_directory_name(settings.get("CONTEXTS_DIR_NAME", "contexts")),
    )


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"{name}: expected a number from {low} to {high}, found {value!r}")
    return float(value)


def _directory_name(value: object) -> str:
    if isinstance(value, str) and value and (Path(value).is_absolute() or (Path(value).name == value != "..")):
        return value
    raise ConfigError(f"CONTEXTS_DIR_NAME: expected a plain name or an absolute path, found {value!r}")
