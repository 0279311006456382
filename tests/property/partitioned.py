"""Node classes and random programs for the laws about several prompts: lists, refs, conversions, effects, chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hypothesis import strategies as st

from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.protocol import Splitting

Workflow = dict[str, Any]
Value = tuple[Any, str]

NUMBERS, FLOATS = ("a", "b"), ("f",)


class Log:
    """What ran that must run once, in its order."""

    lines: ClassVar[list[str]] = []


def never_the_same(**_: Any) -> float:
    """What IS_CHANGED answers where a result must not be taken from the engine's cache."""
    return float("nan")


class Node:
    FUNCTION = "run"
    DISCOMFORT_EFFECT: str | None = "pure"
    TAKES: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {name: (kind, {}) for name, kind in cls.TAKES.items()}}


class Sum(Node):
    TAKES: ClassVar = {"a": "INT", "b": "INT"}
    RETURN_TYPES = ("INT", "INT")

    def run(self, a: int, b: int) -> tuple[int, int]:
        assert type(a) is int
        return (a + 3 * b) % 1009, (a * b + 1) % 1009


class Scale(Node):
    TAKES: ClassVar = {"x": "FLOAT", "y": "FLOAT"}
    RETURN_TYPES = ("FLOAT",)

    def run(self, x: float, y: float) -> tuple[float]:
        assert type(x) is type(y) is float
        return ((x + y / 2) % 1009,)


class Spread(Node):
    TAKES: ClassVar = {"a": "INT"}
    RETURN_TYPES = ("INT",)
    OUTPUT_IS_LIST = (True,)

    def run(self, a: int) -> tuple[list[int]]:
        return (list(range(a, a + a % 3 + 1)),)


class Total(Node):
    TAKES: ClassVar = {"a": "INT"}
    RETURN_TYPES = ("INT",)
    INPUT_IS_LIST = True

    def run(self, a: list[int]) -> tuple[int]:
        return (sum(a) * len(a) % 1009,)


class Tool(Node):
    TAKES: ClassVar = {"a": "INT"}
    RETURN_TYPES = ("MODEL",)

    def run(self, a: int) -> tuple[Any]:
        return (lambda: a,)  # no store holds a function of ours: a ref that crossed by value would fail


class Sharpen(Node):
    TAKES: ClassVar = {"m": "MODEL", "a": "INT"}
    RETURN_TYPES = ("MODEL",)

    def run(self, m: Any, a: int) -> tuple[Any]:
        return (lambda: m() * 2 + a,)


class Use(Node):
    TAKES: ClassVar = {"m": "MODEL", "a": "INT"}
    RETURN_TYPES = ("INT",)

    def run(self, m: Any, a: int) -> tuple[int]:
        return ((m() + a) % 1009,)


class Roll(Node):
    """What must not run twice: it gives a value and a ref."""

    DISCOMFORT_EFFECT: str | None = None
    TAKES: ClassVar = {"a": "INT"}
    RETURN_TYPES = ("INT", "MODEL")

    IS_CHANGED = staticmethod(never_the_same)

    def run(self, a: int) -> tuple[int, Any]:
        Log.lines.append(f"roll {a}")
        return a + 1, lambda: a


class Record(Node):
    """An effect."""

    DISCOMFORT_EFFECT: str | None = None
    TAKES: ClassVar = {"a": "INT"}
    RETURN_TYPES = ()
    OUTPUT_NODE = True
    IS_CHANGED = staticmethod(never_the_same)

    def run(self, a: int) -> tuple[()]:
        Log.lines.append(f"record {a}")
        return ()


CLASSES: dict[str, type[Node]] = {
    each.__name__: each for each in (Sum, Scale, Spread, Total, Tool, Sharpen, Use, Roll, Record)
}


class SplittingEngine(EmbeddedEngine):
    """The embedded engine, with the wish for several prompts that a server has."""

    splitting = Splitting.FOR_SPEED


@st.composite
def workflows(draw: st.DrawFn, classes: tuple[str, ...] = tuple(CLASSES)) -> Workflow:
    """A workflow that reads and writes ports of fixed types; an INT may also feed a FLOAT, through a port only."""
    nodes: Workflow = {}
    values: list[Value] = [(0, "INT"), (7, "INT"), (0.5, "FLOAT")]

    def add(class_type: str, **inputs: Any) -> str:
        nodes[key := str(len(nodes) + 1)] = {"class_type": class_type, "inputs": inputs}
        return key

    for name in draw(st.lists(st.sampled_from(NUMBERS + FLOATS), unique=True, max_size=2)):
        kind = "FLOAT" if name in FLOATS else "INT+"
        values.append(([add("DiscomfortPort", unique_id=name, tags=""), 0], kind))
    values.append(([add("Tool", a=draw(st.integers(0, 3))), 0], "MODEL"))
    for _ in range(draw(st.integers(2, 10))):
        name = draw(st.sampled_from(classes))
        inputs = {}
        for slot, kind in CLASSES[name].TAKES.items():
            fitting = [value for value, given in values if given == kind or (given == "INT+" and kind != "MODEL")]
            inputs[slot] = draw(st.sampled_from(fitting))
        key = add(name, **inputs)
        values += [([key, slot], kind) for slot, kind in enumerate(CLASSES[name].RETURN_TYPES)]  # type: ignore[attr-defined]
    for name in draw(st.lists(st.sampled_from(NUMBERS + FLOATS), unique=True, min_size=1, max_size=3)):
        wanted = "FLOAT" if name in FLOATS else "INT"
        sources = [value for value, kind in values if kind == wanted and isinstance(value, list)]
        if sources:
            add("DiscomfortPort", unique_id=name, tags="", input=draw(st.sampled_from(sources)))
    return nodes
