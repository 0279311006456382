"""Node classes at the edges of ComfyUI's protocols, installed in a real checkout as a custom node."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from comfy_api.latest import io  # type: ignore[import-not-found,unused-ignore]
from comfy_execution.graph_utils import (  # type: ignore[import-not-found,unused-ignore]
    ExecutionBlocker,
    GraphBuilder,
)

NODE_CLASS_MAPPINGS: dict[str, Any] = {}
INT = ("INT", {"default": 0})
LAZY = ("*", {"lazy": True})


def v1(required: dict[str, Any] | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that makes a class of the V1 protocol of a function and adds it to the mappings."""

    def make(function: Callable[..., Any]) -> Any:
        inputs = {"required": required or {}, **attributes.pop("inputs", {})}
        body = {
            "INPUT_TYPES": classmethod(lambda cls: inputs),
            "RETURN_TYPES": ("*",),
            "FUNCTION": "run",
            "CATEGORY": "tests",
            "run": staticmethod(function),
            **{name: staticmethod(value) if callable(value) else value for name, value in attributes.items()},
        }
        made = NODE_CLASS_MAPPINGS[function.__name__] = type(function.__name__, (), body)
        return made

    return make


@v1({"value": ("*",)}, RETURN_TYPES=("STRING",), INPUT_IS_LIST=True)
def OddText(value: list[Any]) -> Any:
    """Returns a text of all that arrives."""
    return (json.dumps(value, default=repr),)


@v1({"count": INT}, OUTPUT_IS_LIST=(True,))
def OddList(count: int) -> Any:
    return (list(range(count)),)


@v1({"value": ("*",)})
def OddPass(value: Any) -> Any:
    return (value,)


@v1(inputs={"optional": {"value": ("*",)}})
def OddOptional(value: Any = "absent") -> Any:
    return (value,)


@v1({"kind": ("STRING", {})})
def OddAnswer(kind: str) -> Any:
    answers: dict[str, Any] = {
        "none": None,
        "list": [5],
        "number": 5,
        "result of none": {"result": None},
        "more than declared": (1, 2, 3),
        "a blocker": ExecutionBlocker(None),
        "a blocker with a message": ExecutionBlocker("not today"),
    }
    return answers[kind]


@v1({"kind": ("STRING", {})}, RETURN_TYPES=(), OUTPUT_NODE=True)
def OddShow(kind: str) -> Any:
    answers: dict[str, Any] = {
        "none": None,
        "empty": {},
        "text": {"ui": {"text": "abc"}},
        "tuple": {"ui": {"text": (1, 2)}},
        "number": {"ui": {"text": 5}},
    }
    return answers[kind]


@v1({"one": LAZY, "two": LAZY, "asks": ("STRING", {})}, check_lazy_status=lambda asks, one, two: asks.split())
def OddLazy(asks: str, one: Any = None, two: Any = None) -> Any:
    return ([one, two],)


@v1({"one": LAZY}, check_lazy_status=lambda one: ("one",))
def OddLazyTuple(one: Any = None) -> Any:
    return (one,)


@v1(
    {"value": INT},
    inputs={"hidden": {"me": "UNIQUE_ID", "prompt": "PROMPT"}},
    VALIDATE_INPUTS=lambda **given: given == {"value": 1, "me": "x", "prompt": {}} or f"got {given}",
)
def OddValidated(value: int, me: str, prompt: Any) -> Any:
    return (value,)


@v1({"value": INT}, VALIDATE_INPUTS=lambda: "never")
def OddValidatedWithoutInputs(value: int) -> Any:
    return (value,)


@v1({"value": ("INT,FLOAT", {"min": 0, "max": 10})})
def OddLimited(value: Any) -> Any:
    return (value,)


@v1({"value": INT, "other": INT}, IS_CHANGED=lambda value: "same")
def OddChanged(value: int, other: int) -> Any:
    return (value,)


@v1({"value": ("*",)})
def OddExpansion(value: Any) -> Any:
    """Links to an output that the class does not declare."""
    graph = GraphBuilder()
    more = graph.node("OddAnswer", kind="more than declared")
    return {"result": (more.out(2),), "expand": graph.finalize()}


@v1({"value": ("*",), "kind": ("STRING", {})})
async def OddLater(value: Any, kind: str) -> Any:
    await asyncio.sleep(0.001)
    if kind == "fails":
        raise LookupError("too late")
    return ExecutionBlocker(None) if kind == "blocks" else (value,)


class OddKeeps(io.ComfyNode):  # type: ignore[misc,unused-ignore]
    """Tries to keep something on its class."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="OddKeeps", category="tests", inputs=[io.Int.Input("value")], outputs=[io.Int.Output()]
        )

    @classmethod
    def execute(cls, value: int) -> Any:
        cls.kept = value
        return io.NodeOutput(value)


class OddJudge(io.ComfyNode):  # type: ignore[misc,unused-ignore]
    """Judges by a hidden input."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="OddJudge",
            category="tests",
            inputs=[io.Int.Input("value")],
            outputs=[io.Int.Output()],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, value: int) -> Any:
        return True if cls.hidden.unique_id == "x" else f"hidden is {cls.hidden}"

    @classmethod
    def execute(cls, value: int) -> Any:
        return io.NodeOutput(value)


NODE_CLASS_MAPPINGS |= {"OddKeeps": OddKeeps, "OddJudge": OddJudge}

if hasattr(io, "Autogrow") and hasattr(io, "DynamicCombo"):

    class OddGrowing(io.ComfyNode):  # type: ignore[misc,unused-ignore]
        """Has inputs that grow, and inputs that depend on a choice."""

        @classmethod
        def define_schema(cls) -> Any:
            template = io.Autogrow.TemplatePrefix(io.AnyType.Input("x"), prefix="x", min=1, max=3)
            deep = io.DynamicCombo.Input("deep", options=[io.DynamicCombo.Option("no", [])])
            options = [
                io.DynamicCombo.Option("number", [io.Int.Input("n", min=0, max=5)]),
                io.DynamicCombo.Option("text", [io.String.Input("s"), deep]),
            ]
            return io.Schema(
                node_id="OddGrowing",
                category="tests",
                inputs=[io.Autogrow.Input("xs", template=template), io.DynamicCombo.Input("c", options=options)],
                outputs=[io.AnyType.Output()],
            )

        @classmethod
        def execute(cls, xs: Any, c: Any) -> Any:
            return io.NodeOutput([xs, c])

    NODE_CLASS_MAPPINGS["OddGrowing"] = OddGrowing
