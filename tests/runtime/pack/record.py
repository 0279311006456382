"""Record goldens from a real ComfyUI: python -m tests.runtime.pack.record --url URL --base FOLDER [THEME ...].

FOLDER is the server's --base-directory. Put the recorder's nodes there once (`--install`), then start the server:

    python -m tests.runtime.pack.record --base run --install
    python ComfyUI/main.py --cpu --port 8201 --base-directory run --cache-none
    python -m tests.runtime.pack.record --base run --url http://127.0.0.1:8201
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import torch

from tests.runtime.pack import fixtures
from tests.runtime.pack.goldens import FILES, HERE, THEMES, Arrays, Case, cases, describe_file, encode, normalized, save

FACTS = HERE.parents[2] / "discomfort" / "runtime" / "engines" / "embedded" / "pack" / "facts.json"
WORKFLOW = {"workflow": {"nodes": [], "title": "ünïcode"}}
FILE_LISTS = {"LoadImage": "image", "LoadImageMask": "image", "LoadLatent": "latent"}
FACT_KEYS = (
    "input", "input_order", "is_input_list", "output", "output_is_list", "output_name", "output_matchtypes", "name",
    "display_name", "category", "output_node", "deprecated", "experimental", "dev_only", "has_intermediate_output",
)  # fmt: skip


class Server:
    """A running ComfyUI and its base directory."""

    def __init__(self, url: str, base: Path) -> None:
        self.url, self.base = url.rstrip("/"), base

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{path}") as answer:
            return json.load(answer)

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """Run a prompt to its end and return its history entry, or {"rejected": reason}."""
        body = json.dumps({"prompt": prompt, "extra_data": {"extra_pnginfo": WORKFLOW}}).encode()
        request = urllib.request.Request(f"{self.url}/prompt", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as answer:
                prompt_id = json.load(answer)["prompt_id"]
        except urllib.error.HTTPError as error:
            return {"rejected": json.loads(error.read())}
        while prompt_id not in (history := self.get(f"history/{prompt_id}")):
            time.sleep(0.02)
        return dict(history[prompt_id])


def build_prompt(case: Case, outputs: int) -> dict[str, Any]:
    """Write the case as an API prompt: fixtures and inner nodes first, then the node, then what watches it."""
    prompt: dict[str, Any] = {}

    def lower(value: Any) -> Any:
        if not isinstance(value, dict) or not ("$fixture" in value or "$node" in value):
            return value
        key = f"in{len(prompt)}"
        prompt[key] = {}
        if "$fixture" in value:
            prompt[key] |= {"class_type": "GoldenFixture", "inputs": {"names": ",".join(value["$fixture"])}}
            return [key, 0]
        inputs = {name: lower(item) for name, item in value["$inputs"].items()}
        prompt[key] |= {"class_type": value["$node"], "inputs": inputs}
        return [key, value["$slot"]]

    inputs = {name: lower(value) for name, value in case.inputs.items()}
    prompt["node"] = {"class_type": case.class_type, "inputs": inputs}
    if outputs:
        slots = {f"out{slot}": ["node", slot] for slot in range(outputs)}
        prompt["dump"] = {"class_type": "GoldenDump", "inputs": {"name": case.name, **slots}}
    return prompt


def prepare(server: Server, case: Case) -> None:
    """Empty the folders that the node may write to and lay out the files that it is to find."""
    for folder in ("output", "temp"):
        shutil.rmtree(server.base / folder, ignore_errors=True)
        (server.base / folder).mkdir(parents=True)
    for target, source in case.files.items():
        path = server.base / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILES / source, path)


def failure(history: dict[str, Any]) -> dict[str, Any] | None:
    """Return what went wrong: refused before it ran, or the exception of the node."""
    if "rejected" in history:
        errors = history["rejected"].get("node_errors") or {"": {"errors": [history["rejected"]["error"]]}}
        return {"rejected": [error["type"] for node in errors.values() for error in node["errors"]]}
    for kind, message in history["status"]["messages"]:
        if kind == "execution_error":
            return {"raised": message["exception_type"], "message": message["exception_message"].strip()}
    return None


def record(server: Server, case: Case, outputs: int, arrays: Arrays) -> dict[str, Any]:
    """Run one case and return its golden: outputs as lists, the `ui` answer, files written; or the failure."""
    prepare(server, case)
    history = server.run(build_prompt(case, outputs))
    golden: dict[str, Any] = {"class": case.class_type, "inputs": case.inputs}
    if failed := failure(history):
        return golden | failed
    if outputs:
        dumped = server.base / "exchange" / f"{case.name}.pt"
        golden["outputs"] = [[encode(item, arrays) for item in slot] for slot in torch.load(dumped, weights_only=True)]
        dumped.unlink()
    if ui := history["outputs"].get("node"):
        golden["ui"] = ui
    new = [
        path for folder in ("output", "temp") for path in sorted((server.base / folder).rglob("*")) if path.is_file()
    ]
    written = {path.relative_to(server.base).as_posix(): path for path in new}
    kept = {name: path for name, path in written.items() if name not in case.files}
    if kept:
        golden["files"] = {name: describe_file(path.read_bytes(), path.suffix, arrays) for name, path in kept.items()}
    return dict(normalized(golden))


def without_prose(value: Any) -> Any:
    """Leave out what is written for people."""
    if isinstance(value, dict):
        return {key: without_prose(item) for key, item in value.items() if key != "tooltip"}
    return [without_prose(item) for item in value] if isinstance(value, list) else value


def save_facts(info: dict[str, Any], path: Path) -> None:
    """Write what the server says about every class that has cases; one class a line. File lists are left empty."""
    names = sorted({case.class_type for theme in THEMES for case in cases(theme)} | {"VAELoader"})
    facts = {
        name: without_prose({key: info[name].get(key) for key in FACT_KEYS if key in info[name]}) for name in names
    }
    for name, option in FILE_LISTS.items():
        facts[name]["input"]["required"][option][0] = []
    lines = [f"{json.dumps(name)}: {json.dumps(fact, ensure_ascii=False)}" for name, fact in facts.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8188")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("themes", nargs="*", default=[])
    options = parser.parse_args()
    server = Server(options.url, options.base)
    (server.base / "exchange").mkdir(parents=True, exist_ok=True)
    torch.save(fixtures.build(), server.base / "exchange" / "fixtures.pt")
    shutil.copytree(FILES, server.base / "input", dirs_exist_ok=True)
    (server.base / "custom_nodes").mkdir(exist_ok=True)
    shutil.copy(HERE / "recorder_nodes.py", server.base / "custom_nodes" / "golden_recorder.py")
    if options.install:
        return
    info = server.get("object_info")
    save_facts(info, FACTS)
    for theme in options.themes or THEMES:
        arrays, records = Arrays(), {}
        for case in cases(theme):
            records[case.name] = record(server, case, len(info[case.class_type]["output"]), arrays)
        save(theme, records, arrays)
        print(f"{theme}: {len(records)} cases, {len(arrays.arrays)} tensors")


if __name__ == "__main__":
    main()
