"""Plan JSON of earlier releases: read, converted to the present version, or refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import discomfort
from discomfort.compiler.plan.migrate import MIGRATIONS, migrated
from discomfort.compiler.plan.model import PLAN_VERSION

ROOT = Path(__file__).parents[2]
STORED = ROOT / "tests" / "golden" / "plan"
"""One plan of each version, as the release that first had the version wrote it; these files never change."""

SHOWN = json.loads("""{
  "1": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "output", "tags": ""}},
  "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "shown", "tags": "a, b", "input": ["1", 0]}},
  "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "picture"}},
  "4": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "size", "tags": ""}},
  "5": {"class_type": "ImageScale", "inputs": {
    "image": ["2", 0], "upscale_method": "nearest-exact", "width": ["4", 0], "height": 64, "crop": "disabled"}},
  "6": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "small", "tags": "", "input": ["5", 0]}}
}""")


def compiled() -> discomfort.Plan:
    """Compile what the stored plans are of: inputs of all kinds, a reference, a PASSTHRU, an effect, a note."""
    quickstart = ROOT / "examples" / "quickstart"
    files = [json.loads((quickstart / name).read_text("utf-8")) for name in ("load_vae.json", "main_workflow.json")]
    return discomfort.compile([*files, SHOWN])


def stored(version: int) -> dict[str, Any]:
    return dict(json.loads((STORED / f"version-{version}.json").read_text("utf-8")))


def shape(data: object) -> object:
    """Return what a reader of plan JSON relies on: the names of its fields, and the types of their values."""
    if isinstance(data, Mapping):
        return {str(key): shape(value) for key, value in data.items()}
    if isinstance(data, list):
        return [shape(value) for value in data]
    return type(data).__name__


@pytest.mark.parametrize("version", range(1, PLAN_VERSION + 1))
def test_plans_of_every_version_are_read_and_run(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan, fresh = discomfort.Plan.from_json(stored(version)), compiled()
    assert set(plan.inputs) == set(fresh.inputs)
    values = {"photo": torch.rand(1, 48, 48, 3), "width": 32, "strength": 0.5, "size": 16}
    with discomfort.Context(max_ram_gb=0.1) as context, discomfort.Context(max_ram_gb=0.1) as other:
        results = plan.run(context, inputs=values, effects="skip", engine="embedded")
        expected = fresh.run(other, inputs=values, effects="skip", engine="embedded")
        assert list(results) == list(expected)
        assert results["small"].shape == (1, 64, 16, 3)
        assert torch.equal(results["small"], expected["small"])


def test_the_present_version_is_stored_as_it_is_written() -> None:
    """A change of the JSON needs another version, a migration, and a plan of it in `tests/golden/plan`."""
    data = stored(PLAN_VERSION)
    assert discomfort.Plan.from_json(data).to_json() == data
    assert shape(compiled().to_json()) == shape(data)


def test_every_older_version_has_a_migration() -> None:
    assert set(MIGRATIONS) <= set(range(1, PLAN_VERSION))
    for version in range(1, PLAN_VERSION):
        data = stored(version)
        before = json.dumps(data)
        assert migrated(data)["version"] == PLAN_VERSION
        assert json.dumps(data) == before


def test_migrations_follow_each_other() -> None:
    def rename(data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**{key: value for key, value in data.items() if key != "old"}, "new": data["old"]}

    def double(data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**data, "new": data["new"] * 2}

    steps = {1: rename, 2: double}
    first = {"version": 1, "old": 21}
    assert migrated(first, steps, 3) == {"version": 3, "new": 42}
    assert first == {"version": 1, "old": 21}
    assert migrated({"version": 2, "new": 4}, steps, 3) == {"version": 3, "new": 8}
    assert migrated({"version": 3, "new": 4}, steps, 3) == {"version": 3, "new": 4}
    with pytest.raises(ValueError, match=r"version 1, which .* no longer reads .*: compile the workflows again"):
        migrated(first, {2: double}, 3)


def test_a_plan_of_a_newer_release_is_refused() -> None:
    newer = PLAN_VERSION + 1
    with pytest.raises(ValueError, match=rf"has version {newer}, .* up to version {PLAN_VERSION}: update Discomfort"):
        discomfort.Plan.from_json({**stored(PLAN_VERSION), "version": newer})


@pytest.mark.parametrize("version", [None, "1", 1.0, True, 0, -1, [1], "9" * 1000])
def test_a_version_that_is_not_a_version_is_damage(version: object) -> None:
    data = {**stored(PLAN_VERSION), "version": version}
    with pytest.raises(ValueError, match=r"this plan has version .*, expected a whole number") as caught:
        discomfort.Plan.from_json(data)
    assert len(str(caught.value)) < 200
    del data["version"]
    with pytest.raises(ValueError, match="has version None"):
        discomfort.Plan.from_json(data)
