"""Which engine runs a plan: the argument, then `DISCOMFORT_ENGINE`, then the ComfyUI around us, then embedded.

An engine is named by a word: `embedded`, `inprocess:PATH` and `comfyui:PATH` (a ComfyUI checkout), `comfyui` alone
(what `comfy_serverless.json` in the current folder, or COMFYUI_PATH, or the place we are in names), or the URL of a
running ComfyUI. Engines named by a word are made once per process, so that what they hold warm serves every run.
"""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.protocol import ENGINE_PARTS, Engine, EngineError

VARIABLE = "DISCOMFORT_ENGINE"

NAMES = "'embedded', 'comfyui', 'comfyui:PATH', 'inprocess:PATH' or the URL of a running ComfyUI"
"""The names of engines, as messages list them."""

_lock = threading.Lock()
_engines: dict[str, Engine] = {}


def select_engine(wish: Engine | str | None = None) -> Engine:
    """Return the engine that `wish` names, or the one that the surroundings suggest.

    Raises:
        EngineError: the word names no engine, or this is neither a word nor an engine.
    """
    if wish is not None and not isinstance(wish, str):
        return _checked(wish)
    word = wish or os.environ.get(VARIABLE) or _surroundings()
    with _lock:
        engine = _engines.get(word)
        if engine is None:
            engine = _engines[word] = make_engine(word)
            if len(_engines) == 1:
                atexit.register(close_engines)
        return engine


def _checked(engine: Engine) -> Engine:
    """Return `engine`, which has all that the protocol of engines asks for: a misspelled method has no silent default.

    Raises:
        EngineError: it is not an engine, or lacks a part of one; names every part.
    """
    missing = [name for name in ENGINE_PARTS if not hasattr(engine, name)]
    if "run" in missing:
        raise EngineError(f"{engine!r} is not an engine; give an engine, or one of its names: {NAMES}")
    if missing:
        raise EngineError(f"{engine!r} is not a complete engine: it lacks {', '.join(missing)} (see discomfort.Engine)")
    return engine


def make_engine(word: str) -> Engine:
    """Return a new engine for a word (see the module's text).

    Raises:
        EngineError: the text names no engine; lists the names that do.
    """
    kind, _, argument = word.partition(":")
    if word == "embedded":
        from discomfort.runtime.engines.embedded.engine import EmbeddedEngine

        return EmbeddedEngine()
    if kind in ("http", "https"):
        from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine

        return ComfyUIEngine.attached(word)
    if kind == "comfyui":
        from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine

        return ComfyUIEngine.managed(_checkout(word, argument)) if argument else ComfyUIEngine.from_config()
    if kind == "inprocess":
        from discomfort.runtime.engines.inprocess import InProcessEngine

        return InProcessEngine(_checkout(word, argument))
    raise EngineError(f"{word!r} names no engine; use {NAMES}")


def close_engines() -> None:
    """Close every engine that this module made; they are made again when requested again."""
    with _lock:
        engines = list(_engines.values())
        _engines.clear()
    for engine in engines:
        run_blocking(engine.close())


def _begin_again() -> None:
    """Forget the engines in a process that was forked: they are the parent's."""
    global _engines, _lock
    _engines, _lock = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)


def _surroundings() -> str:
    from discomfort.runtime.engines.comfyui.process.server_config import surrounding_comfyui

    return "comfyui" if surrounding_comfyui() is not None else "embedded"


def _checkout(word: str, argument: str) -> Path:
    kind = word.partition(":")[0]
    path = argument or os.environ.get("COMFYUI_PATH", "")
    if not path:
        raise EngineError(f"{word!r} does not say where ComfyUI is: write {kind}:PATH or set COMFYUI_PATH")
    return Path(path).expanduser().resolve()
