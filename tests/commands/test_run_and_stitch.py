"""`discomfort-graph run` and `stitch`, called as a person calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
FILES = [str(QUICKSTART / "load_vae.json"), str(QUICKSTART / "main_workflow.json")]
INPUTS = ["-i", f"photo=@{QUICKSTART / 'coffee.png'}", "-i", "width=64", "-i", "strength=0.5"]


def call(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from discomfort.cli.main import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_run_writes_pictures_and_prints_their_names(tmp_path: Path) -> None:
    done = call("run", *FILES, *INPUTS, "-o", str(tmp_path))
    assert "output: a float32 tensor [1, 43, 64, 3] -> " in done.stdout
    assert "vae: <Reference vae: VAE rebuilt by 1 node>" in done.stdout
    with Image.open(tmp_path / "output.png") as image:
        assert image.size == (64, 43)


def test_run_as_json(tmp_path: Path) -> None:
    results = json.loads(call("run", *FILES, *INPUTS, "-o", str(tmp_path), "--json").stdout)
    assert results["output"]["files"] == [str(tmp_path / "output.png")]


def test_run_reports_everything_that_is_missing_or_wrong(tmp_path: Path) -> None:
    done = call("run", *FILES, "-i", "strength=7", "-o", str(tmp_path), status=1)
    assert "error[DF502] input 'strength' is float 7.0; expected at most 1" in done.stderr
    assert done.stderr.count("error[DF501]") == 2
    assert not (tmp_path / "output.png").exists()


def test_run_refuses_a_wrong_call() -> None:
    assert "expected NAME=VALUE" in call("run", *FILES, "-i", "width", status=2).stderr
    assert "absent.png" in call("run", *FILES, "-i", "photo=@absent.png", status=2).stderr
    assert "names no engine" in call("run", *FILES, *INPUTS, "--engine", "warp", status=1).stderr


def test_a_missing_file_is_a_finding() -> None:
    assert "absent.json" in call("run", "absent.json", status=1).stderr


def test_stitch_writes_a_workflow_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "both.json"
    done = call("stitch", *FILES, "-o", str(path))
    assert "inputs photo, width, strength; outputs vae, output" in done.stderr
    call("run", str(path), *INPUTS, "-o", str(tmp_path))
    assert (tmp_path / "output.png").exists()
    assert json.loads(call("stitch", *FILES).stdout) == json.loads(path.read_text())


def test_stitch_reports_what_cannot_be_joined(tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.json"
    prompt.write_text(json.dumps({"1": {"class_type": "VAELoader", "inputs": {"vae_name": "pixel_space"}}}))
    findings = json.loads(call("stitch", FILES[0], str(prompt), "--json", status=1).stdout)
    assert [finding["code"] for finding in findings] == ["DF150"]
