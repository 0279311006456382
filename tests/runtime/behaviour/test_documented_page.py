"""What the documentation's page about ports and contexts shows, on every engine: each of its snippets, rewritten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cloudpickle
import pytest
import torch
from PIL import Image

from discomfort.runtime.engines.protocol import EngineError
from discomfort.session import Discomfort
from discomfort.settings.pass_by import PRESETS, PassByRules, load_rules
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.programs import reads, workflow, writes

PAINT = workflow(
    n1=reads("my_prompt"),
    n2=reads("my_seed"),
    n3=("EmptyImage", {"width": 16, "height": 8, "batch_size": 1, "color": ["2", 0]}),
    n4=writes("between", ["3", 0]),
    n5=("ImageInvert", {"image": ["4", 0]}),
    n6=writes("final_image", ["5", 0]),
    n7=("BehaviourPass", {"value": ["1", 0]}),
    n8=writes("said", ["7", 0]),
)
LOAD = workflow(n1=reads("model_name"), n2=("BehaviourLoad", {"name": ["1", 0]}), n3=writes("my_model", ["2", 0]))
USE = workflow(
    n1=reads("my_model"),
    n2=reads("prompt"),
    n3=("BehaviourUse", {"model": ["1", 0], "word": ["2", 0]}),
    n4=writes("output", ["3", 0]),
)


@pytest.fixture
def session(rig: Rig) -> Discomfort:
    return asyncio.run(Discomfort.create(engine=rig.engine))


async def test_the_three_modes_of_a_port(session: Discomfort, tmp_path: Path) -> None:
    with session.Context() as context:
        context.save("my_prompt", "A quiet harbour, 4k")
        context.save("my_seed", 0x204060)
        results = await session.run([PAINT], context=context)
        image = context.load("final_image")
        session.Tools.save_comfy_image_to_disk(image, str(tmp_path / "output.png"))
        assert context.load("said") == "A quiet harbour, 4k"
    assert set(results) == {"final_image", "said"}  # PASSTHRU forwards, and is not a result
    assert torch.equal(results["final_image"], image)
    assert Image.open(tmp_path / "output.png").getpixel((0, 0)) == (0xDF, 0xBF, 0x9F)


async def test_a_model_is_stored_as_the_workflow_that_makes_it(rig: Rig, session: Discomfort) -> None:
    name = f"page's model of {rig.name}"
    with session.Context() as context:
        await session.run([LOAD], inputs={"model_name": name}, context=context)
        live = rig.engine.hands_over_live_objects
        if live:
            model_object = context.load("my_model")
            assert model_object.name == name
        else:
            with pytest.raises(EngineError, match='"val"'):
                context.load("my_model")
            model_object = (await session.run([LOAD], context=context))["my_model"]
        context.save("my_model", model_object)
        info = context.get_storage_info("my_model")
        assert info is not None
        assert info["pass_by"] == "ref"
        for number in range(5):
            context.save("prompt", f"picture {number}")
            await session.run([USE], context=context)
            assert context.load("output") == f"picture {number} by {name}"
    assert rig.noted().count(f"Load {name}") == 1


async def test_models_are_switched_by_name(rig: Rig, session: Discomfort) -> None:
    with session.Context() as context:
        for number in range(3):
            context.save("model_name", f"model{number} of {rig.name}")
            results = await session.run([LOAD, USE], inputs={"prompt": "one"}, context=context)
            assert results["output"] == f"one by model{number} of {rig.name}"


def test_values_are_kept_and_counted(session: Discomfort, tmp_path: Path) -> None:
    picture = torch.rand(1, 512, 512, 3)
    with session.Context(max_ram_gb=0.001) as context:
        context.save("large_image", picture)
        context.save("small_data", {"cfg": 7.5})
        places = [(context.get_storage_info(name) or {})["storage_type"] for name in ("large_image", "small_data")]
        assert places == ["disk", "ram"]
        assert torch.equal(context.load("large_image"), picture)
        usage = context.get_usage()
        assert f"{usage['ram_usage_gb']:.2f} / {usage['ram_capacity_gb']:.2f} GB" == "0.00 / 0.00 GB"
        assert f"{usage['temp_disk_usage_mb']:.0f} MB, {usage['stored_keys_count']} keys" == "3 MB, 2 keys"
        assert set(context.list_keys()) == {"large_image", "small_data"}
        target = tmp_path / "kept" / "file.pkl"
        context.export_data("small_data", str(target))
        assert cloudpickle.loads(target.read_bytes()) == {"cfg": 7.5}
        assert context.list_keys() == ["large_image"]
    assert context.closed


def test_two_contexts_know_nothing_of_each_other(session: Discomfort) -> None:
    with session.Context() as training, session.Context() as inference:
        training.save("output", 1)
        inference.save("output", 2)
        assert (training.load("output"), inference.load("output")) == (1, 2)


def test_the_rules_are_read_as_the_page_writes_them(tmp_path: Path) -> None:
    lines = "".join(f'    "{name}": "{rule}",   // a word about {name}\n' for name, rule in PRESETS.items())
    path = tmp_path / "pass_by_rules.json"
    path.write_text(f"{{\n{lines}}}".replace(",   // a word about ANY", ""))
    assert load_rules(path) == PassByRules(dict(PRESETS))
