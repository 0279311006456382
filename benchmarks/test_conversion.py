"""How fast workflows become prompts: the official templates, reading the files included."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

from discomfort.compiler.frontend import load_workflow
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog
from tests.conformance import templates
from tests.conformance.harness.object_info import bundled_object_info
from tests.conformance.harness.page import FrontendMissing, frontend

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


def _each(benchmark: Any, convert: Callable[[dict[str, Any]], object], count: int | None = None) -> None:
    """Convert templates one by one; the median of one and how many failed are in the extra info."""
    folder = templates.folder()
    assert folder is not None
    documents = [json.loads((folder / name).read_bytes()) for name, _ in list(templates.recorded())[:count]]
    times: list[float] = []
    failed = 0

    def every() -> None:
        nonlocal failed
        for document in documents:
            begin = time.perf_counter()
            try:
                convert(document)
            except Exception:  # noqa: BLE001 - what a peer cannot convert is counted
                failed += 1
            times.append(time.perf_counter() - begin)

    benchmark.pedantic(every, rounds=1)
    benchmark.extra_info["median_template_ms"] = round(statistics.median(times) * 1000, 3)
    benchmark.extra_info["failed"] = failed


def test_peer_comfy_cli(benchmark: Any) -> None:
    """The same templates, parsed beforehand, through comfy-cli, where it is installed."""
    peer = pytest.importorskip("comfy_cli.workflow_to_api")
    info = json.loads(bundled_object_info())
    _each(benchmark, lambda document: peer.convert_ui_to_api(document, info))


def test_peer_browser(benchmark: Any) -> None:
    """The first fifty templates, parsed beforehand, in the official frontend on a warm page, where it is installed."""
    try:
        with frontend(bundled_object_info()) as page:
            _each(benchmark, page.prompt, 50)
    except FrontendMissing as missing:
        pytest.skip(str(missing))
