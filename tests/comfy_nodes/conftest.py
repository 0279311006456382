"""A real ComfyUI server with our nodes, installed as users do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 180.0

Start = Callable[[str], "Server"]


class Server:
    """A running ComfyUI, with what to ask it."""

    def __init__(self, checkout: Path, python: str, base: Path, arguments: list[str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base = base
        self.log = base / "log.txt"
        command = [python, "main.py", "--cpu", "--disable-api-nodes", "--base-directory", str(base)]
        command += ["--database-url", f"sqlite:///{base / 'comfyui.db'}", "--port", str(self.port), *arguments]
        command.append("--cache-classic")  # the default of later versions gives way when the machine is short of memory
        with self.log.open("wb") as log:
            environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""}
            self.process = subprocess.Popen(
                command, cwd=checkout, stdout=log, stderr=subprocess.STDOUT, env=environment
            )

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.get("/system_stats")
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.2)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """Run a prompt to its end and return its entry in the history."""
        status, answer = self.post("/prompt", {"prompt": prompt})
        assert status == 200, answer
        deadline = time.monotonic() + 60
        while not (history := self.get(f"/history/{answer['prompt_id']}")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return dict(history[answer["prompt_id"]])


@pytest.fixture
def start(comfyui_path: Path, comfyui_python: str, tmp_path: Path) -> Iterator[Start]:
    """Starts the checkout with our nodes as "injected", "cloned", or "alone" (without the compiler)."""
    servers: list[Server] = []

    def run(how: str) -> Server:
        for folder in ("custom_nodes", "input", "output", "temp", "models", "user/default/workflows"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(__file__).with_name("counting_nodes.py"), tmp_path / "custom_nodes")
        arguments: list[str] = []
        if how == "cloned":
            (tmp_path / "custom_nodes" / "discomfort").symlink_to(REPOSITORY, target_is_directory=True)
        elif how == "alone":
            (tmp_path / "custom_nodes" / "discomfort").symlink_to(REPOSITORY, target_is_directory=True)
            hide = "import sys; sys.modules['discomfort.compiler.subworkflow'] = None; NODE_CLASS_MAPPINGS = {}\n"
            (tmp_path / "custom_nodes" / "hides_the_compiler.py").write_text(hide)
        else:
            paths = {"discomfort": {"base_path": str(REPOSITORY), "custom_nodes": "comfy_nodes/inject"}}
            (tmp_path / "paths.yaml").write_text(json.dumps(paths))
            arguments = ["--extra-model-paths-config", str(tmp_path / "paths.yaml")]
        servers.append(Server(comfyui_path, comfyui_python, tmp_path, arguments))
        servers[-1].wait()
        return servers[-1]

    yield run
    for server in servers:
        server.stop()
