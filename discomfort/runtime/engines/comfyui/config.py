"""Which ComfyUI to start and how: arguments, `comfy_serverless.json`, `COMFYUI_PATH`, or the ComfyUI around us."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from discomfort.jsonc import loads_jsonc
from discomfort.runtime.engine import EngineError

PATH_VARIABLE = "COMFYUI_PATH"
CONFIG_FILE = "comfy_serverless.json"

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


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How to start a ComfyUI server of our own.

    `path` is the checkout (the folder with `main.py`); `python` its interpreter; `arguments` go to `main.py`;
    `host` is where we reach it; `first_port` is tried first, then the next ones (None: any free port);
    `start_attempts` bounds how often another port is tried, `attempt_pause` seconds apart; `start_timeout` is how long
    it may take until it answers; `grace` how long it may take to stop before it is killed (seconds).
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

    @property
    def base_folder(self) -> Path:
        """Where the server's input, output, temp and models folders lie."""
        given = dict(zip(self.arguments, self.arguments[1:], strict=False)).get("--base-directory")
        return Path(given).expanduser() if given else self.path

    def checked(self) -> ServerConfig:
        """Return this configuration with an absolute path.

        Raises:
            EngineError: there is no ComfyUI at `path`.
        """
        path = self.path.expanduser().resolve()
        if not (path / "main.py").is_file():
            raise EngineError(
                f"no ComfyUI at {path}: there is no main.py in it. Give the folder of a ComfyUI checkout as argument, "
                f"as COMFYUI_PATH in {CONFIG_FILE}, or in the environment variable {PATH_VARIABLE}."
            )
        return replace(self, path=path)


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
        EngineError: the file cannot be read, is no JSON, or a value has the wrong type; names all of them.
    """
    try:
        data = loads_jsonc(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"{path}: {error}") from error
    _check(path, data)
    folder = path.resolve().parent
    checkout = data.get("COMFYUI_PATH") or os.environ.get(PATH_VARIABLE) or data.get("API_WORKING_DIRECTORY") or "./"
    python, arguments = split_command_line(data.get("API_COMMAND_LINE", ""))
    working = data.get("API_WORKING_DIRECTORY")
    found = [base / Path(checkout).expanduser() for base in (folder, Path.cwd())]
    defaults = ServerConfig(next((place for place in found if (place / "main.py").is_file()), found[0]))
    return replace(
        defaults,
        python=python or defaults.python,
        arguments=arguments,
        working_directory=folder / Path(working).expanduser() if working else None,
        host=_reachable(data.get("API_URL", defaults.host)),
        first_port=data.get("INITIAL_PORT"),
        start_attempts=data.get("MAX_COMFY_START_ATTEMPTS", defaults.start_attempts),
        attempt_pause=float(data.get("COMFY_START_ATTEMPTS_SLEEP", defaults.attempt_pause)),
    ).checked()


def split_command_line(line: str) -> tuple[str | None, tuple[str, ...]]:
    """Return interpreter and `main.py` arguments of a line such as `python3 main.py --cpu`.

    A bare `python` or `python3` means the interpreter that runs us (None), so that a virtual environment is kept.
    """
    words = shlex.split(line, posix=os.name == "posix")
    script = next((index for index, word in enumerate(words) if word.endswith("main.py")), None)
    if script is None:
        return None, tuple(words)
    interpreter = words[0] if script > 0 else None
    bare = interpreter in (None, "python", "python3", "python.exe")
    return (None if bare else interpreter), tuple(words[script + 1 :])


def _check(path: Path, data: Any) -> None:
    if not isinstance(data, dict):
        raise EngineError(f"{path}: expected an object with keys such as {', '.join(_KEYS)}")
    wrong = [
        f"{key}: found {value!r}, expected {_word(_KEYS[key])}"
        for key, value in data.items()
        if key in _KEYS and (isinstance(value, bool) or not isinstance(value, _KEYS[key]))
    ]
    wrong += [f"{key}: unknown; known are {', '.join(_KEYS)}" for key in data if key not in _KEYS]
    port = data.get("INITIAL_PORT")
    if isinstance(port, int) and not 0 < port < 65536:
        wrong.append(f"INITIAL_PORT: found {port}, expected 1 to 65535")
    if wrong:
        raise EngineError(f"{path}:\n  " + "\n  ".join(wrong))


def _word(kind: Any) -> str:
    return {str: "text", int: "a whole number"}.get(kind, "a number")


def _reachable(host: str) -> str:
    """Return where a server that listens on `host` is reached from this machine."""
    bare = host.split("://", 1)[-1].rstrip("/")
    return "127.0.0.1" if bare in ("0.0.0.0", "::", "") else bare
