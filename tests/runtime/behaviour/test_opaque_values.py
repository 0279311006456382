"""Values by value of classes that the nodes' Python has and ours may not have, on every engine.

Where the engine runs in this Python they come back as they are; from a server as an `OpaqueValue`. Both go back in.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import UnreadableValueError
from discomfort.context.values.opaque import OpaqueValue
from discomfort.runtime.engine_thread import run_blocking
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.programs import reads, workflow, writes

RULES = {"TOKEN": "val", "VIDEO": "val"}
MINT = workflow(
    n1=reads("name"),
    n2=("BehaviourMint", {"name": ["1", 0]}),
    n3=writes("token", ["2", 0]),
    n4=("BehaviourAdd", {"a": 1, "b": 2}),
    n5=writes("sum", ["4", 0]),
)
READ = workflow(n1=reads("token"), n2=("BehaviourRead", {"token": ["1", 0]}), n3=writes("text", ["2", 0]))
RENAME = workflow(n1=reads("token"), n2=("BehaviourRename", {"token": ["1", 0]}), n3=writes("token", ["2", 0]))


def test_a_result_of_a_foreign_class_leaves_the_others_usable(rig: Rig, context: WorkflowContext) -> None:
    results = rig.compile(MINT, rules=RULES).run(context, inputs={"name": "penny"}, engine=rig.engine)
    assert results["sum"] == 3
    if rig.engine.hands_over_live_objects:
        assert results["token"].name == context.load("token").name == "penny"
        return
    assert type(results["token"]) is OpaqueValue
    with pytest.raises(UnreadableValueError, match=r"output 'token' \(TOKEN\), stored as .*Token"):
        print(results["token"].name)
    with pytest.raises(UnreadableValueError, match=r"'token', stored as .*Token"):
        context.load("token")


def test_a_value_of_a_foreign_class_goes_back_in(rig: Rig, context: WorkflowContext) -> None:
    results = rig.compile(MINT, rules=RULES).run(context, inputs={"name": "dime"}, engine=rig.engine)
    reading, renaming = rig.compile(READ, rules=RULES), rig.compile(RENAME, rules=RULES)
    assert reading.run(context, engine=rig.engine) == {"text": "Token dime"}
    renaming.run(context, iterations=2, engine=rig.engine)
    assert reading.run(context, engine=rig.engine) == {"text": "Token dime!!"}
    again = reading.run(context, inputs={"token": results["token"]}, engine=rig.engine)
    assert again == {"text": "Token dime"}


def test_a_wildcard_port_passes_and_takes_a_value_of_a_foreign_class(rig: Rig, context: WorkflowContext) -> None:
    passing = workflow(
        n1=("BehaviourMint", {"name": "cent"}), n2=("BehaviourPass", {"value": ["1", 0]}), n3=writes("any", ["2", 0])
    )
    taking = workflow(n1=reads("any"), n2=("BehaviourRead", {"token": ["1", 0]}), n3=writes("text", ["2", 0]))
    rig.compile(passing).run(context, engine=rig.engine)
    assert rig.compile(taking, rules=RULES).run(context, engine=rig.engine) == {"text": "Token cent"}


FILM = workflow(
    n1=("EmptyImage", {"width": 32, "height": 16, "batch_size": 3, "color": 0x336699}),
    n2=("CreateVideo", {"images": ["1", 0], "fps": 12.0}),
    n3=writes("film", ["2", 0]),
    n4=writes("frames", ["1", 0]),
)
FRAMES = workflow(
    n1=reads("film"),
    n2=("GetVideoComponents", {"video": ["1", 0]}),
    n3=writes("again", ["2", 0]),
    n4=writes("fps", ["2", 2]),
)


@pytest.mark.comfyui
def test_a_video_goes_back_to_the_comfyui_that_made_it(rig: Rig, context: WorkflowContext) -> None:
    if "CreateVideo" not in run_blocking(rig.engine.catalog()):
        pytest.skip("this engine has no videos")
    results = rig.compile(FILM, rules=RULES).run(context, engine=rig.engine)
    assert results["frames"].shape == (3, 16, 32, 3)
    if rig.engine.hands_over_live_objects:
        assert results["film"].get_dimensions() == (32, 16)
    else:
        assert type(results["film"]) is OpaqueValue
        with pytest.raises(UnreadableValueError, match=r"output 'film' \(VIDEO\), stored as comfy_api.*Video"):
            results["film"].get_dimensions()
    given: list[dict[str, Any]] = [{}, {"film": results["film"]}]
    for inputs in given:
        back = rig.compile(FRAMES).run(context, inputs=inputs, engine=rig.engine)
        assert torch.equal(back["again"], results["frames"])
        assert back["fps"] == 12.0
