"""`discomfort-graph` with files, values and streams made to hurt: a sentence and a status, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from discomfort import EngineError
from discomfort.cli.commands.run import read_inputs
from discomfort.compiler.frontend.files import contents
from discomfort.runtime.engines.select import make_engine
from tests.commands.test_compiling import call
from tests.commands.test_run_and_stitch import FILES

DEEP = "[" * 100_000
ENDLESS = pytest.mark.skipif(not Path("/dev/zero").exists(), reason="has no devices")


NONE = ['{"IMAGE": ' + DEEP, "{" + "/*" * 300_000, '{"' + '\\"' * 300_000, '{"IMAGE": ' + "9" * 6000 + "}", "[1]"]


@pytest.mark.parametrize("content", NONE)
def test_rules_that_are_none_are_a_wrong_call(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(content)
    assert "rules.json" in "".join(call("plan", *FILES, "--rules", str(path), status=2).stderr.split("\n"))


@ENDLESS
def test_rules_without_end_are_a_wrong_call() -> None:
    assert "larger than 4 MiB" in call("plan", *FILES, "--rules", "/dev/zero", status=2).stderr


@pytest.mark.parametrize("value", [DEEP, "@deep.json", "9" * 6000, "@digits.json"])
def test_values_that_cannot_be_read_are_a_wrong_call(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep.json").write_text(DEEP)
    Path("digits.json").write_text("9" * 6000)
    done = call("run", *FILES, "-i", f"width={value}", status=2)
    assert "width: " in done.stderr
    assert "nested too deeply" in done.stderr or "more digits than Python reads" in done.stderr


@ENDLESS
def test_a_value_without_end_is_a_wrong_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "LARGEST_FILE", 1 << 20)
    with pytest.raises(Exception, match="larger than 1 MiB"):
        read_inputs(["n=@/dev/zero"])


@pytest.mark.parametrize("word", ["http://[::", "http://", "http://:80", "http://x:99999", "https://x:y", "http://x:0"])
def test_an_address_that_is_none_is_an_error_of_the_engine(word: str) -> None:
    with pytest.raises(EngineError, match="is not an address"):
        make_engine(word)


def started(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from discomfort.cli.main import main; main()", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no full device")
@pytest.mark.parametrize("arguments", [["catalog", "list"], ["check", FILES[0]], ["--version"], ["plan", *FILES]])
def test_a_full_disk_is_reported(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = started(*arguments, stdout=full)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors")
@pytest.mark.parametrize("arguments", [["catalog", "list"], ["check", FILES[0]]])
def test_who_stops_reading_hears_nothing(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = started(*arguments, stdout=writing)
    os.close(writing)
    assert done.returncode in (1, 2)
    assert done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors")
def test_streams_may_be_closed() -> None:
    done = started("check", FILES[0], preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")
    done = started("check", "-", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.close(0))
    assert done.returncode == 1
    assert "DF10" in done.stderr
