"""Imports a ComfyUI checkout into this Python through its own entry points, without its web server listening.

ComfyUI's modules have plain top-level names (`nodes`, `folder_paths`, `comfy`…) and keep their state in themselves, so
a process can hold one checkout, with the arguments it was first imported with.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import importlib.util
import logging
import sys
import threading
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from discomfort.runtime.engines.protocol import EngineError

logger: logging.Logger = logging.getLogger("discomfort")

_TOP_LEVEL = (
    "nodes",
    "folder_paths",
    "comfy",
    "execution",
    "server",
    "app",
    "utils",
    "comfy_execution",
    "comfy_extras",
)
"""Modules of a checkout whose names another package may have taken already."""

_OUTPUT_MODELS = ("checkpoints", "clip", "vae", "diffusion_models", "loras")
"""Kinds of models that nodes save below the output folder, where loaders find them again."""

_lock = threading.Lock()
_loaded: Checkout | None = None


class CheckoutLock:
    """Who runs a prompt: one at a time, since ComfyUI's interruption, progress and node ids are those of a process."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._interruption = threading.Lock()
        self._running: object = None

    @contextmanager
    def taken(self, ticket: object, management: Any) -> Iterator[None]:
        """Wait for the turn, and have it in the `with` block, uninterrupted at first; for the worker threads."""
        with self._turn:
            self._change(ticket, management)
            try:
                yield
            finally:
                self._change(None, management)

    def interrupt(self, ticket: object, management: Any) -> None:
        """Have ComfyUI stop the run with this ticket; does nothing where another one has the turn."""
        with self._interruption:
            if self._running is ticket:
                management.interrupt_current_processing(True)

    def _change(self, ticket: object, management: Any) -> None:
        with self._interruption:
            self._running = ticket
            management.interrupt_current_processing(False)


class Checkout:
    """An imported ComfyUI: its modules by name, and its node classes once `_prepare` has loaded them."""

    def __init__(self, path: Path, arguments: tuple[str, ...], arguments_parsed: Any) -> None:
        self.path = path
        self.arguments = arguments
        self.options = arguments_parsed
        self.turns: CheckoutLock = CheckoutLock()
        # before `nodes`, which puts ComfyUI's `comfy` folder first in sys.path, where another `utils` is
        self.module("utils.extra_config")
        self.folder_paths: ModuleType = self.module("folder_paths")

    @property
    def classes(self) -> Mapping[str, Any]:
        """ComfyUI's own table of node classes; it grows when custom nodes add to it."""
        table: Mapping[str, Any] = self.module("nodes").NODE_CLASS_MAPPINGS
        return table

    def display_name(self, name: str) -> str:
        """Return what people call a class."""
        return str(self.module("nodes").NODE_DISPLAY_NAME_MAPPINGS.get(name) or name)

    def module(self, name: str) -> ModuleType:
        """Return one of the checkout's modules."""
        return importlib.import_module(name)


def load_checkout(path: Path, arguments: Sequence[str] | None = None) -> Checkout:
    """Return the ComfyUI at `path`, imported once per process; takes seconds the first time.

    Args:
        path: the folder with ComfyUI's `main.py` and `nodes.py`.
        arguments: those of its command line; None means none, and `--cpu` where torch sees no accelerator.

    Raises:
        EngineError: it is not a checkout, its requirements are missing, or this process holds another one.
    """
    global _loaded
    path = path.expanduser().resolve()
    with _lock:
        wanted = tuple(arguments) if arguments is not None else _default_arguments()
        if _loaded is not None:
            if _loaded.path != path or (arguments is not None and _loaded.arguments != wanted):
                raise EngineError(
                    f"this process already holds the ComfyUI at {_loaded.path} with the arguments "
                    f"{list(_loaded.arguments)}, and can hold only one: use another process, or "
                    f"engine='comfyui:{path}'"
                )
            return _loaded
        _loaded = _load(path, wanted)
        return _loaded


def _default_arguments() -> tuple[str, ...]:
    """Return `--cpu` where torch sees no accelerator: ComfyUI needs the option."""
    import torch

    devices = (torch.cuda, getattr(torch.backends, "mps", None), getattr(torch, "xpu", None))
    return () if any(device is not None and device.is_available() for device in devices) else ("--cpu",)


def _load(path: Path, arguments: tuple[str, ...]) -> Checkout:
    if not (path / "nodes.py").is_file() or not (path / "comfy").is_dir():
        raise EngineError(f"{path} is not a ComfyUI checkout: it has no nodes.py and comfy/")
    _refuse_taken_names(path)
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))
    before = set(sys.modules)
    around = "nodes" in before
    try:
        options = _parse_arguments(arguments)
        checkout = Checkout(path, arguments, options)
        if not around:
            _prepare(checkout)
    except ImportError as error:
        _forget(path, before)
        raise EngineError(
            f"the ComfyUI at {path} cannot be imported: {error}. Its requirements must be installed in the Python that "
            f"runs Discomfort ({sys.executable}): pip install -r {path / 'requirements.txt'}; or use "
            f"engine='comfyui:{path}', which starts it in a Python of its own"
        ) from error
    except SystemExit as error:
        _forget(path, before)
        (*_, last) = traceback.extract_tb(error.__traceback__)
        raise EngineError(
            f"the ComfyUI at {path} refused to start in this Python (exit code {error.code}, from {last.filename}; "
            f"arguments {list(arguments)}): what it said is in the log"
        ) from error
    except BaseException:
        _forget(path, before)
        raise
    return checkout


def _forget(path: Path, before: Collection[str]) -> None:
    """Forget the modules of a checkout that were imported since `before`: the next attempt begins again, and does not
    take what is left of this one for a ComfyUI around us.
    """
    for name, module in [*sys.modules.items()]:
        if name not in before and any(path in place.parents for place in _places(module)):
            del sys.modules[name]


def _refuse_taken_names(path: Path) -> None:
    """Raise where modules of ComfyUI's names were imported from elsewhere."""
    for name in _TOP_LEVEL:
        module = sys.modules.get(name)
        known = _places(module) if module is not None else []
        if known and not any(path in place.parents for place in known):
            raise EngineError(
                f"a module named {name!r} is already imported from {known[0]}, and ComfyUI needs that name: "
                f"use engine='comfyui:{path}', which runs ComfyUI in a process of its own"
            )


def _places(module: ModuleType) -> list[Path]:
    """Return the file and the folders that a module was imported from."""
    places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    return [Path(place).resolve() for place in places if place]


def _parse_arguments(arguments: tuple[str, ...]) -> Any:
    """Let ComfyUI read `arguments` as its command line, and return what it made of them."""
    kept = sys.argv
    sys.argv = [str(Path("main.py")), *arguments]
    try:
        importlib.import_module("comfy.options").enable_args_parsing()
        return importlib.import_module("comfy.cli_args").args
    finally:
        sys.argv = kept


def _prepare(checkout: Checkout) -> None:
    """Do what ComfyUI's start does before its server listens: folders, custom nodes' start scripts, node classes."""
    options, folder_paths = checkout.options, checkout.folder_paths
    _set_folders(checkout)
    Path(folder_paths.get_temp_directory()).mkdir(parents=True, exist_ok=True)
    with_custom_nodes = not options.disable_all_custom_nodes
    if with_custom_nodes:
        _run_start_scripts(folder_paths.get_folder_paths("custom_nodes"))
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    asyncio.set_event_loop(loop)
    try:
        server = checkout.module("server").PromptServer(loop)
        server.send_sync = _ignore_message
        loop.run_until_complete(
            checkout.module("nodes").init_extra_nodes(
                init_custom_nodes=with_custom_nodes, init_api_nodes=not options.disable_api_nodes
            )
        )
    finally:
        asyncio.set_event_loop(None)


def _ignore_message(*_message: Any, **_options: Any) -> None:
    """Ignore messages of nodes to the browser: there is none."""


def _set_folders(checkout: Checkout) -> None:
    """Point ComfyUI to the folders that its configuration and arguments name."""
    options, folder_paths = checkout.options, checkout.folder_paths
    configurations = [str(checkout.path / "extra_model_paths.yaml")]
    configurations += [one for several in options.extra_model_paths_config or () for one in several]
    for configuration in configurations:
        if Path(configuration).is_file():
            checkout.module("utils.extra_config").load_extra_path_config(configuration)
    for kind in ("output", "input", "user"):
        wanted = getattr(options, f"{kind}_directory", None)
        if wanted:
            getattr(folder_paths, f"set_{kind}_directory")(str(Path(wanted).resolve()))
    for kind in _OUTPUT_MODELS:
        folder_paths.add_model_folder_path(kind, str(Path(folder_paths.get_output_directory()) / kind))


def _run_start_scripts(folders: Sequence[str]) -> None:
    """Run `prestartup_script.py` of each custom node; one that fails is reported in the log, as ComfyUI does."""
    for folder in folders:
        if not Path(folder).is_dir():
            continue
        for script in sorted(Path(folder).glob("*/prestartup_script.py")):
            if script.parent.name.endswith(".disabled"):
                continue
            spec = importlib.util.spec_from_file_location(f"prestartup_{script.parent.name}", script)
            if spec is None or spec.loader is None:
                continue
            try:
                spec.loader.exec_module(importlib.util.module_from_spec(spec))
            except Exception as error:  # noqa: BLE001 — a custom node's own code
                logger.warning("%s failed: %s: %s", script, type(error).__name__, error)
