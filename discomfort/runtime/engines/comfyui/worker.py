"""The documented face of the ComfyUI server behind a session: uploads, workflows as they are, stopping it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discomfort.ir.diagnostics import CompileError, has_errors
from discomfort.runtime.engine_thread import run_awaiting
from discomfort.runtime.engines.protocol import EngineError

if TYPE_CHECKING:
    from discomfort.ir.catalog.catalog import Catalog
    from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine

_FOLDERS = ("input", "output", "temp", "models")


class Worker:
    """Runs workflows and prompts on the server as they are, without compiling, and uploads files to it."""

    def __init__(self, engine: ComfyUIEngine) -> None:
        self._engine = engine
        self._ephemeral: list[Path] = []
        engine.on_close(self.remove_ephemeral)

    @property
    def server_address(self) -> str | None:
        """The server's address, such as `http://127.0.0.1:8188`; None before it was started."""
        return self._engine.url

    async def run_workflow(
        self, payload: Mapping[str, Any] | str | os.PathLike[str], use_workflow_json: bool = True
    ) -> dict[str, Any]:
        """Run a workflow, or a prompt, and return its history entry by prompt id.

        Args:
            payload: a workflow as the editor saves it, or a prompt; as data, or the path of a JSON file.
            use_workflow_json: whether it is a workflow (True) or a prompt.

        Returns:
            `{prompt_id: {"prompt": …, "outputs": …, "status": …}}`, as ComfyUI's `/history` answers.

        Raises:
            PromptRejected, NodeFailed, EngineLost: see `Engine.run`.
        """
        data = payload if isinstance(payload, Mapping) else json.loads(Path(payload).read_text("utf-8"))
        prompt = await self.get_prompt_from_workflow(data) if use_workflow_json else dict(data)
        extra = {"extra_pnginfo": {"workflow": dict(data)}} if use_workflow_json else {}
        return await run_awaiting(self._run(prompt, extra))

    async def _run(self, prompt: dict[str, Any], extra_data: Mapping[str, Any]) -> dict[str, Any]:
        await self._engine.start()
        connection = await self._engine.connected()
        return await connection.run_as_it_is(prompt, extra_data)

    async def _catalog(self) -> Catalog:
        await self._engine.start()
        return await self._engine.catalog()

    async def get_prompt_from_workflow(self, workflow: Mapping[str, Any]) -> dict[str, Any]:
        """Return the prompt that ComfyUI's editor would make of a workflow, with the server's node classes.

        Raises:
            CompileError: the workflow cannot be converted; says why and where.
        """
        from discomfort.compiler.frontend import load_workflow
        from discomfort.ir.api_prompt import emit_prompt

        lowered = load_workflow(workflow, await run_awaiting(self._catalog()))
        if has_errors(lowered.diagnostics):
            raise CompileError(lowered.diagnostics)
        return emit_prompt(lowered.graph)

    def upload_data(
        self,
        source_path: str | os.PathLike[str],
        folder_type: str = "input",
        subfolder: str | None = None,
        overwrite: bool = False,
        is_ephemeral: bool = False,
    ) -> str:
        """Copy a file into one of the managed ComfyUI's folders and return its full path.

        Args:
            source_path: the file.
            folder_type: "input", "output", "temp" or "models".
            subfolder: a folder inside; for models needed: "checkpoints", "loras"…
            overwrite: replace a file of that name; otherwise the copy gets a number.
            is_ephemeral: remove it again when the engine is closed.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: no such folder type, models without subfolder, or a subfolder that leads outside.
            EngineError: the server is not ours, so that its folders are out of reach.
        """
        source = Path(source_path)
        if not source.is_file():
            raise FileNotFoundError(f"no file {source}")
        folder = self._folder(folder_type, subfolder)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / source.name if overwrite else _unused(folder, source.name)
        _copy(source, target)
        self._engine.forget_catalog()
        if is_ephemeral:
            self._ephemeral.append(target)
        return str(target)

    async def kill_api(self) -> None:
        """Stop the server and remove ephemeral uploads; the next run starts it again."""
        await run_awaiting(self._engine.close())

    def remove_ephemeral(self) -> None:
        """Remove the files that were uploaded as ephemeral."""
        files, self._ephemeral = self._ephemeral, []
        for path in files:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _folder(self, folder_type: str, subfolder: str | None) -> Path:
        if folder_type not in _FOLDERS:
            raise ValueError(f"folder_type is {folder_type!r}, expected one of {', '.join(_FOLDERS)}")
        if folder_type == "models" and not subfolder:
            raise ValueError("models need a subfolder: checkpoints, loras, vae, controlnet…")
        if self._engine.server is None:
            raise EngineError("the files of an attached server are out of reach; upload_data needs a managed one")
        base = self._engine.server.config.folder(folder_type)
        folder = (base / (subfolder or "")).resolve()
        if not folder.is_relative_to(base.resolve()):
            raise ValueError(f"subfolder {subfolder!r} leads out of {base}")
        return folder


def _unused(folder: Path, name: str) -> Path:
    """Return a path in `folder` that does not exist: the name itself, or with a number."""
    path, number = folder / name, 1
    while path.exists():
        path = folder / f"{Path(name).stem} ({number}){Path(name).suffix}"
        number += 1
    return path


def _copy(source: Path, target: Path) -> None:
    """Copy completely or not at all."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".upload-", delete=False) as stream:
        partial = Path(stream.name)
    try:
        shutil.copyfile(source, partial)
        partial.chmod(0o644)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
