"""Ctrl-C ends a command with one line, "cancelled", and the exit status 130 that shells use for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a group of processes, this one included")
def test_ctrl_c_prints_one_line_and_ends_with_130(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "discomfort", "catalog", "pull", url, "-o", str(tmp_path / "mine.json.gz")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            connection, _ = server.accept()  # from here on it waits for an answer
            running.send_signal(signal.SIGINT)
            out, errors = running.communicate()
            connection.close()
    assert (running.returncode, out.strip(), errors.strip()) == (130, "", "cancelled")
