"""Titles and texts of others are shown on a terminal, and cannot steer it; every text can be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler.plan.draw import draw
from discomfort.context.context import WorkflowContext
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.plan import compile
from discomfort.printable import printable, printable_line
from discomfort.runtime.engines.protocol import NodeFailed, NodePlace, NodeProgress
from discomfort.runtime.running.progress import RunProgress

EVIL = "a\x1b[2J\x1b]0;owned\x07\x9b31m\u202etxt\ud800\nb"
SIZES = {"width": 8, "height": 8, "batch_size": 1, "color": 0}
SHOWN = r"a\x1b[2J\x1b]0;owned\x07\x9b31m\u202etxt\ud800\nb"


def workflow(title: str) -> dict[str, Any]:
    """Return a prompt whose titles, names, types and texts are all `title`."""
    return {
        "1": {"class_type": "Nothing " + title, "inputs": {title: title}, "_meta": {"title": title}},
        title: {"class_type": "EmptyImage", "inputs": dict(SIZES), "_meta": {"title": title}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": [title, 0]}, "_meta": {"title": title}},
        "4": {"class_type": "DiscomfortPort", "inputs": {"unique_id": title, "tags": title, "input": ["5", 0]}},
        "5": {"class_type": "PrimitiveString", "inputs": {"value": title}, "_meta": {"title": title}},
    }


@pytest.mark.parametrize(("text", "shown"), [(EVIL, SHOWN), ("größer ☃ 字\t", "größer ☃ 字\\t"), ("", "")])
def test_a_line_shows_what_is_not_a_text(text: str, shown: str) -> None:
    assert printable_line(text) == shown


def test_text_keeps_its_lines() -> None:
    assert printable("a\r\n\tb\x1b") == "a\\r\n\tb\\x1b"


@given(st.text())
def test_what_is_printable_can_be_written_and_is_stable(text: str) -> None:
    once = printable_line(text)
    once.encode("utf-8")
    assert len(once.splitlines()) <= 1
    assert printable_line(once) == once


def is_clean(text: str) -> bool:
    return text == printable(text)


def test_a_program_with_such_titles_is_explained_drawn_and_reported() -> None:
    plan = compile([workflow(EVIL)])
    assert is_clean(plan.explain())
    drawing = draw(plan, default_catalog())
    assert is_clean(drawing)
    drawing.encode("utf-8")
    assert plan.diagnostics
    assert all(is_clean(finding.render()) for finding in plan.diagnostics)


def test_errors_show_them() -> None:
    place = NodePlace("main.json", "3", EVIL, "Bad")
    assert str(NodeFailed("3", place, "ValueError", EVIL)) == (
        f"main.json, node 3 ({SHOWN}), class Bad: ValueError: " + SHOWN.replace("\\n", "\n")
    )
    with WorkflowContext(max_ram_gb=0.01) as context, pytest.raises(KeyError) as caught:
        context.load(EVIL)
    assert is_clean(str(caught.value))


def test_progress_shows_them() -> None:
    with RunProgress(show=True) as progress:
        progress.begin_iteration()
        progress.add_prompt(2)
        progress.name_places({"1": NodePlace("w", "1", "[/red][link=x]" + EVIL, "C")})
        listener = progress.listener
        assert listener is not None
        listener(NodeProgress("1", 1, 2))
        assert progress._bars is not None
        described = [str(task.description) for task in progress._bars.tasks]
        assert described[1] == "[/red][link=x]" + SHOWN
        progress._bars.refresh()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("command", ["check", "ports", "plan", "prompt", "dot", "run", "plan --json", "stitch"])
def test_no_command_sends_them_to_a_terminal(command: str, tmp_path: Path) -> None:
    import pty

    (tmp_path / "evil.json").write_text(json.dumps(workflow(EVIL)))
    ours, theirs = pty.openpty()
    program = "import sys; from discomfort.cli.main import main; sys.argv[0] = 'discomfort-graph'; main()"
    environment = {**os.environ, "DISCOMFORT_PROGRESS": "0", "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command.split(), "evil.json"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env=environment,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # how Linux says that nothing has the other end open any more
            break
        if not block:
            break
        written += block
    os.close(ours)
    assert process.wait() in (0, 1)
    assert b"Traceback" not in written
    text = written.decode("utf-8").replace("\r\n", "\n")
    assert is_clean(text), text
    assert "a\\x1b[2J" in text.replace("\\\\", "\\") or "a\\u001b[2J" in text
