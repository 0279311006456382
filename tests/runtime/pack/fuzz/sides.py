"""Both sides of the fuzz: a real ComfyUI in a process of its own, and the embedded engine here."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders
from discomfort.runtime.engines.protocol import NodeFailed, PromptRejected, PromptRequest
from tests.runtime.pack.fuzz import fuzz_nodes, worker
from tests.runtime.pack.fuzz.cases import PNG_INFO, Case
from tests.runtime.pack.fuzz.compare import Outcome

WORKER = Path(worker.__file__)


class RealComfyUI:
    """A process with a checkout's own executor."""

    def __init__(self, checkout: Path, python: str, base: Path) -> None:
        self._exchange = base / "exchange"
        self._exchange.mkdir(parents=True)
        self._log = (base / "comfyui.log").open("w", encoding="utf-8")
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONWARNINGS", None)
        self._process = subprocess.Popen(
            [python, str(WORKER), str(checkout), str(base / "base")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        self._wait_for("ready")

    def run(self, cases: Sequence[Case]) -> list[Outcome]:
        """Return what came of each case."""
        path = self._exchange / "cases.pt"
        torch.save([case.as_dict() for case in cases], path)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        self._wait_for("done")
        outcomes: list[Outcome] = torch.load(f"{path}.out", weights_only=False)
        return outcomes

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self._log.close()

    def _wait_for(self, answer: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != answer:
            self._process.kill()
            self._process.wait()
            log = Path(self._log.name).read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the real ComfyUI ended instead of answering {answer!r}:\n{log[-4000:]}")


@contextmanager
def real_comfyui(checkout: Path, python: str, base: Path | None = None) -> Iterator[RealComfyUI]:
    """Run a real ComfyUI in the `with` block."""
    with tempfile.TemporaryDirectory() as folder:
        real = RealComfyUI(checkout, python, base or Path(folder) / "real")
        try:
            yield real
        finally:
            real.close()


class Ours:
    """The embedded engine, with folders of its own."""

    def __init__(self, base: Path, context: WorkflowContext) -> None:
        self.base = base
        self._context = context
        self._folders = Folders(base / "input", base / "output", base / "temp", base / "models")

    def run(self, case: Case) -> Outcome:
        """Return what comes of a case."""
        worker.prepare(self.base, case.files)
        engine = EmbeddedEngine(self._folders)
        engine.register(fuzz_nodes.CLASSES)
        fuzz_nodes.VALUES.clear()
        fuzz_nodes.VALUES.update(_copied(case.values))
        fuzz_nodes.COLLECTED.clear()
        request = PromptRequest(case.prompt, {}, self._context, extra_pnginfo=PNG_INFO)
        try:
            result = asyncio.run(_run(engine, request))
        except PromptRejected as error:
            return {"rejected": str(error)}
        except NodeFailed as error:
            return {"raised": error.exception_type, "message": error.exception_message, "node": error.node}
        return {
            "outputs": worker.portable(list(fuzz_nodes.COLLECTED)),
            "ui": result.ui.get("node"),
            "files": worker.written(self.base, case.files),
            "inputs": dict(fuzz_nodes.VALUES),
        }


async def _run(engine: EmbeddedEngine, request: PromptRequest) -> Any:
    try:
        return await engine.run(request)
    finally:
        await engine.close()


def _copied(value: Any) -> Any:
    """Return a copy whose tensors share nothing with the original."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copied(item) for item in value)
    return value
