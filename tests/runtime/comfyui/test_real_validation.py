"""Programs that real ComfyUI servers refuse write nothing: `pytest --comfyui=PATH`. See `test_validation.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.comfyui.engine import ComfyUIEngine
from discomfort.runtime.engines.comfyui.process.server import ManagedServer
from discomfort.runtime.engines.comfyui.worker import Worker
from discomfort.runtime.engines.protocol import PromptRejected, PromptRequest
from tests.runtime.comfyui.chains import node
from tests.runtime.comfyui.real import real_config
from tests.runtime.comfyui.test_real_attach import given
from tests.runtime.comfyui.test_steps import split
from tests.runtime.comfyui.test_validation import CHAIN, COUNTS, IN_ONE, LEVELS, PROGRAMS, REFUSED, SAVES, Rig

pytestmark = [pytest.mark.comfyui, pytest.mark.timeout(550)]

NODES = '''
import server


class Add:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"a": ("INT", {}), "b": ("INT", {})}})
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "tests"

    def run(self, a, b):
        return (a + b,)


class Level(Add):
    INPUT_TYPES = classmethod(lambda cls: {"required": {"image": ("IMAGE",), "factor": ("FLOAT", {})}})
    RETURN_TYPES = ("IMAGE",)

    def run(self, image, factor):
        assert type(factor) is float
        return (image * factor,)


class Picky(Add):
    INPUT_TYPES = classmethod(lambda cls: {"required": {"images": ("IMAGE",), "mood": ("STRING", {})}})
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def VALIDATE_INPUTS(cls, mood):
        return True if mood == "good" else f"not in the mood: {mood!r}"

    def run(self, images, mood):
        return (images,)


class PickyAboutTypes(Picky):
    INPUT_TYPES = classmethod(lambda cls: {"required": {"images": ("IMAGE",)}})

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True if input_types["images"] in ("IMAGE",) else f"no picture, but {input_types['images']!r}"

    def run(self, images):
        return (images,)


class PickyAboutNumbers(Level):
    """Validates a literal, which in a program may come from an earlier prompt."""

    @classmethod
    def VALIDATE_INPUTS(cls, factor):
        return True if factor > 0 else f"{factor!r} is not above zero"


class Blank(Add):
    INPUT_TYPES = classmethod(lambda cls: {"required": {"a": ("INT", {}), "b": ("INT", {})}})


def fill_in(message):
    for spec in message["prompt"].values():
        if spec["class_type"] == "Blank":
            spec["inputs"].setdefault("b", 42)
    return message


server.PromptServer.instance.add_on_prompt_handler(fill_in)
NODE_CLASS_MAPPINGS = {
    made.__name__: made for made in (Add, Blank, Level, Picky, PickyAboutNumbers, PickyAboutTypes)
}
'''


def running(
    request: pytest.FixtureRequest, base: Path, nodes: Path | None = None
) -> Iterator[tuple[ManagedServer, Path]]:
    (base / "custom_nodes").mkdir(parents=True)
    (base / "custom_nodes" / "validation_nodes.py").write_text(NODES)
    server = ManagedServer(real_config(*given(request), base), nodes)
    asyncio.run(server.start())
    try:
        yield server, base
    finally:
        asyncio.run(server.stop())


@pytest.fixture(scope="module")
def with_nodes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ManagedServer, Path]]:
    yield from running(request, tmp_path_factory.mktemp("with"))


@pytest.fixture(scope="module")
def without_nodes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ManagedServer, Path]]:
    base = tmp_path_factory.mktemp("without")
    (base / "nothing").mkdir()
    yield from running(request, base, base / "nothing")


def attached(started: tuple[ManagedServer, Path]) -> Iterator[Rig]:
    server, base = started
    for path in (base / "output").glob("*.png"):
        path.unlink()
    engine = ComfyUIEngine.attached(server.url, server.token)
    yield Rig(engine, base)
    run_blocking(engine.close())


@pytest.fixture
def rig(with_nodes: tuple[ManagedServer, Path]) -> Iterator[Rig]:
    yield from attached(with_nodes)


@pytest.fixture
def plain(without_nodes: tuple[ManagedServer, Path]) -> Iterator[Rig]:
    yield from attached(without_nodes)


def pictures(rig: Rig) -> list[str]:
    return [name for name in rig.written() if name.endswith(".png")]


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_written_when_a_part_of_a_program_is_refused(
    rig: Rig, context: WorkflowContext, program: str
) -> None:
    workflows, options = PROGRAMS[program]
    plan = rig.plan(*workflows, options=options)
    for _ in range(2):
        with pytest.raises(PromptRejected, match="not in the mood: 'bad'") as caught:
            plan.run(context, engine=rig.engine)
        assert caught.value.written == ()
    assert pictures(rig) == []


def test_a_managed_server_writes_nothing_either(
    comfyui_path: Path, comfyui_python: str, tmp_path: Path, context: WorkflowContext
) -> None:
    (tmp_path / "custom_nodes").mkdir()
    (tmp_path / "custom_nodes" / "validation_nodes.py").write_text(NODES)
    rig = Rig(ComfyUIEngine.managed(real_config(comfyui_path, comfyui_python, tmp_path)), tmp_path)
    try:
        plan = rig.plan(SAVES, REFUSED)
        for _ in range(2):
            with pytest.raises(PromptRejected):
                plan.run(context, engine=rig.engine)
        with pytest.raises(PromptRejected):
            run_blocking(Worker(rig.engine).run_workflow(IN_ONE, use_workflow_json=False))
    finally:
        run_blocking(rig.engine.close())
    assert pictures(rig) == []


def test_a_program_of_several_prompts_runs_when_nothing_is_refused(rig: Rig, context: WorkflowContext) -> None:
    levels = {
        **LEVELS,
        "2": node("PickyAboutNumbers", image=["1", 0], factor=["in", 0]),
        "3": node("Picky", images=["2", 0], mood="good"),
    }
    plan = rig.plan(COUNTS, levels)
    plan.run(context, engine=rig.engine)
    assert pictures(rig) == ["good_00001_.png", "level_00001_.png"]


def test_what_an_earlier_prompt_computes_has_the_type_that_it_will_have(rig: Rig, context: WorkflowContext) -> None:
    plan = rig.plan(CHAIN, options=split(3))
    assert len(plan.steps) > 1
    plan.run(context, engine=rig.engine)
    (changed,) = (node_id for node_id, one in plan.graph.nodes.items() if one.origin.node == "6")
    source = plan.graph.nodes[changed].inputs["image"]
    other = replace(plan.graph.nodes[changed], class_type="MaskToImage", inputs={"mask": source})
    wrong = replace(plan, graph=replace(plan.graph, nodes={**plan.graph.nodes, changed: other}))
    with (
        WorkflowContext(max_ram_gb=0.1) as fresh,
        pytest.raises(PromptRejected, match=r"received_type\(IMAGE\) mismatch input_type\(MASK\)"),
    ):
        wrong.run(fresh, engine=rig.engine)
    assert pictures(rig) == ["first_00001_.png", "last_00001_.png"]
    looking = rig.plan({**CHAIN, "6": node("PickyAboutTypes", images=["5", 0])}, options=split(3))
    with pytest.raises(PromptRejected, match=r"no picture, but '\*'"):
        looking.run(context, engine=rig.engine)
    assert pictures(rig) == ["first_00001_.png", "last_00001_.png"]


def test_a_prompt_that_a_handler_of_another_pack_completes_is_not_refused(rig: Rig, context: WorkflowContext) -> None:
    prompt = {"1": node("Blank", a=1), "2": node("PreviewAny", source=["1", 0]), "3": node("PreviewAny", source="x")}
    result = run_blocking(rig.engine.run(PromptRequest(prompt, {}, context)))
    assert list(result.ui["2"]["text"]) == ["43"]


@pytest.mark.parametrize(
    ("program", "files"),
    [
        ("a group of effects after another", ["good_00001_.png"]),
        ("a group of effects before another", []),
        ("a later prompt", ["good_00001_.png"]),
    ],
)
def test_a_server_without_our_nodes_lists_what_was_written(
    plain: Rig, context: WorkflowContext, program: str, files: list[str]
) -> None:
    workflows, options = PROGRAMS[program]
    with pytest.raises(PromptRejected) as caught:
        plain.plan(*workflows, options=options).run(context, engine=plain.engine)
    assert pictures(plain) == files
    assert list(caught.value.written) == [f"output/{name}" for name in files]


def test_a_server_without_our_nodes_lists_what_the_rest_of_a_refused_prompt_wrote(
    plain: Rig, context: WorkflowContext
) -> None:
    seen: set[str] = set()
    for _ in range(5):
        with pytest.raises(PromptRejected) as caught:
            plain.plan(IN_ONE).run(context, engine=plain.engine)
        new = set(pictures(plain)) - seen
        assert set(caught.value.written) == {f"output/{name}" for name in new}
        seen |= new
    print("written:", sorted(seen))
