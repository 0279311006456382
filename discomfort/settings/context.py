"""``workflow_context.json``: how much a context may take and where its directories lie."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discomfort.errors import ConfigError
from discomfort.settings.files import is_usable, read_settings, settings_file

GIB = 1024**3
DEFAULT_RAM_PERCENT = 50.0
DEFAULT_MEMO_PERCENT = 10.0
CONFIG_NAME = "workflow_context.json"
_FIELDS = {
    "MAX_RAM_PERCENT": "max_ram_percent",
    "MAX_RAM_GB": "max_ram_gb",
    "MAX_MEMO_GB": "max_memo_gb",
    "CONTEXTS_DIR_NAME": "contexts_dir_name",
}


@dataclass(frozen=True, slots=True)
class ContextConfig:
    """What ``workflow_context.json`` says.

    Attributes:
        max_ram_percent: share of the RAM that is free when the context is created, 0 to 100; wins over max_ram_gb.
        max_ram_gb: budget in GiB.
        max_memo_gb: how much results may take, in GiB, that only the memo keeps.
        contexts_dir_name: name of the directory that holds the contexts of a user, or an absolute path.
    """

    max_ram_percent: float | None = None
    max_ram_gb: float | None = None
    contexts_dir_name: str = "contexts"
    max_memo_gb: float | None = None

    def ram_budget(self, available: int, max_ram_gb: float | None = None) -> int:
        """Bytes of RAM a context may take, given the bytes available now and the caller's own limit in GiB."""
        if max_ram_gb is not None:
            return int(_gigabytes("max_ram_gb", max_ram_gb) * GIB)
        if self.max_ram_percent is None and self.max_ram_gb is not None:
            return int(self.max_ram_gb * GIB)
        percent = DEFAULT_RAM_PERCENT if self.max_ram_percent is None else self.max_ram_percent
        return int(available * percent / 100)

    def memo_budget(self, free: int, max_memo_gb: float | None = None) -> int:
        """Bytes that the memo may keep, given the bytes free now where it lies and the caller's own limit in GiB."""
        if max_memo_gb is not None:
            return int(_gigabytes("max_memo_gb", max_memo_gb) * GIB)
        if self.max_memo_gb is not None:
            return int(self.max_memo_gb * GIB)
        return int(free * DEFAULT_MEMO_PERCENT / 100)


def load_config(path: str | os.PathLike[str] | None = None) -> ContextConfig:
    """Read a configuration; without a path, that of `settings_file`, or the defaults.

    Raises:
        FileNotFoundError: the path names no file.
        ConfigError: unknown keys and values out of range, all of them.
    """
    source = Path(path) if path is not None else settings_file(CONFIG_NAME)
    if source is None:
        return ContextConfig()
    settings = read_settings(source)
    wrong = [*_unknown_keys(settings), *_wrong_values(settings)]
    if wrong:
        raise ConfigError(f"{source}: " + "\n  ".join(wrong))
    given = {_FIELDS[key]: value for key, value in settings.items() if value is not None}
    return ContextConfig(**given)


def _unknown_keys(settings: Mapping[str, Any]) -> Iterator[str]:
    for key in settings:
        if key not in _FIELDS:
            near = difflib.get_close_matches(key, _FIELDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known keys are {', '.join(_FIELDS)}"
            yield f"unknown key {key!r}{hint}"


def _wrong_values(settings: Mapping[str, Any]) -> Iterator[str]:
    for key, check in _CHECKS.items():
        if settings.get(key) is not None:
            try:
                check(key, settings[key])
            except ConfigError as error:
                yield str(error)


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"{name}: expected a number from {low} to {high}, found {value!r}")
    return float(value)


def _percent(name: str, value: object) -> float:
    return _number(name, value, 0, 100)


def _gigabytes(name: str, value: object) -> float:
    return _number(name, value, 0, 1 << 30)


def _directory_name(name: str, value: object) -> None:
    if isinstance(value, str) and value and is_usable(value):
        path = Path(value)
        if path.is_absolute() or path.name == value != "..":
            return
    raise ConfigError(f"{name}: expected a plain name or an absolute path, found {value!r}")


_CHECKS: Mapping[str, Callable[[str, object], object]] = {
    "MAX_RAM_PERCENT": _percent,
    "MAX_RAM_GB": _gigabytes,
    "MAX_MEMO_GB": _gigabytes,
    "CONTEXTS_DIR_NAME": _directory_name,
}
