"""`discomfort-graph prompt` and `catalog`, called in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from discomfort.cli.main import app
from discomfort.ir.catalog.read import read_catalog

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
RECORDED = ROOT / "tests" / "golden" / "quickstart"
runner = CliRunner()


def test_one_file_goes_to_standard_output() -> None:
    done = runner.invoke(app, ["prompt", str(QUICKSTART / "main_workflow.json")])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads((RECORDED / "main_workflow.json").read_text())


def test_standard_input_is_a_workflow_too() -> None:
    done = runner.invoke(app, ["prompt", "-"], input=(QUICKSTART / "load_vae.json").read_text())
    assert json.loads(done.stdout) == json.loads((RECORDED / "load_vae.json").read_text())


def test_many_files_go_to_a_folder_and_a_bad_one_stops_none(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"nodes": [')
    files = [str(QUICKSTART / "load_vae.json"), str(bad), str(QUICKSTART / "main_workflow.json")]
    done = runner.invoke(app, ["prompt", *files, "-o", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "bad.json" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["load_vae.json", "main_workflow.json"]


def test_the_file_of_a_prompt_has_the_whole_stem_of_its_workflow(tmp_path: Path) -> None:
    content = (QUICKSTART / "load_vae.json").read_bytes()
    names = ["v2.1.json", "v2.2.json", "v2.app.json"]
    for name in names:
        (tmp_path / name).write_bytes(content)
    done = runner.invoke(app, ["prompt", *(str(tmp_path / name) for name in names), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_DF106_no_prompt_is_written_over_another(tmp_path: Path) -> None:
    files = [QUICKSTART / "load_vae.json", tmp_path / "load_vae.json"]
    files[1].write_bytes((QUICKSTART / "main_workflow.json").read_bytes())
    done = runner.invoke(app, ["prompt", *map(str, files), "-o", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "DF106" in done.stderr
    written = json.loads((tmp_path / "out" / "load_vae.json").read_text(encoding="utf-8"))
    assert written == json.loads(runner.invoke(app, ["prompt", str(files[0])]).stdout)


def test_many_files_need_a_folder() -> None:
    files = [str(QUICKSTART / "load_vae.json"), str(QUICKSTART / "main_workflow.json")]
    assert runner.invoke(app, ["prompt", *files]).exit_code == 2


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = {"Mine": {"input": {"required": {"x": ["INT", {"tooltip": "text"}]}}, "output": ["INT"]}}
        body = json.dumps(known).encode()
        self.send_response(200 if self.path == "/object_info" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    made = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_catalog_is_pulled_and_used(tmp_path: Path, server: str) -> None:
    path = tmp_path / "mine.json.gz"
    assert runner.invoke(app, ["catalog", "pull", server, "-o", str(path)]).exit_code == 0
    catalog = read_catalog(path)
    assert "Mine" in catalog
    assert "DiscomfortPort" in catalog
    assert "tooltip" not in catalog["Mine"].inputs[0].options
    done = runner.invoke(app, ["catalog", "list", "mine", "--catalog", str(path)])
    assert done.stdout == "Mine(x: INT) -> INT\n"
    assert json.loads(runner.invoke(app, ["catalog", "list", "mine", "--catalog", str(path), "--json"]).stdout) == {
        "Mine": {"inputs": {"x": "INT"}, "outputs": ["INT"]}
    }


def test_a_server_that_is_not_there_is_reported(tmp_path: Path) -> None:
    done = runner.invoke(app, ["catalog", "pull", "127.0.0.1:9", "-o", str(tmp_path / "x.gz")])
    assert done.exit_code == 1
    assert "no catalog from http://127.0.0.1:9" in done.stderr


def test_a_file_that_is_not_a_catalog_is_a_wrong_call(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[]")
    assert runner.invoke(app, ["catalog", "list", "--catalog", str(path)]).exit_code == 2
