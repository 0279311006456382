"""Which ComfyUI to start and how: arguments, `comfy_serverless.json`, `COMFYUI_PATH`, or the ComfyUI around us."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from discomfort.errors import ConfigError
from discomfort.printable import shortened
from discomfort.runtime.engines.protocol import EngineError
from discomfort.settings.files import read_settings
from discomfort.settings.server import reachable_host, split_command_line

PATH_VARIABLE = "COMFYUI_PATH"
CONFIG_FILE = "comfy_serverless.json"
_LONGEST_SHOWN = 80


class ServerConfigError(EngineError, ConfigError):
    """A `comfy_serverless.json` that cannot be used; the message names everything that is wrong with it."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How to start a ComfyUI server of our own.

    `path` is the checkout (the folder with `main.py`); `python` its interpreter and `python_options` that one's own,
    such as `-s`; `arguments` go to `main.py`, which runs in `working_directory` (None: the checkout); `host` is where
    we reach it; `first_port` is tried first, then the next ones (None: any free port); `start_attempts` bounds how
    often another port is tried, `attempt_pause` seconds apart; `start_timeout` is how long it may take until it
    answers; `grace` how long it may take to stop before it is killed (seconds).
    """

    path: Path
    python: str = sys.executable
    arguments: tuple[str, ...] = ()
    working_directory: Path | None = None
    host: str = "127.0.0.1"
    first_port: int | None = None
    start_attempts: int = 10
    attempt_pause: float = 1.0
    start_timeout: float = 300.0
    grace: float = 5.0
    python_options: tuple[str, ...] = ()

    @property
    def base_folder(self) -> Path:
        """Where the server's input, output, temp and models folders lie, unless its arguments name others."""
        return self._given("--base-directory") or self.path

    def folder(self, kind: str) -> Path:
        """Return the server's folder of a kind: "input", "output", "temp" or "models"."""
        given = self._given(f"--{kind}-directory")
        if given is None:
            return self.base_folder / kind
        return given / "temp" if kind == "temp" else given

    def checked(self) -> ServerConfig:
        """Return this configuration with absolute paths; relative ones start at the current folder.

        Raises:
            EngineError: there is no ComfyUI at `path`, or no such working directory.
        """
        try:
            path = self.path.expanduser().resolve()
            there = (path / "main.py").is_file()
        except (OSError, RuntimeError, ValueError) as error:  # no home folder; a name that is too long or holds NUL
            raise EngineError(f"no ComfyUI at {_shown(str(self.path))}: {error}") from error
        if not there:
            raise EngineError(
                f"no ComfyUI at {path}: there is no main.py in it. Give the folder of a ComfyUI checkout as argument, "
                f"as COMFYUI_PATH in {CONFIG_FILE}, or in the environment variable {PATH_VARIABLE}."
            )
        try:
            working = self.working_directory.expanduser().resolve() if self.working_directory else None
            there = working is None or working.is_dir()
        except (OSError, RuntimeError, ValueError) as error:
            raise EngineError(f"no folder {_shown(str(self.working_directory))}: {error}") from error
        if not there:
            raise EngineError(f"no folder {working}, in which ComfyUI is to run")
        return replace(self, path=path, python=absolute_python(self.python, Path.cwd()), working_directory=working)

    def _given(self, option: str) -> Path | None:
        """Return the path that an argument names, as the server takes it: the last one counts."""
        found = None
        for word, following in zip(self.arguments, (*self.arguments[1:], ""), strict=False):
            if word == option:
                found = following
            elif word.startswith(f"{option}="):
                found = word.partition("=")[2]
        return (self.working_directory or self.path) / found if found else None


def absolute_python(python: str, folder: Path) -> str:
    """Return an interpreter that is found from anywhere: a relative path starts at `folder`, a name is looked up later.

    Links are kept: that of a virtual environment leads to an interpreter that knows nothing of it.
    """
    given = _expanded(python)
    return python if python == given.name else str(folder / given)


def find_config(config_path: str | os.PathLike[str] | None = None) -> ServerConfig | None:
    """Return the configured server, or None when no ComfyUI is named anywhere.

    Looked at in this order: `config_path`, a `comfy_serverless.json` in the current folder, the environment variable
    COMFYUI_PATH, the ComfyUI around us (see `surrounding_comfyui`).

    Raises:
        EngineError: a configuration file that cannot be read or holds wrong values, or a path without ComfyUI.
    """
    if config_path is not None:
        return read_config(Path(config_path))
    if Path(CONFIG_FILE).is_file():
        return read_config(Path(CONFIG_FILE))
    if os.environ.get(PATH_VARIABLE):
        return ServerConfig(Path(os.environ[PATH_VARIABLE])).checked()
    around = surrounding_comfyui()
    return ServerConfig(around).checked() if around else None


def surrounding_comfyui() -> Path | None:
    """Return the ComfyUI checkout that this process runs, or in whose `custom_nodes` this package lies, or None."""
    folders = getattr(sys.modules.get("folder_paths"), "base_path", None)
    if folders:
        return Path(str(folders))
    for folder in Path(__file__).resolve().parents:
        if folder.name == "custom_nodes" and (folder.parent / "main.py").is_file():
            return folder.parent
    return None


def read_config(path: Path) -> ServerConfig:
    """Return the server that a `comfy_serverless.json` describes.

    Relative paths start at the file's folder or, where there is no ComfyUI, at the current folder.

    Raises:
        ServerConfigError: the file cannot be read, is not JSON, or a value cannot be used; names all of them.
        EngineError: there is no ComfyUI where it says.
    """
    from discomfort.settings.checking import check_settings
    from discomfort.settings.models import ServerFile

    try:
        file = check_settings(ServerFile, read_settings(path), path)
    except ConfigError as error:
        raise ServerConfigError(str(error)) from error
    except (OSError, ValueError) as error:
        raise ServerConfigError(f"{path}: {error}") from error
    folder = path.resolve().parent
    checkout = file.COMFYUI_PATH or os.environ.get(PATH_VARIABLE) or file.API_WORKING_DIRECTORY or "./"
    python, options, arguments = split_command_line(file.API_COMMAND_LINE)
    working = file.API_WORKING_DIRECTORY
    found = [base / _expanded(checkout) for base in (folder, Path.cwd())]
    defaults = ServerConfig(next((place for place in found if _is_file(place / "main.py")), found[0]))
    return replace(
        defaults,
        python=absolute_python(python, folder) if python else defaults.python,
        python_options=options,
        arguments=arguments,
        working_directory=folder / _expanded(working) if working else None,
        host=reachable_host(file.API_URL),
        first_port=file.INITIAL_PORT,
        start_attempts=file.MAX_COMFY_START_ATTEMPTS,
        attempt_pause=file.COMFY_START_ATTEMPTS_SLEEP,
    ).checked()


def _expanded(path: str) -> Path:
    """Return a path with the home folder for `~`; as it is written where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _shown(value: Any) -> str:
    return shortened(repr(value), _LONGEST_SHOWN)
