"""Classes of both of ComfyUI's protocols, run behind their adapters; small stand-ins take ComfyUI's part."""

from __future__ import annotations

import asyncio
import contextvars
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.inprocess.checkout import Checkout
from discomfort.runtime.engines.inprocess.node_adapters import ComfyCalls, make_adapter
from discomfort.runtime.engines.protocol import (
    NodeFailed,
    OutOfMemory,
    PromptInterrupted,
    PromptRejected,
    PromptRequest,
    PromptResult,
)


class TheirBlocker:
    def __init__(self, message: str | None) -> None:
        self.message = message


class Running(NamedTuple):
    prompt_id: str
    node_id: str
    list_index: int | None


running: contextvars.ContextVar[Running | None] = contextvars.ContextVar("running", default=None)


class OutOfMemoryError(Exception):
    pass


class Stopped(BaseException):
    pass


class Builder:
    prefix: tuple[str, int] = ("", 0)

    @classmethod
    def set_default_prefix(cls, root: str, call: int) -> None:
        cls.prefix = (root, call)


class V3Base:
    """What an adapter uses of a V3 class: the attributes that ComfyUI keeps for its own V1 code."""

    hidden: Any = None
    FUNCTION = "EXECUTE"
    RETURN_TYPES = ("*",)
    OUTPUT_NODE = False

    @classmethod
    def GET_BASE_CLASS(cls) -> type:
        return V3Base

    @classmethod
    def PREPARE_CLASS_CLONE(cls, v3_data: dict[str, Any]) -> type:
        return type(cls.__name__, (cls,), {"hidden": SimpleNamespace(**v3_data["hidden_inputs"])})

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def check_lazy_status(cls, **inputs: Any) -> list[str]:
        return [name for name, value in inputs.items() if value is None]


def locked(node_class: Any, name: str, clone: Any) -> Any:
    """Return a function of `clone`: a plain one, as ComfyUI's is."""
    return lambda **inputs: getattr(clone, name)(**inputs)


def output(*values: Any, ui: Any = None, expand: Any = None, block: str | None = None) -> Any:
    return SimpleNamespace(result=values or None, ui=ui, expand=expand, block_execution=block)


class Engine:
    """An embedded engine with adapters of the given classes."""

    def __init__(self, **classes: Any) -> None:
        self.unloaded = 0
        management = SimpleNamespace(
            OOM_EXCEPTION=OutOfMemoryError, InterruptProcessingException=Stopped, unload_all_models=self._unload
        )
        modules = {
            "comfy_execution.graph": SimpleNamespace(ExecutionBlocker=TheirBlocker),
            "comfy_execution.utils": SimpleNamespace(ExecutionContext=Running, current_executing_context=running),
            "comfy_execution.graph_utils": SimpleNamespace(GraphBuilder=Builder),
            "comfy_api.internal": SimpleNamespace(_ComfyNodeInternal=V3Base, make_locked_method_func=locked),
            "comfy.model_management": management,
        }
        checkout = SimpleNamespace(module=lambda name: cast(ModuleType, modules[name]))
        calls = ComfyCalls(cast(Checkout, checkout))
        calls.prompt_id = "the prompt"
        self.engine = EmbeddedEngine()
        self.engine.register(
            {name: make_adapter(name, each, calls, SimpleNamespace()) for name, each in classes.items()}
        )

    def _unload(self) -> None:
        self.unloaded += 1

    async def run(self, **nodes: tuple[str, dict[str, Any]]) -> PromptResult:
        prompt = {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}
        last = list(prompt)[-1]
        prompt["saver"] = {"class_type": "DiscomfortContextSaver", "inputs": {"value": [last, 0], "name": "out"}}
        with WorkflowContext(max_ram_gb=0.1) as context:
            return await self.engine.run(PromptRequest(prompt, {"out": "saver"}, context))

    async def value(self, **nodes: tuple[str, dict[str, Any]]) -> Any:
        return (await self.run(**nodes)).outputs["out"].value


class Number:
    """A V1 class that says where it runs."""

    seen: Any = None
    made = 0
    RETURN_TYPES = ("INT",)
    FUNCTION = "give"

    def __init__(self) -> None:
        type(self).made += 1

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("INT", {"min": 0})}}

    def give(self, value: int) -> tuple[int]:
        Number.seen = (running.get(), Builder.prefix)
        return (value,)


class List:
    RETURN_TYPES = ("INT",)
    FUNCTION = "give"
    OUTPUT_IS_LIST = (True,)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"count": ("INT", {})}}

    def give(self, count: int) -> tuple[list[Any]]:
        return ([TheirBlocker(None) if index == 1 else index for index in range(count)],)


class V3Double(V3Base):
    RETURN_TYPES = ("INT",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("INT", {})}, "hidden": {"unique_id": ("UNIQUE_ID",)}}

    @classmethod
    def EXECUTE(cls, value: int) -> Any:
        return output(f"{cls.hidden.UNIQUE_ID}: {2 * value}")

    @classmethod
    def validate_inputs(cls, value: int) -> bool | str:  # type: ignore[override]
        return True if value is None or value < 100 else "too much"


class V3Async(V3Base):
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("INT", {})}}

    @classmethod
    async def EXECUTE(cls, value: int) -> Any:
        first = torch.is_inference_mode_enabled()
        await asyncio.sleep(0.02)
        context = running.get()
        assert context is not None
        return output((value, first, torch.is_inference_mode_enabled(), context.node_id))


async def test_v1_class_knows_prompt_node_and_call() -> None:
    assert await Engine(Number=Number).value(a=("Number", {"value": 3})) == 3
    assert Number.seen == (Running("the prompt", "a", 0), ("a", 0))


async def test_v1_object_lives_from_run_to_run() -> None:
    engine = Engine(Number=Number)
    Number.made = 0
    for value in range(3):
        assert await engine.value(a=("Number", {"value": value})) == value
    assert Number.made == 1


async def test_limits_of_a_class_are_checked_before_it_runs() -> None:
    with pytest.raises(PromptRejected, match="value_smaller_than_min"):
        await Engine(Number=Number).value(a=("Number", {"value": -1}))


async def test_blocker_of_comfyui_blocks_its_item_of_a_list_alone() -> None:
    seen: list[int] = []

    class Echo(Number):
        def give(self, value: int) -> tuple[int]:
            seen.append(value)
            return (value,)

    with pytest.raises(NodeFailed, match="nothing arrived for 'out'"):
        await Engine(List=List, Echo=Echo).run(a=("List", {"count": 3}), b=("Echo", {"value": ["a", 0]}))
    assert seen == [0, 2], "the saver takes the whole list, so it is blocked; Echo runs for the other items"


async def test_blocker_of_comfyui_with_a_message_fails_with_it() -> None:
    class Blocks(Number):
        def give(self, value: int) -> Any:
            return (TheirBlocker("not today"),)

    with pytest.raises(NodeFailed, match="not today"):
        await Engine(Blocks=Blocks).value(a=("Blocks", {"value": 1}))


async def test_v3_class_gets_hidden_inputs_on_a_clone_and_its_validator_is_asked() -> None:
    engine = Engine(V3Double=V3Double)
    assert await engine.value(here=("V3Double", {"value": 4})) == "here: 8"
    assert V3Double.hidden is None
    with pytest.raises(PromptRejected, match="custom_validation_failed: too much"):
        await engine.value(here=("V3Double", {"value": 100}))


async def test_v3_validator_knows_the_hidden_inputs() -> None:
    class Judges(V3Double):
        @classmethod
        def validate_inputs(cls, value: int) -> bool | str:  # type: ignore[override]
            return f"not in {cls.hidden.UNIQUE_ID}"

    with pytest.raises(PromptRejected, match="custom_validation_failed: not in here"):
        await Engine(Judges=Judges).value(here=("Judges", {"value": 1}))


async def test_v3_class_that_wants_nothing_hidden_runs_again_and_again() -> None:
    class Plain(V3Base):
        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {"value": ("INT", {})}}

        @classmethod
        def EXECUTE(cls, value: int) -> Any:
            return output(value + 1)

    engine = Engine(Plain=Plain)
    assert [await engine.value(a=("Plain", {"value": value})) for value in (1, 2, 3)] == [2, 3, 4]


async def test_v3_fingerprint_decides_whether_a_result_is_used_again() -> None:
    class Stamped(V3Double):
        stamp: Any = 1
        calls = 0

        @classmethod
        def EXECUTE(cls, value: int) -> Any:
            Stamped.calls += 1
            return output(value)

        @classmethod
        def fingerprint_inputs(cls, value: int) -> Any:  # type: ignore[override]
            return Stamped.stamp

    engine = Engine(Stamped=Stamped)
    for stamp, calls in ((1, 1), (1, 1), (2, 2), (float("nan"), 3), (float("nan"), 4)):
        Stamped.stamp = stamp
        await engine.value(a=("Stamped", {"value": 1}))
        assert Stamped.calls == calls


async def test_v3_block_execution_and_ui_are_understood() -> None:
    class Shows(V3Double):
        OUTPUT_NODE = True

        @classmethod
        def EXECUTE(cls, value: int) -> Any:
            if value > 1:
                return output(block="stop here")
            return output(value, ui=SimpleNamespace(as_dict=lambda: {"text": ["shown"]}))

    engine = Engine(Shows=Shows)
    assert (await engine.run(a=("Shows", {"value": 1}))).ui["a"] == {"text": ["shown"]}
    with pytest.raises(NodeFailed, match="stop here"):
        await engine.run(a=("Shows", {"value": 2}))


async def test_v3_expansion_runs_the_graph_it_returns() -> None:
    class Grows(V3Double):
        @classmethod
        def EXECUTE(cls, value: int) -> Any:
            return output(["more", 0], expand={"more": {"class_type": "Number", "inputs": {"value": value + 1}}})

    assert await Engine(Grows=Grows, Number=Number).value(a=("Grows", {"value": 1})) == 2


async def test_asynchronous_class_steps_in_inference_mode_and_leaves_the_loop_out_of_it() -> None:
    modes: list[bool] = []

    async def watch() -> None:
        while True:
            modes.append(torch.is_inference_mode_enabled())
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(watch())
    assert await Engine(V3Async=V3Async).value(a=("V3Async", {"value": 5})) == (5, True, True, "a")
    watching.cancel()
    assert modes
    assert not any(modes)


async def test_out_of_memory_unloads_models_and_is_reported() -> None:
    class Greedy(Number):
        def give(self, value: int) -> tuple[int]:
            raise OutOfMemoryError("no more")

    class GreedyLater(V3Double):
        @classmethod
        async def EXECUTE(cls, value: int) -> Any:
            raise OutOfMemoryError("no more")

    engine = Engine(Greedy=Greedy, GreedyLater=GreedyLater)
    for unloaded, kind in enumerate(("Greedy", "GreedyLater"), 1):
        with pytest.raises(OutOfMemory, match=r"node a .*OutOfMemoryError: no more .*--lowvram"):
            await engine.value(a=(kind, {"value": 1}))
        assert engine.unloaded == unloaded


async def test_a_node_that_interrupts_the_prompt_ends_it_and_the_next_one_runs() -> None:
    class Stops(Number):
        def give(self, value: int) -> tuple[int]:
            raise Stopped

    class StopsLater(V3Double):
        @classmethod
        async def EXECUTE(cls, value: int) -> Any:
            raise Stopped

    engine = Engine(Stops=Stops, StopsLater=StopsLater, Number=Number)
    for kind in ("Stops", "StopsLater"):
        with pytest.raises(PromptInterrupted):
            await engine.value(a=(kind, {"value": 1}))
    assert await engine.value(a=("Number", {"value": 3})) == 3
