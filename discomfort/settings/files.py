"""The user's settings files, `workflow_context.json` and `pass_by_rules.json`: where they lie and how they are read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discomfort.errors import ConfigError
from discomfort.settings.folders import settings_folder
from discomfort.settings.jsonc import loads_jsonc


def settings_file(name: str) -> Path | None:
    """Return the user's settings file: in the current folder, in the user's settings folder, or in a clone's folder.

    A clone is what ComfyUI has in `custom_nodes`; a package that pip installed has no settings next to it.
    """
    folders = (Path.cwd(), settings_folder(), _clone_folder())
    return next((folder / name for folder in folders if folder is not None and (folder / name).is_file()), None)


def _clone_folder() -> Path | None:
    """Return the folder of the repository that this package is part of, None for a package that pip installed."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def is_usable(text: str) -> bool:
    """Return whether a text can be a file name or an argument of a program: no NUL, no half of a surrogate pair."""
    try:
        return b"\0" not in text.encode("utf-8")
    except UnicodeEncodeError:
        return False


LARGEST_SETTINGS = 4 * 1024 * 1024
"""Bytes of the largest settings file."""


def _read(path: str | os.PathLike[str]) -> bytes:
    with Path(path).open("rb") as file:
        content = file.read(LARGEST_SETTINGS + 1)
    if len(content) > LARGEST_SETTINGS:
        raise ConfigError(f"{path}: larger than {LARGEST_SETTINGS >> 20} MiB, which no settings are")
    return content


def read_settings(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Read a JSON object with comments.

    Raises:
        OSError: the file cannot be read.
        ConfigError: it does not hold a JSON object; the message says where.
    """
    try:
        settings = loads_jsonc(_read(path).decode("utf-8-sig"))
    except ConfigError:
        raise
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: the JSON is nested too deeply for settings") from error
    except ValueError as error:  # a number with more digits than Python reads
        raise ConfigError(f"{path}: not JSON that can be read: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(settings).__name__}")
    return settings
