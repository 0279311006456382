"""What a server that knows exactly our bundled catalog would answer to `GET /object_info`."""

from __future__ import annotations

import gzip
import json
from typing import Any

from discomfort.ir.catalog.catalog import SNAPSHOT


def bundled_object_info() -> bytes:
    """Return the bundled snapshot with the empty fields that it leaves out, as JSON."""
    classes = json.loads(gzip.decompress(SNAPSHOT.read_bytes()))
    return json.dumps({name: _whole(name, entry) for name, entry in classes.items()}).encode()


def _whole(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    outputs = entry["output"]
    defaults: dict[str, Any] = {
        "input_order": {group: list(inputs) for group, inputs in entry["input"].items()},
        "is_input_list": False,
        "output_is_list": [False] * len(outputs),
        "output_name": outputs,
        "name": name,
        "display_name": name,
        "description": "",
        "python_module": "nodes",
        "category": "",
        "output_node": False,
    }
    return {**defaults, **entry}
