"""`catalog pull` from servers that answer anything but a catalog: a sentence and a status, soon; nothing is written."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from discomfort.cli import download
from discomfort.cli.main import app
from discomfort.ir.catalog.read import read_catalog
from tests.hostile_server import ENDLESS, GOOD, ONCE, chunked, serving, whole


@pytest.fixture(autouse=True)
def _limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOMFORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PATIENCE", 2.0)
    monkeypatch.setattr(download, "LARGEST_ANSWER", 8 << 20)
    monkeypatch.setattr("discomfort.ir.catalog.checked.LARGEST_CATALOG", 8 << 20)


def pull(url: str, folder: Path) -> Result:
    done = CliRunner().invoke(app, ["catalog", "pull", url, "-o", str(folder / "x.json.gz")])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("what", ONCE)
def test_an_answer_that_is_not_a_catalog_is_an_error(what: str, tmp_path: Path) -> None:
    with serving(lambda: iter([ONCE[what]])) as url:
        done = pull(url, tmp_path)
    assert done.exit_code == 1
    assert f"no catalog from {url}" in done.stderr
    assert len(done.stderr) < 1000
    assert not (tmp_path / "x.json.gz").exists()


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_without_end_is_given_up(what: str, tmp_path: Path) -> None:
    with serving(ENDLESS[what]) as url:
        tracemalloc.start()
        done = pull(url, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert done.exit_code == 1
    assert f"no catalog from {url}" in done.stderr
    assert peak < 64 << 20


@pytest.mark.parametrize(
    "answer",
    [
        whole(GOOD),
        whole(gzip.compress(GOOD), b"Content-Encoding: gzip"),
        whole(GOOD, b"Content-Encoding: gzip"),
        whole(gzip.compress(GOOD), b"Content-Type: application/octet-stream"),
        chunked(b"%x\r\n" % len(GOOD), GOOD, b"\r\n0\r\n\r\n"),
    ],
)
def test_a_good_answer_is_taken_however_it_comes(answer: bytes, tmp_path: Path) -> None:
    with serving(lambda: iter([answer])) as url:
        assert pull(url, tmp_path).exit_code == 0
    assert "Mine" in read_catalog(tmp_path / "x.json.gz")


def test_a_bad_entry_is_reported_and_the_rest_is_taken(tmp_path: Path) -> None:
    body = b'{"Bad": {"input": 3}, ' + GOOD[1:]
    with serving(lambda: iter([whole(body)])) as url:
        done = pull(url, tmp_path)
    assert done.exit_code == 0
    assert "DF131" in done.stderr
    assert "it is 3, expected an object" in done.stderr
    assert set(read_catalog(tmp_path / "x.json.gz")) >= {"Mine"}


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://[::1",
        "http://a b",
        "http://x:99999",
        "http://..",
        "http://\udc80",
        "ftp://x",
        "",
        "http://%zz",
    ],
)
def test_an_address_that_is_none_is_an_error(url: str, tmp_path: Path) -> None:
    assert pull(url, tmp_path).exit_code in (1, 2)
