"""Our nodes in a real ComfyUI, whose Python need not have Discomfort: `--comfyui=PATH --comfyui-python=PYTHON`."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.comfy_nodes.conftest import Server, Start

pytestmark = pytest.mark.comfyui

SHOWN = {
    "DiscomfortPort": "discomfort/utilities",
    "DiscomfortTestRunner": "discomfort/testing",
    "DiscomfortContextLoader": "discomfort/internal",
    "DiscomfortContextSaver": "discomfort/internal",
}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}


def save_workflow(server: Server) -> None:
    """A workflow of two branches: one depends on the port `photo` alone, the other on `width` too."""
    nodes = {
        "1": node("DiscomfortPort", unique_id="photo", tags=""),
        "2": node("Counted", image=["1", 0], name="photo"),
        "3": node("DiscomfortPort", unique_id="width", tags=""),
        "4": node(
            "ImageScale", image=["2", 0], upscale_method="nearest-exact", width=["3", 0], height="16", crop="disabled"
        ),
        "5": node("Counted", image=["4", 0], name="both"),
        "6": node("DiscomfortPort", unique_id="same", tags="", input=["2", 0]),
        "7": node("DiscomfortPort", unique_id="scaled", tags="", input=["5", 0]),
    }
    (server.base / "user" / "default" / "workflows" / "scale.json").write_text(json.dumps(nodes))


def scaling(width: Any = 8) -> dict[str, Any]:
    return {
        "image": node("EmptyImage", width="32", height=32, batch_size=1, color=255),
        "width": node("PrimitiveInt", value=width),
        "runner": node("DiscomfortTestRunner", workflow="scale.json", photo=["image", 0], width=["width", 0]),
        "shown": node("PreviewImage", images=["runner", 1]),
    }


def counts(server: Server) -> dict[str, int]:
    return dict(server.run({"counts": node("CountsShown")})["outputs"]["counts"]["runs"][0])


def refused(server: Server, prompt: dict[str, Any], where: str) -> str:
    status, answer = server.post("/prompt", {"prompt": prompt})
    assert status == 400
    return str(answer["node_errors"][where]["errors"][0]["details"])


@pytest.mark.parametrize("how", ["injected", "cloned"])
def test_nodes_load_and_a_workflow_runs_as_one_node(start: Start, how: str) -> None:
    server = start(how)
    known = server.get("/object_info")
    assert {name: known[name]["category"] for name in SHOWN} == SHOWN
    save_workflow(server)
    ports = server.get("/discomfort/ports?workflow=scale.json")
    assert [(port["name"], port["type"]) for port in ports["inputs"]] == [("photo", "IMAGE"), ("width", "INT")]
    assert [port["name"] for port in ports["outputs"]] == ["same", "scaled"]
    assert server.get("/discomfort/workflows") == ["scale.json"]
    scripts = [path for path in server.get("/extensions") if path.endswith("/test_runner.js")]
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{scripts[0]}") as script:
        assert b"DiscomfortTestRunner" in script.read()

    assert server.run(scaling())["status"]["status_str"] == "success"
    messages = {kind: data for kind, data in server.run(scaling())["status"]["messages"]}
    assert {"image", "width", "runner", "shown"} <= set(messages["execution_cached"]["nodes"])
    assert server.run(scaling(12))["status"]["status_str"] == "success"
    assert counts(server) == {"photo": 1, "both": 2}

    unlinked, mistyped, invalid = scaling(), scaling(), scaling()
    del unlinked["runner"]["inputs"]["photo"]
    mistyped["runner"]["inputs"]["photo"] = ["width", 0]
    invalid["image"]["inputs"]["width"] = -5
    assert "scale needs 'photo' (IMAGE): connect it" in refused(server, unlinked, "runner")
    assert "scale takes IMAGE for 'photo', not INT" in refused(server, mistyped, "runner")
    assert "width" in refused(server, invalid, "image")


def test_nodes_without_the_compiler_say_what_is_missing(start: Start) -> None:
    server = start("alone")
    assert set(SHOWN) <= set(server.get("/object_info"))
    text = refused(server, {"runner": node("DiscomfortTestRunner", workflow="x.json")}, "runner")
    assert "needs Discomfort's compiler, which cannot be imported here: import of discomfort.compiler." in text
