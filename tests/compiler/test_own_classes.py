"""The default catalog knows every node class of Discomfort's own, as ComfyUI and the embedded engine see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

import discomfort_nodes
from discomfort.ir.catalog.catalog import SNAPSHOT, default_catalog, read_input_groups
from discomfort.runtime.engines.embedded.pack import object_info


@pytest.mark.parametrize("name", sorted(discomfort_nodes.NODE_CLASS_MAPPINGS))
def test_our_classes_are_in_the_catalog_as_comfyui_sees_them(name: str) -> None:
    known, node_class = default_catalog()[name], discomfort_nodes.NODE_CLASS_MAPPINGS[name]
    assert [(spec.name, spec.type, spec.group, dict(spec.options)) for spec in known.inputs] == [
        (spec.name, spec.type, spec.group, _structural(spec.options))
        for spec in read_input_groups(json.loads(json.dumps(_fixed(node_class.INPUT_TYPES()))))  # type: ignore[attr-defined]
    ]
    assert len(known.outputs) == len(node_class.RETURN_TYPES)  # type: ignore[attr-defined]
    assert known.display_name == discomfort_nodes.NODE_DISPLAY_NAME_MAPPINGS[name]
    assert known.output_node == getattr(node_class, "OUTPUT_NODE", False)
    assert known.is_input_list == getattr(node_class, "INPUT_IS_LIST", False)


def _fixed(groups: Mapping[str, Any]) -> dict[str, Any]:
    """Only what a class declares for every workflow: no hidden inputs, no inputs that depend on a file."""
    return {group: dict(inputs) for group, inputs in groups.items() if group != "hidden" and type(inputs) is dict}


def _structural(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "tooltip"}


def test_every_class_of_the_embedded_pack_is_in_the_catalog() -> None:
    assert [name for name in object_info() if name not in default_catalog()] == []


def test_the_bundled_snapshot_is_small_and_without_text_for_people() -> None:
    assert SNAPSHOT.stat().st_size < 150_000
    assert not any("tooltip" in spec.options for known in default_catalog().values() for spec in known.inputs)
