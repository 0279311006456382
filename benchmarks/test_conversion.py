"""How fast workflows become prompts: the official templates, reading the files included."""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import pytest

from discomfort.compiler.catalog import default_catalog
from discomfort.compiler.emit import emit_prompt
from discomfort.compiler.frontend import load_workflow
from tests.conformance import templates

pytest.importorskip("comfyui_workflow_templates_json")


def _ours(path: Any) -> None:
    emit_prompt(load_workflow(path, default_catalog()).graph)


def test_all_templates(benchmark: Any) -> None:
    """Every template once, in one process; the median of one template is in the extra info."""
    folder = templates.folder()
    assert folder is not None
    paths = [folder / name for name, _ in templates.recorded()]
    default_catalog()
    medians = []

    def convert() -> None:
        times = []
        for path in paths:
            begin = time.perf_counter()
            _ours(path)
            times.append(time.perf_counter() - begin)
        medians.append(statistics.median(times))

    benchmark.pedantic(convert, rounds=3, warmup_rounds=1)
    benchmark.extra_info["median_template_ms"] = round(min(medians) * 1000, 3)


def test_hundred_thousand_nodes(benchmark: Any) -> None:
    """A chain of 100,000 nodes, parsed and lowered."""
    count = 100_000
    nodes = [
        {"id": n, "type": "ImageInvert", "inputs": [{"name": "image", "type": "IMAGE", "link": n or None}]}
        for n in range(count)
    ]
    links = [[n, n - 1, 0, n, 0, "IMAGE"] for n in range(1, count)]
    text = json.dumps({"nodes": nodes, "links": links, "version": 0.4}).encode()
    benchmark.pedantic(load_workflow, (text, default_catalog()), rounds=3)


def test_peer_comfy_cli(benchmark: Any) -> None:
    """The same templates through comfy-cli, where it is installed."""
    peer = pytest.importorskip("comfy_cli.workflow_to_api")
    folder = templates.folder()
    assert folder is not None
    documents = [json.loads((folder / name).read_bytes()) for name, _ in templates.recorded()]
    info = {name: default_catalog()._raw[name] for name in default_catalog()}

    def convert() -> int:
        failed = 0
        for document in documents:
            try:
                peer.convert_ui_to_api(document, info)
            except Exception:  # noqa: BLE001 - what the peer cannot convert is counted
                failed += 1
        return failed

    benchmark.extra_info["failed"] = benchmark.pedantic(convert, rounds=1)
