"""Our node classes as `/object_info` would describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discomfort.server_access.protocol import LOADER_CLASS, PORT_CLASS, RUNNER_CLASS, RUNNER_OUTPUTS, SAVER_CLASS


def _own_class(name: str, title: str, groups: Mapping[str, Any], outputs: list[str], **flags: Any) -> dict[str, Any]:
    entry = {"input": groups, "output": ["*"] * len(outputs), "output_name": outputs, "display_name": title}
    return {**entry, "name": name, "category": "discomfort", "python_module": "custom_nodes.discomfort", **flags}


_PORT_TEXT = ["STRING", {"default": "", "multiline": False}]

OWN_CLASSES: Mapping[str, Mapping[str, Any]] = {
    LOADER_CLASS: _own_class(
        LOADER_CLASS,
        "Discomfort Context Loader (internal)",
        {"required": {"digest": _PORT_TEXT, "value_type": ["STRING", {"default": "*", "multiline": False}]}},
        ["value"],
    ),
    SAVER_CLASS: _own_class(
        SAVER_CLASS,
        "Discomfort Context Saver (internal)",
        {"required": {"value": ["*"], "name": _PORT_TEXT}},
        [],
        output_node=True,
        is_input_list=True,
    ),
    PORT_CLASS: _own_class(
        PORT_CLASS,
        "Discomfort Port (Input/Output)",
        {"required": {"unique_id": _PORT_TEXT, "tags": _PORT_TEXT}, "optional": {"input": ["*"]}},
        ["output"],
        output_node=True,
    ),
    RUNNER_CLASS: _own_class(
        RUNNER_CLASS,
        "Discomfort Test Runner",
        {"required": {"workflow": _PORT_TEXT}},
        [f"output {number}" for number in range(1, RUNNER_OUTPUTS + 1)],
        output_node=True,
    ),
}
"""Our node classes as `/object_info` would describe them."""
