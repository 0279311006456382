"""Which ComfyUI to start and how: arguments, `comfy_serverless.json`, `COMFYUI_PATH`, or the ComfyUI around us."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from discomfort.errors import ConfigError
from discomfort.runtime.engines.protocol import EngineError
from discomfort.settings.files import is_usable, read_settings

PATH_VARIABLE = "COMFYUI_PATH"
CONFIG_FILE = "comfy_serverless.json"
_HOST = re.compile(r"[^\s/?#@\x00-\x1f]{1,253}")
MOST_ATTEMPTS = 65535
"""There are no more ports to try."""
LONGEST_PAUSE = 3600
"""Seconds between two attempts."""

_KEYS: dict[str, type | tuple[type, ...]] = {
    "API_COMMAND_LINE": str,
    "API_WORKING_DIRECTORY": str,
    "API_URL": str,
    "INITIAL_PORT": int,
    "MAX_COMFY_START_ATTEMPTS": int,
    "COMFY_START_ATTEMPTS_SLEEP": (int, float),
    "COMFYUI_PATH": str,
    "TEST_PAYLOAD_FILE": str,  # documented; the readiness check needs no payload, so its value is not used
}


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
        ServerConfigError: the file cannot be read, is no JSON, or a value cannot be used; names all of them.
        EngineError: there is no ComfyUI where it says.
    """
    try:
        data = read_settings(path)
    except ConfigError as error:
        raise ServerConfigError(str(error)) from error
    except (OSError, ValueError) as error:
        raise ServerConfigError(f"{path}: {error}") from error
    _check(path, data)
    folder = path.resolve().parent
    checkout = data.get("COMFYUI_PATH") or os.environ.get(PATH_VARIABLE) or data.get("API_WORKING_DIRECTORY") or "./"
    python, options, arguments = split_command_line(data.get("API_COMMAND_LINE", ""))
    working = data.get("API_WORKING_DIRECTORY")
    found = [base / _expanded(checkout) for base in (folder, Path.cwd())]
    defaults = ServerConfig(next((place for place in found if _is_file(place / "main.py")), found[0]))
    return replace(
        defaults,
        python=absolute_python(python, folder) if python else defaults.python,
        python_options=options,
        arguments=arguments,
        working_directory=folder / _expanded(working) if working else None,
        host=_reachable(data.get("API_URL", defaults.host)),
        first_port=data.get("INITIAL_PORT"),
        start_attempts=data.get("MAX_COMFY_START_ATTEMPTS", defaults.start_attempts),
        attempt_pause=float(data.get("COMFY_START_ATTEMPTS_SLEEP", defaults.attempt_pause)),
    ).checked()


def split_command_line(line: str) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """Return interpreter, its options, and `main.py` arguments of a line such as `python3 -s main.py --cpu`.

    A bare `python` or `python3` means the interpreter that runs us (None), so that a virtual environment is kept.

    Raises:
        ValueError: a quotation is not closed.
    """
    words = shlex.split(line, posix=os.name == "posix")
    script = next((index for index, word in enumerate(words) if word.endswith("main.py")), None)
    if script is None:
        return None, (), tuple(words)
    interpreter = words[0] if script > 0 else None
    bare = interpreter in (None, "python", "python3", "python.exe")
    return (None if bare else interpreter), tuple(words[1:script]), tuple(words[script + 1 :])


def _check(path: Path, data: Mapping[str, Any]) -> None:
    wrong = [
        f"{key}: found {_shown(value)}, expected {_word(_KEYS[key])}"
        for key, value in data.items()
        if key in _KEYS and (isinstance(value, bool) or not isinstance(value, _KEYS[key]))
    ]
    wrong += [f"{key}: unknown; known are {', '.join(_KEYS)}" for key in data if key not in _KEYS]
    if not wrong:
        wrong = list(_unusable(data))
    if wrong:
        raise ServerConfigError(f"{path}:\n  " + "\n  ".join(wrong))


def _unusable(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of the right type with which no server can start."""
    port, attempts = data.get("INITIAL_PORT", 1), data.get("MAX_COMFY_START_ATTEMPTS", 1)
    if not 0 < port < 65536:
        yield f"INITIAL_PORT: found {_shown(port)}, expected 1 to 65535"
    if not 0 < attempts <= MOST_ATTEMPTS:
        yield f"MAX_COMFY_START_ATTEMPTS: found {_shown(attempts)}, expected at least 1, at most {MOST_ATTEMPTS}"
    pause = data.get("COMFY_START_ATTEMPTS_SLEEP", 0)
    if not 0 <= pause <= LONGEST_PAUSE:
        yield f"COMFY_START_ATTEMPTS_SLEEP: found {_shown(pause)}, expected 0 seconds or more, at most {LONGEST_PAUSE}"
    unusable = [key for key, value in data.items() if isinstance(value, str) and not is_usable(value)]
    if unusable:
        for key in unusable:
            yield f"{key}: found {_shown(data[key])}, which holds NUL or half a character: no program takes that"
        return
    if "API_URL" in data and not _is_host(_reachable(data["API_URL"])):
        yield f"API_URL: found {_shown(data['API_URL'])}, expected a host name or address"
    if re.fullmatch(r"[^:]*:[0-9]+", _reachable(data.get("API_URL", ""))):
        yield f"API_URL: found {data['API_URL']!r}, expected a host alone; the port is INITIAL_PORT"
    try:
        split_command_line(data.get("API_COMMAND_LINE", ""))
    except ValueError as error:
        yield f"API_COMMAND_LINE: found {data['API_COMMAND_LINE']!r}: {error}"


def _is_host(host: str) -> bool:
    """Return whether an address can be looked up at all."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return _HOST.fullmatch(host) is not None


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
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _word(kind: Any) -> str:
    return {str: "text", int: "a whole number"}.get(kind, "a number")


def _reachable(host: str) -> str:
    """Return where a server that listens on `host` is reached from this machine."""
    bare = host.split("://", 1)[-1].rstrip("/")
    return "127.0.0.1" if bare in ("0.0.0.0", "::", "") else bare
