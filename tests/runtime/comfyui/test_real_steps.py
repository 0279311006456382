"""Plans of several prompts on a real ComfyUI: `pytest --comfyui=PATH --comfyui-python=PYTHON`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from discomfort.context.context import WorkflowContext
from discomfort.context.values.value_list import ValueList
from discomfort.plan import compile
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from tests.runtime.comfyui.chains import Workflow, count_prompts, expected, inverted, node, port

pytestmark = pytest.mark.comfyui

FRAMES = {
    "1": node("EmptyImage", width=8, height=8, batch_size=3, color=0x40),
    "2": node("RebatchImages", images=["1", 0], batch_size=1),
    "out": port("frames", ["2", 0]),
}
NEGATIVES = {"in": port("frames"), "1": node("ImageInvert", image=["in", 0]), "out": port("negatives", ["1", 0])}
JOINED = {
    "in": port("negatives"),
    "1": node("RebatchImages", images=["in", 0], batch_size=64),
    "out": port("joined", ["1", 0]),
}
COUNTED = {"1": node("StringLength", string="ab"), "out": port("factor", ["1", 0])}
NAMED = {
    "1": node("StringConcatenate", string_a="bil", string_b="inear", delimiter=""),
    "out": port("method", ["1", 0]),
}
SCALED = {
    "1": port("factor"),
    "2": port("method"),
    "3": node("EmptyImage", width=8, height=8, batch_size=1, color=0x40),
    "4": node("ImageScaleBy", image=["3", 0], upscale_method=["2", 0], scale_by=["1", 0]),
    "out": port("scaled", ["4", 0]),
}


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUIEngine]:
    """An engine with a real server of its own."""
    base = tmp_path_factory.mktemp("comfyui")
    for folder in ("custom_nodes", "input", "output", "temp", "models", "user"):
        (base / folder).mkdir()
    database = f"sqlite:///{base / 'comfyui.db'}"
    arguments = ["--cpu", "--base-directory", str(base), "--database-url", database, "--disable-api-nodes"]
    path, python = (request.config.getoption(name) for name in ("--comfyui", "--comfyui-python"))
    engine = ComfyUIEngine.managed(Path(str(path)).resolve(), python, arguments)
    yield engine
    run_blocking(engine.close())


def run_in_turn(engine: ComfyUIEngine, context: WorkflowContext, *workflows: Workflow) -> None:
    for workflow in workflows:
        compile([workflow], catalog=run_blocking(engine.catalog())).run(context, engine=engine)


def test_real_server_runs_a_chain_of_1500_nodes_and_its_worker_lives(
    real: ComfyUIEngine, context: WorkflowContext
) -> None:
    """A prompt of 985 nodes in a row is refused, and one of 750 may end the thread that runs prompts."""
    catalog = run_blocking(real.catalog())
    process = real.server.process_id if real.server is not None else None
    sizes = count_prompts(real)
    plan = compile([inverted(1500, color=0x336699)], catalog=catalog)
    results = plan.run(context, engine=real)
    assert torch.equal(results["image"], expected(1500, color=0x336699))
    assert len(sizes) == len(plan.steps)
    plan.run(context, engine=real)
    assert len(sizes) == len(plan.steps)
    again = compile([inverted(5, color=1)], catalog=catalog).run(context, engine=real)
    assert torch.equal(again["image"], expected(5, color=1))
    assert real.server is not None
    assert real.server.process_id == process


def test_real_server_numbers_files_in_the_order_of_the_workflows(real: ComfyUIEngine, context: WorkflowContext) -> None:
    """ComfyUI runs the output nodes of a prompt in the order of a set; the plan's order is that of the list."""
    prefix = f"in_order_{uuid.uuid4().hex}"
    saving = [
        {
            "1": node("EmptyImage", width=8, height=8, batch_size=1, color=color),
            "2": node("SaveImage", images=["1", 0], filename_prefix=prefix),
        }
        for color in range(6)
    ]
    compile(saving, catalog=run_blocking(real.catalog())).run(context, engine=real)
    assert real.server is not None
    files = sorted((real.server.config.base_folder / "output").glob(f"{prefix}*.png"))
    assert [Image.open(file).getpixel((0, 0)) for file in files] == [(0, 0, color) for color in range(6)]


def test_real_server_maps_a_list_that_crossed_a_port(real: ComfyUIEngine, context: WorkflowContext) -> None:
    run_in_turn(real, context, FRAMES, NEGATIVES, JOINED)
    apart = context.load("joined")
    assert type(context.load("negatives")) is ValueList
    assert [tuple(one.shape) for one in context.load("negatives")] == [(1, 8, 8, 3)] * 3
    with WorkflowContext(max_ram_gb=0.05) as fresh:
        plan = compile([FRAMES, NEGATIVES, JOINED], catalog=run_blocking(real.catalog()))
        together = plan.run(fresh, engine=real)["joined"]
        assert torch.equal(together, apart)
        assert tuple(together.shape) == (3, 8, 8, 3)


def test_real_server_takes_converted_values(real: ComfyUIEngine, context: WorkflowContext) -> None:
    """A link from INT to FLOAT, or from STRING to a combo, is refused; the value itself fits."""
    plan = compile([COUNTED, NAMED, SCALED], catalog=run_blocking(real.catalog()))
    assert len(plan.graph.conversions) == 2
    assert tuple(plan.run(context, engine=real)["scaled"].shape) == (1, 16, 16, 3)
    with WorkflowContext(max_ram_gb=0.05) as apart:
        run_in_turn(real, apart, COUNTED, NAMED, SCALED)
        assert torch.equal(apart.load("scaled"), context.load("scaled"))
