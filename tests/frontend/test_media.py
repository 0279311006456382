"""Workflows inside pictures, videos and sounds."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from discomfort.compiler.frontend import load_workflow
from discomfort.ir.catalog.catalog import default_catalog

SAVE = {"nodes": [{"id": 1, "type": "EmptyImage", "widgets_values": [8, 8, 1, 0]}], "links": [], "version": 0.4}
TEXT = json.dumps(SAVE)


def _png(kind: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    if kind == "iTXt":
        info.add_itxt("workflow", TEXT, zip=True)
    else:
        info.add_text("workflow", TEXT, zip=kind == "zTXt")
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def _exif(form: str) -> bytes:
    image = Image.new("RGB", (4, 4))
    exif = image.getexif()
    exif[0x010E] = f"workflow:{TEXT}"
    exif[0x010F] = "prompt:{}"
    file = io.BytesIO()
    image.save(file, form, exif=exif)
    return file.getvalue()


def _stream(form: str, codec: str, name: str = "workflow", text: str = TEXT) -> bytes:
    av: Any = pytest.importorskip("av")
    numpy = pytest.importorskip("numpy")
    file = io.BytesIO()
    options = {"movflags": "use_metadata_tags"} if form == "mp4" else {}
    with av.open(file, "w", format=form, options=options) as output:
        output.metadata[name] = text
        if form == "flac":
            stream = output.add_stream(codec, rate=8000)
            frame = av.AudioFrame.from_ndarray(numpy.zeros((1, 4096), "int16"), format="s16", layout="mono")
            frame.sample_rate = 8000
        else:
            stream = output.add_stream(codec, rate=10)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(numpy.zeros((64, 64, 3), "uint8"), format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode()]:
            output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
def test_png_text_chunks_are_read(kind: str) -> None:
    workflow = load_workflow(_png(kind), default_catalog())
    assert list(workflow.graph.nodes) == ["1"]
    assert workflow.document == SAVE


@pytest.mark.parametrize("form", ["WEBP", "JPEG"])
def test_exif_texts_are_read(form: str) -> None:
    assert load_workflow(_exif(form), default_catalog()).document == SAVE


@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "mpeg4"), ("webm", "libvpx-vp9"), ("matroska", "mpeg4"), ("flac", "flac")]
)
def test_container_metadata_is_read(form: str, codec: str) -> None:
    assert load_workflow(_stream(form, codec), default_catalog()).document == SAVE


@pytest.mark.parametrize(("form", "codec"), [("mp4", "mpeg4"), ("webm", "libvpx-vp9")])
def test_the_comment_of_a_video_is_read(form: str, codec: str) -> None:
    prompt = {"7": {"class_type": "EmptyImage", "inputs": {}}}
    both = json.dumps({"prompt": json.dumps(prompt), "workflow": SAVE})
    assert load_workflow(_stream(form, codec, "comment", both), default_catalog()).document == SAVE
    only = json.dumps({"prompt": json.dumps(prompt)})
    assert load_workflow(_stream(form, codec, "comment", only), default_catalog()).document == prompt
    found = load_workflow(_stream(form, codec, "comment", "made on a rainy day"), default_catalog()).diagnostics
    assert [each.code for each in found] == ["DF105"]


def test_a_cut_picture_is_a_finding() -> None:
    content = _png("tEXt")
    for length in range(8, len(content), 7):
        workflow = load_workflow(content[:length], default_catalog())
        assert workflow.graph.nodes or workflow.diagnostics


def test_a_picture_without_workflow_is_a_finding() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    assert [found.code for found in load_workflow(file.getvalue(), default_catalog()).diagnostics] == ["DF105"]


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_workflow_is_read_however_large_the_picture_is(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = _exif(form)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)  # a quarter of the pixels of the file
    workflow = load_workflow(content, default_catalog())
    assert (workflow.diagnostics, workflow.document) == ((), SAVE)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_exif_that_is_cut_off_is_a_finding(form: str) -> None:
    content = _exif(form)
    for end in range(13, len(content) - 1, 3):
        found = load_workflow(content[:end], default_catalog()).diagnostics
        assert all(finding.code in ("DF102", "DF104", "DF105") for finding in found)
