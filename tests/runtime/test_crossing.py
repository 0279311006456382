"""What cannot be sent to an engine or back is reported at bind: all of it, with workflow, port and type (law R5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.ir.diagnostics import Place
from discomfort.plan import Plan, compile
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.channels.with_our_nodes import WIRE
from discomfort.runtime.engines.comfyui.channels.without_our_nodes import PLAIN
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.protocol import Listener, PromptRequest, PromptResult, Splitting, TransferLimits
from tests.runtime.programs import reads, workflow, writes

LATENT = {"samples": torch.zeros(1, 4, 8, 8)}
SENT = "it cannot be sent to a ComfyUI server without our nodes"
READ_BACK = "it cannot be read back from a ComfyUI server without our nodes"


class Wrap:
    RETURN_TYPES = ("THING",)
    FUNCTION = "run"
    DISCOMFORT_EFFECT = "pure"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"latent": ("LATENT",)}}

    def run(self, latent: Any) -> tuple[Any]:
        return (latent,)


class Measure(Wrap):
    RETURN_TYPES = ("INT",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"thing": ("THING",)}}

    def run(self, latent: Any = None, thing: Any = None) -> tuple[Any]:
        return (thing["samples"].shape[-1],)


class CrossingEngine(EmbeddedEngine):
    """The embedded engine, but not everything can be sent to it (None: it can); keeps what it was asked to run."""

    splitting = Splitting.FOR_DEPTH

    def __init__(self, kind: TransferLimits | None = PLAIN) -> None:
        super().__init__()
        self.register({"Wrap": Wrap, "Measure": Measure})
        self._kind = kind
        self.requests: list[PromptRequest] = []

    async def transfer_limits(self, context: WorkflowContext) -> TransferLimits | None:
        return self._kind

    async def run(self, request: PromptRequest, listener: Listener | None = None) -> PromptResult:
        self.requests.append(request)
        return await super().run(request, listener)

    def compile(self, *workflows: Any, **options: Any) -> Plan:
        return compile(workflows, catalog=run_blocking(self.catalog()), **options)


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.05) as made:
        yield made


@pytest.fixture
def engine() -> CrossingEngine:
    return CrossingEngine()


def saved(folder: Path, name: str, nodes: dict[str, Any]) -> Path:
    path = folder / name
    path.write_text(json.dumps(nodes))
    return path


def refused(plan: Plan, context: WorkflowContext, engine: CrossingEngine, **inputs: Any) -> dict[str, Place]:
    """Run a plan that cannot cross; return the place of each finding by its message."""
    with pytest.raises(BindError) as caught:
        plan.run(context, inputs=inputs, engine=engine)
    assert engine.requests == []
    assert {finding.code for finding in caught.value.diagnostics} == {"DF521"}
    assert all("custom_nodes" in (finding.hint or "") for finding in caught.value.diagnostics)
    return {finding.message: finding.where for finding in caught.value.diagnostics}


FLIPPER = workflow(
    n1=reads("latent"),
    n2=("LatentFlip", {"samples": ["1", 0], "flip_method": "x-axis: vertically"}),
    n3=writes("flipped", ["2", 0]),
)
FRAMES = workflow(
    n1=("EmptyImage", {"width": 8, "height": 8, "batch_size": 2, "color": 0}),
    n2=("RebatchImages", {"images": ["1", 0], "batch_size": 1}),
    n3=("ImageInvert", {"image": ["2", 0]}),
    n4=writes("frames", ["3", 0]),
    n5=("RebatchImages", {"images": ["3", 0], "batch_size": 64}),
    n6=("RepeatImageBatch", {"image": ["1", 0], "amount": 2}),
    n7=writes("batch", ["6", 0]),
)


def test_R5_all_that_cannot_cross_is_reported_before_the_first_prompt(
    engine: CrossingEngine, context: WorkflowContext, tmp_path: Path
) -> None:
    flip, frames = saved(tmp_path, "flip.json", FLIPPER), saved(tmp_path, "frames.json", FRAMES)
    found = refused(engine.compile(flip, frames), context, engine, latent=LATENT)

    def at(file: Path, node: str, name: str) -> Place:
        return Place(str(file), None, node, "my DiscomfortPort", name)

    assert found == {
        f"input 'latent' (LATENT) holds a dict: {SENT}": at(flip, "1", "latent"),
        f"output 'flipped' is LATENT: {READ_BACK}": at(flip, "3", "flipped"),
        f"output 'frames' is a list of IMAGE: {READ_BACK}": at(frames, "4", "frames"),
    }


def test_R5_a_value_between_two_prompts_must_cross_too(engine: CrossingEngine, context: WorkflowContext) -> None:
    chain: dict[str, Any] = {"0": ("EmptyLatentImage", {"width": 16, "height": 16, "batch_size": 1})}
    for number in range(1, 401):
        chain[str(number)] = ("RepeatLatentBatch", {"samples": [str(number - 1), 0], "amount": 1})
    chain["wrap"] = ("Wrap", {"latent": ["400", 0]})
    chain["measure"] = ("Measure", {"thing": ["wrap", 0]})
    (message,) = refused(engine.compile(workflow(**chain, out=writes("size", ["measure", 0]))), context, engine)
    assert message == f"output 0 of RepeatLatentBatch, which a later prompt of the plan needs, is LATENT: {READ_BACK}"


def test_R5_a_recipe_holds_what_cannot_cross(engine: CrossingEngine, context: WorkflowContext) -> None:
    wrap = workflow(n1=reads("latent"), n2=("Wrap", {"latent": ["1", 0]}), n3=writes("thing", ["2", 0]))
    measure = workflow(n1=reads("thing"), n2=("Measure", {"thing": ["1", 0]}), n3=writes("size", ["2", 0]))
    anywhere = CrossingEngine(None)
    anywhere.compile(wrap).run(context, inputs={"latent": LATENT}, engine=anywhere)
    found = refused(engine.compile(measure), context, engine)
    assert {message: place.input for message, place in found.items()} == {
        f"the recipe of 'thing' holds a dict: {SENT}": "thing"
    }
    assert anywhere.compile(measure).run(context, engine=anywhere) == {"size": 8}
    assert engine.compile(measure).run(context, engine=engine) == {"size": 8}  # remembered: nothing has to cross
    assert engine.requests == []


def test_R5_a_match_type_crosses_as_what_it_is_bound_to(engine: CrossingEngine, context: WorkflowContext) -> None:
    switch = workflow(
        n1=reads("which"),
        n2=("EmptyImage", {"width": 8, "height": 8, "batch_size": 1, "color": 0}),
        n3=("EmptyImage", {"width": 16, "height": 8, "batch_size": 1, "color": 0}),
        n4=("ComfySwitchNode", {"switch": ["1", 0], "on_false": ["2", 0], "on_true": ["3", 0]}),
        n5=writes("chosen", ["4", 0]),
    )
    plan = engine.compile(switch, rules={"*": "val", "IMAGE": "val", "BOOLEAN": "val"})
    results = plan.run(context, inputs={"which": True}, engine=engine)
    assert tuple(results["chosen"].shape) == (1, 8, 16, 3)
    assert [list(request.types.values()) for request in engine.requests] == [["IMAGE"]]


def test_R5_values_that_need_pickle_are_reported_where_values_travel_over_a_network(context: WorkflowContext) -> None:
    engine = CrossingEngine(WIRE)
    plan = engine.compile(workflow(n1=reads("given"), n2=("PreviewAny", {"source": ["1", 0]})))
    with pytest.raises(BindError) as caught:
        plan.run(context, inputs={"given": {1, 2}}, engine=engine)
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.where.input) == ("DF522", "given")
    assert "cannot travel to a remote ComfyUI without pickle" in finding.message
    plan.run(context, inputs={"given": LATENT}, engine=engine)
    assert len(engine.requests) == 1
