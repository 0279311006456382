"""The node classes of the behaviour suite, loaded by every engine: by ComfyUI as a custom node, by ours as a file.

Each run of a node that notes itself adds a line to the file `behaviour_nodes.journal` next to this one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

JOURNAL = Path(__file__).with_suffix(".journal")


def note(line: str) -> None:
    with JOURNAL.open("a", encoding="utf-8") as journal:
        journal.write(line + "\n")


def steps(count: int) -> Any:
    """Yield `count` times, reporting how far we are; raises when we are to stop."""
    try:
        from comfy.utils import ProgressBar  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from discomfort.runtime.engines.embedded.for_node_authors.node_api import report_progress

        for done in range(1, count + 1):
            report_progress(done, count)
            yield
    else:
        bar = ProgressBar(count)
        for done in range(1, count + 1):
            bar.update_absolute(done, count)
            yield


def node(
    returns: tuple[str, ...], required: dict[str, Any] | None = None, **attributes: Any
) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that makes a V1 class of a function, which gets its inputs by name."""

    def make(function: Callable[..., Any]) -> Any:
        inputs = {"required": required or {}, **attributes.pop("inputs", {})}
        body = {
            "INPUT_TYPES": classmethod(lambda cls: inputs),
            "RETURN_TYPES": returns,
            "FUNCTION": "run",
            "CATEGORY": "tests",
            "run": lambda self, **given: function(**given),
            **attributes,
        }
        if asyncio.iscoroutinefunction(function):

            async def run(self: Any, **given: Any) -> Any:
                return await function(**given)

            body["run"] = run
        return type(function.__name__, (), body)

    return make


class AnyType(str):
    """Older ComfyUI compares the types at the ends of a link as text."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


class Wildcard(str):
    """How many packs write "any": equal to every type, so that ComfyUI takes it for INT, FLOAT, STRING and BOOLEAN."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


ANY = AnyType("*")
WILDCARD = (Wildcard("*"),)
INT = ("INT", {"default": 0, "min": -1000, "max": 1000})
TEXT = ("STRING", {"default": ""})
LAZY = (ANY, {"lazy": True})


@node(("INT",), {"a": INT, "b": INT})
def BehaviourAdd(a: int, b: int) -> Any:
    note("Add")
    return (a + b,)


@node(("INT",), {"a": INT, "b": INT})
async def BehaviourAsyncAdd(a: int, b: int) -> Any:
    await asyncio.sleep(0.01)
    return (a + b,)


_arrived: dict[str, int] = {}


@node(("INT",), {"value": INT, "party": TEXT})
async def BehaviourMeet(value: int, party: str) -> Any:
    """Hands `value` on once another node of its party has begun, too."""
    _arrived[party] = _arrived.get(party, 0) + 1
    for _ in range(1000):
        if _arrived[party] > 1:
            return (value,)
        await asyncio.sleep(0.01)
    raise TimeoutError("the other one did not begin while this one waited")


@node(("INT",), {"party": TEXT}, inputs={"hidden": {"unique_id": "UNIQUE_ID"}})
def BehaviourParty(party: str, unique_id: str) -> Any:
    """Adds what two nodes that meet pass on."""
    graph: dict[str, Any] = {
        f"{unique_id}.{value}": {"class_type": "BehaviourMeet", "inputs": {"value": value, "party": party}}
        for value in (1, 2)
    }
    inputs = {"a": [f"{unique_id}.1", 0], "b": [f"{unique_id}.2", 0]}
    graph[f"{unique_id}.sum"] = {"class_type": "BehaviourAdd", "inputs": inputs}
    return {"result": ([f"{unique_id}.sum", 0],), "expand": graph}


@node((ANY,), {"value": (ANY,)})
def BehaviourPass(value: Any) -> Any:
    return (value,)


@node(("STRING",), {"value": WILDCARD})
def BehaviourShowType(value: Any) -> Any:
    """Gives the type and the text of what arrives."""
    return (f"{type(value).__name__} {value!r}",)


@node(("STRING",), inputs={"optional": {"first": WILDCARD, "rest": ("IMAGE,*",), "model": ("MODEL",)}})
def BehaviourShowTypes(first: Any = "absent", rest: Any = "absent", model: Any = None) -> Any:
    return (f"{type(first).__name__} {first!r}, {type(rest).__name__} {rest!r}",)


class Model:
    """What a value store never holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Any = None

    def __reduce__(self) -> Any:
        raise TypeError("a model is never pickled")


class Token:
    """An object of a class that a client of a server does not have."""

    def __init__(self, name: str) -> None:
        self.name = name


@node(("TOKEN",), {"name": TEXT})
def BehaviourMint(name: str) -> Any:
    note(f"Mint {name}")
    return (Token(name),)


@node(("TOKEN",), {"token": ("TOKEN",)})
def BehaviourRename(token: Token) -> Any:
    return (Token(token.name + "!"),)


@node(("STRING",), {"token": ("TOKEN",)})
def BehaviourRead(token: Token) -> Any:
    return (f"{type(token).__name__} {token.name}",)


@node(("MODEL",), {"name": TEXT})
def BehaviourLoad(name: str) -> Any:
    note(f"Load {name}")
    return (Model(name),)


@node(("MODEL",), {"value": (ANY,)})
def BehaviourHold(value: Any) -> Any:
    held = Model("holder")
    held.value = value
    return (held,)


@node(("MODEL",), {"value": WILDCARD})
def BehaviourKeep(value: Any) -> Any:
    kept = Model("keeper")
    kept.value = value
    return (kept,)


@node(("STRING",), {"model": ("MODEL",)})
def BehaviourKept(model: Model) -> Any:
    return (f"{type(model.value).__name__} {model.value!r}",)


@node(("STRING",), {"model": ("MODEL",), "word": TEXT})
def BehaviourUse(model: Model, word: str) -> Any:
    note(f"Use {word}")
    if word == "break":
        raise ValueError("the word breaks")
    return (f"{word} by {model.name}",)


@node((), {"text": ("STRING", {"forceInput": True})}, OUTPUT_NODE=True)
def BehaviourShow(text: str) -> Any:
    note(f"Show {text}")
    return {"ui": {"text": [text]}}


@node(("STRING",), {"text": TEXT}, VALIDATE_INPUTS=classmethod(lambda cls, text: text == "good" or f"no: {text!r}"))
def BehaviourPicky(text: str) -> Any:
    note(f"Picky {text}")
    return (text,)


def _wants_a_dozen(cls: Any, amount: float) -> bool | str:
    return amount == 12.0 or f"{amount!r} is not a dozen"


@node(("STRING",), {"amount": ("FLOAT", {"default": 0.0})}, VALIDATE_INPUTS=classmethod(_wants_a_dozen))
def BehaviourDozen(amount: float) -> Any:
    return (f"a dozen ({amount!r})",)


@node(("INT",), {"value": INT, "count": INT})
def BehaviourSteps(value: int, count: int) -> Any:
    for _ in steps(count):
        time.sleep(0.02)
    note("Steps")
    return (value,)


@node(("INT",), {"count": INT}, OUTPUT_IS_LIST=(True,))
def BehaviourList(count: int) -> Any:
    return (list(range(count)),)


@node(("INT",), {"values": INT}, INPUT_IS_LIST=True)
def BehaviourSum(values: list[int]) -> Any:
    return (sum(values),)


@node(
    (ANY,),
    {"second": ("BOOLEAN", {"default": False}), "one": LAZY, "two": LAZY},
    check_lazy_status=lambda self, second, one=None, two=None: [
        name for name, value in ((("two", two),) if second else (("one", one),)) if value is None
    ],
)
def BehaviourChoose(second: bool, one: Any = None, two: Any = None) -> Any:
    return (two if second else one,)


@node(("INT",), {"value": INT, "times": INT}, inputs={"hidden": {"unique_id": "UNIQUE_ID"}})
def BehaviourRepeat(value: int, times: int, unique_id: str) -> Any:
    """Adds 1 as often as asked, by a graph of nodes that add."""
    graph: dict[str, Any] = {}
    link: Any = value
    for index in range(times):
        name = f"{unique_id}.add{index}"
        graph[name] = {"class_type": "BehaviourAdd", "inputs": {"a": link, "b": 1}}
        link = [name, 0]
    return {"result": (link,), "expand": graph}


NODE_CLASS_MAPPINGS: dict[str, Any] = {
    made.__name__: made
    for made in (
        BehaviourAdd,
        BehaviourAsyncAdd,
        BehaviourChoose,
        BehaviourDozen,
        BehaviourHold,
        BehaviourKeep,
        BehaviourKept,
        BehaviourList,
        BehaviourLoad,
        BehaviourMeet,
        BehaviourMint,
        BehaviourParty,
        BehaviourPass,
        BehaviourPicky,
        BehaviourRead,
        BehaviourRename,
        BehaviourRepeat,
        BehaviourShow,
        BehaviourSteps,
        BehaviourSum,
        BehaviourShowType,
        BehaviourShowTypes,
        BehaviourUse,
    )
}

try:
    from comfy_api.latest import io  # type: ignore[import-not-found,unused-ignore]
except ImportError:  # the engine has no V3 protocol
    pass
else:

    class BehaviourJoin(io.ComfyNode):  # type: ignore[misc,unused-ignore]
        """A class of the V3 protocol."""

        @classmethod
        def define_schema(cls) -> Any:
            return io.Schema(
                node_id="BehaviourJoin",
                category="tests",
                inputs=[io.String.Input("first", default=""), io.String.Input("second", default="")],
                outputs=[io.String.Output()],
            )

        @classmethod
        def execute(cls, first: str, second: str) -> Any:
            return io.NodeOutput(f"{first} {second}")

    NODE_CLASS_MAPPINGS["BehaviourJoin"] = BehaviourJoin
