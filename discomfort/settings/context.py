"""``workflow_context.json``: how much a context may take and where its directories lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from discomfort.errors import ConfigError
from discomfort.settings.files import read_settings, settings_file

GIB = 1024**3
DEFAULT_RAM_PERCENT = 50.0
DEFAULT_MEMO_PERCENT = 10.0
CONFIG_NAME = "workflow_context.json"


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
    from discomfort.settings.checking import check_settings
    from discomfort.settings.models import ContextFile

    file = check_settings(ContextFile, settings, source)
    values = file.model_dump(exclude_none=True)
    return ContextConfig(**{key.lower(): value for key, value in values.items()})


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"{name}: expected a number from {low} to {high}, found {value!r}")
    return float(value)


def _gigabytes(name: str, value: object) -> float:
    return _number(name, value, 0, 1 << 30)
