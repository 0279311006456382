"""Media files made to hurt: small ones that unpack to gigabytes, huge ones, and damaged ones of every container."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler.frontend import load_workflow
from discomfort.compiler.frontend.files import contents, media
from discomfort.ir.catalog.catalog import default_catalog
from tests.frontend.containers import (
    compressed_text,
    every_container,
    international_text,
    jpeg,
    matroska,
    mp4,
    png,
    tiff,
    webp,
)

SAVE = {"nodes": [{"id": 1, "type": "EmptyImage", "widgets_values": [8, 8, 1, 0]}], "links": [], "version": 0.4}
TEXT = json.dumps(SAVE).encode()
BOMB = b" " * (64 << 20)
FEW = 48 << 20
"""Bytes that reading a small file may take."""

Pack = Callable[[str, bytes], tuple[bytes, bytes]]


@contextmanager
def little_memory(most: int = FEW) -> Iterator[None]:
    """Fail where the block takes more than `most` bytes at any moment."""
    default_catalog()
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most


def codes(content: bytes | str | Path) -> list[str]:
    return [found.code for found in load_workflow(content, default_catalog()).diagnostics]


@pytest.mark.parametrize("name", every_container(TEXT))
def test_every_container_is_read(name: str) -> None:
    assert load_workflow(every_container(TEXT)[name], default_catalog()).document == SAVE


@pytest.mark.parametrize("pack", [compressed_text, international_text])
def test_texts_of_other_names_are_never_unpacked(pack: Pack) -> None:
    content = png(*(pack(f"other{number}", BOMB) for number in range(3)), pack("workflow", TEXT))
    with little_memory():
        assert load_workflow(content, default_catalog()).document == SAVE


@pytest.mark.parametrize("pack", [compressed_text, international_text])
@pytest.mark.parametrize("name", ["workflow", "prompt", "comment"])
def test_DF104_a_text_that_unpacks_to_too_much_is_a_finding(pack: Pack, name: str) -> None:
    with little_memory():
        workflow = load_workflow(png(pack(name, BOMB)), default_catalog())
    assert [found.code for found in workflow.diagnostics] == ["DF104"]
    assert f"its text {name!r} unpacks to more than 16 MiB" in workflow.diagnostics[0].message


def test_a_thousand_texts_of_a_wanted_name_are_unpacked_once() -> None:
    filling = compressed_text("workflow", b" " * (12 << 20))
    with little_memory():
        assert load_workflow(png(*[filling] * 1000, compressed_text("workflow", TEXT)), default_catalog()).document


def test_a_picture_of_any_size_gives_its_workflow() -> None:
    """A JPEG and a WebP that claim the most pixels their formats can: none of them is decoded."""
    exif = tiff([b"workflow:" + TEXT])
    for content in (jpeg(exif), webp(exif)):
        with little_memory():
            assert load_workflow(content, default_catalog()).document == SAVE


def test_entries_of_EXIF_that_share_their_bytes_cost_nothing() -> None:
    shared = struct.pack(">HHII", 0x010E, 2, 8 << 20, 8)
    count = 20_000
    exif = b"MM\0*" + struct.pack(">IH", 8, count) + shared * count + b" " * (8 << 20)
    with little_memory():
        assert codes(webp(exif)) == ["DF105"]


HUGE = 1 << 30
"""Bytes of large files; they are sparse where the system has such files."""


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_a_video_of_a_gigabyte_is_read_in_part(kind: str, tmp_path: Path) -> None:
    if kind == "mp4":
        head = struct.pack(">I4s8xQ", 24, b"ftyp", 0) + struct.pack(">I4sQ", 1, b"mdat", HUGE)
        tail = mp4("workflow", TEXT)
    else:
        whole = matroska("workflow", TEXT)
        segment = whole.index(bytes.fromhex("18538067"))
        cluster = bytes.fromhex("1f43b675") + ((1 << 56) | HUGE - 12).to_bytes(8, "big")
        head, tail = whole[:segment] + bytes.fromhex("18538067 01ffffffffffffff") + cluster, whole[segment + 12 :]
    path = tmp_path / "video"
    with path.open("wb") as file:
        file.write(head)
        file.seek(HUGE - (16 if kind == "mp4" else 12), 1)
        file.write(tail)
    with little_memory():
        assert load_workflow(path, default_catalog()).document == SAVE


def test_DF101_a_workflow_of_a_gigabyte_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.write(b"{")
        file.truncate(HUGE)
    with little_memory():
        assert codes(path) == ["DF101"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="has no devices")
def test_DF101_a_device_that_never_ends_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "LARGEST_FILE", 1 << 20)
    assert codes("/dev/zero") == ["DF101"]


def test_a_large_file_is_as_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_READ_AT_ONCE", 10)
    for name, content in {**every_container(TEXT), "json": TEXT}.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert load_workflow(path, default_catalog()).document == SAVE
        path.write_bytes(content[: len(content) // 2])
        assert load_workflow(path, default_catalog()).diagnostics


def test_DF104_a_text_larger_than_is_read_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "LARGEST_TEXT", 10)
    for content in every_container(TEXT).values():
        assert codes(content) == ["DF104"]


@pytest.mark.parametrize("value", ['"\\ud800"', "[" * 900 + "]" * 900, "1" * 5000, '{"a": "\\udc00"}', "NaN", "1e999"])
def test_comments_of_videos_with_odd_values_are_findings(value: str) -> None:
    assert codes(mp4("comment", b'{"workflow": ' + value.encode() + b"}"))


@given(st.data())
def test_L8_damaged_containers_give_a_workflow_or_findings(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(every_container(b""))))
    content = bytearray(every_container(TEXT)[name])
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.sampled_from(["byte", "cut", "repeat", "number"]))
        if change == "byte":
            content[place] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del content[place : place + data.draw(st.integers(1, 40))]
        elif change == "repeat":
            content[place:place] = content[place : place + data.draw(st.integers(1, 200))]
        else:
            content[place : place + 4] = struct.pack(">I", data.draw(st.sampled_from([0, 1, 2**31 - 1, 2**32 - 1])))
        if not content:
            break
    workflow = load_workflow(bytes(content), default_catalog())
    assert workflow.graph.nodes or workflow.diagnostics
