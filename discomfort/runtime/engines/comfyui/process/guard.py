"""Keeps a ComfyUI server from outliving the program that started it. Runs as a process of its own.

    python guard.py GRACE_SECONDS LOG_FILE COMMAND…

The guard starts COMMAND in a process group of its own and writes its process id as a line to standard output. It stops
the whole group (SIGTERM, a grace period, SIGKILL) when its standard input ends or its parent is gone, which happen
whatever way the program dies, SIGKILL included; or on SIGTERM. Should the guard itself be killed, Linux kills the
server with it (parent-death signal). It exits with the server's exit status, and with 127 where COMMAND cannot be
started. Of LOG_FILE only the last part is kept once it has more than 16 MiB. LOG_FILE's folder is the program's to
remove; the guard does it where the program is gone: its input then ends without the byte that says farewell.

Only the standard library is used: the guard must start fast and anywhere.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)
_POLL_SECONDS = 0.2
_NOT_STARTED = 127  # as shells say it
_MAX_LOG_BYTES = 16 * 2**20
_KEPT_LOG_BYTES = 2**20


def main(arguments: list[str]) -> int:
    """Start the server, wait for it or for the reason to stop it, and return its exit status."""
    grace, log, command = float(arguments[0]), Path(arguments[1]), arguments[2:]
    stop, gone = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    try:
        server = _start(command, log)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error}\n")
        return _NOT_STARTED
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    threading.Thread(target=_stop_at_end_of_input, args=(stop, gone), daemon=True).start()
    threading.Thread(target=_stop_at_end_of_server, args=(server, stop), daemon=True).start()
    while not stop.wait(_POLL_SECONDS):
        _shorten(log)
        if os.getppid() != parent:
            gone.set()
            stop.set()
    if server.poll() is None:
        _ask_to_stop(server)
        try:
            server.wait(grace)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"the server did not stop within {grace:g} s and is killed\n")
    _kill_group(server)
    status = server.wait()
    if gone.is_set():
        shutil.rmtree(log.parent, ignore_errors=True)
    return status


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        if sys.platform == "win32":
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            )
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _shorten(log: Path) -> None:
    """Keep only the end of a log that has grown large: a server writes to it for as long as it runs."""
    try:
        if log.stat().st_size <= _MAX_LOG_BYTES:
            return
        with log.open("r+b") as stream:
            stream.seek(-_KEPT_LOG_BYTES, os.SEEK_END)
            end = stream.read(_KEPT_LOG_BYTES)
            stream.seek(0)
            stream.truncate()  # the server appends: what it writes from here on comes behind the new end
            stream.write(end)
    except OSError:
        return  # another program holds it open, on Windows: the next round tries again


def _die_with_parent() -> None:
    """Ask Linux to kill this process, the server, when the guard dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop_at_end_of_input(stop: threading.Event, gone: threading.Event) -> None:
    farewell = os.read(0, 1)  # unbuffered: a lock of a buffered stream, held at our exit, would abort it
    if not farewell:
        gone.set()
    stop.set()


def _stop_at_end_of_server(server: subprocess.Popen[bytes], stop: threading.Event) -> None:
    server.wait()
    stop.set()


def _ask_to_stop(server: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        server.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        _signal_group(server, signal.SIGTERM)


def _kill_group(server: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the server and of everything it started."""
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(server.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    else:
        _signal_group(server, signal.SIGKILL)


def _signal_group(server: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(server.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # the group is empty already


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
