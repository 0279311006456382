"""Random typed programs: every link fits, and everything that a pass rewrites is in them.

Workflows are API prompts of the classes below: computed numbers, texts and images, PASSTHRU ports, reroutes,
primitives, switches, equal nodes, dead branches, nodes run for what they do, and ports read and written by name.
Each name always carries one type.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import torch
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.types.language import MATCH_TYPE
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine

Workflow = dict[str, Any]
TYPES = ("INT", "STRING", "IMAGE")
NAMES: Mapping[str, str] = {"n": "INT", "m": "INT", "text": "STRING", "picture": "IMAGE", "photo": "IMAGE"}
START: Mapping[str, Any] = {"n": 3, "m": 11, "text": "start"}


class _Node:
    FUNCTION = "run"
    CATEGORY = "tests"
    DISCOMFORT_EFFECT = "pure"
    INPUTS: ClassVar[dict[str, Any]] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": cls.INPUTS}


class Sum(_Node):
    RETURN_TYPES = ("INT", "INT")
    INPUTS: ClassVar[dict[str, Any]] = {"a": ("INT", {"default": 0}), "b": ("INT", {"default": 0})}

    def run(self, a: int, b: int) -> tuple[int, int]:
        return (a + 3 * b) % 1009, (a * b + 1) % 1009


class Spell(_Node):
    RETURN_TYPES = ("STRING",)
    INPUTS: ClassVar[dict[str, Any]] = {"number": ("INT", {"default": 0}), "after": ("STRING", {"default": ""})}

    def run(self, number: int, after: str) -> tuple[str]:
        return (f"{number}{after}"[:40],)


class Measure(_Node):
    RETURN_TYPES = ("INT",)
    INPUTS: ClassVar[dict[str, Any]] = {"text": ("STRING", {"default": ""}), "image": ("IMAGE",)}

    def run(self, text: str, image: torch.Tensor) -> tuple[int]:
        return ((len(text) + int(image.sum().item() * 8)) % 1009,)


class Shade(_Node):
    RETURN_TYPES = ("IMAGE",)
    INPUTS: ClassVar[dict[str, Any]] = {"level": ("INT", {"default": 0})}

    def run(self, level: int) -> tuple[torch.Tensor]:
        return (torch.full((1, 2, 2, 3), (level % 8) / 8),)


class Mix(_Node):
    RETURN_TYPES = ("IMAGE",)
    INPUTS: ClassVar[dict[str, Any]] = {"first": ("IMAGE",), "second": ("IMAGE",)}

    def run(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor]:
        return ((first + 1 - second) / 2,)


class Record(_Node):
    """Run for its effects: the test looks at the messages itself."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    DISCOMFORT_EFFECT = "effect"
    INPUTS: ClassVar[dict[str, Any]] = {"number": ("INT", {"default": 0}), "text": ("STRING", {"default": ""})}
    recorded: ClassVar[list[tuple[int, str]]] = []

    @classmethod
    def IS_CHANGED(cls, **inputs: Any) -> float:
        """Say that it must run again each time, as NaN does."""
        return float("nan")

    def run(self, number: int, text: str) -> dict[str, Any]:
        Record.recorded.append((number, text))
        return {"ui": {"text": [text]}}


CLASSES = {cls.__name__: cls for cls in (Sum, Spell, Measure, Shade, Mix, Record)}
MAKERS: Mapping[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "Sum": ({"a": "INT", "b": "INT"}, ("INT", "INT")),
    "Spell": ({"number": "INT", "after": "STRING"}, ("STRING",)),
    "Measure": ({"text": "STRING", "image": "IMAGE"}, ("INT",)),
    "Shade": ({"level": "INT"}, ("IMAGE",)),
    "Mix": ({"first": "IMAGE", "second": "IMAGE"}, ("IMAGE",)),
    "Record": ({"number": "INT", "text": "STRING"}, ()),
}
LITERALS: Mapping[str, st.SearchStrategy[Any]] = {
    "INT": st.integers(0, 3),
    "STRING": st.sampled_from(["", "a", "é"]),
}
PRIMITIVES = {"INT": "PrimitiveInt", "STRING": "PrimitiveString"}


@lru_cache(maxsize=1)
def engine() -> EmbeddedEngine:
    made = EmbeddedEngine()
    made.register(CLASSES)
    return made


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return asyncio.run(engine().catalog())


class Sketch:
    """A workflow being drawn: its nodes, and the values of each type that it has so far."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.nodes: Workflow = {}
        self.values: dict[str, list[list[Any]]] = {kind: [] for kind in TYPES}
        self.add("Shade", {"level": draw(LITERALS["INT"])}, ("IMAGE",))

    def add(self, class_type: str, inputs: dict[str, Any], gives: tuple[str, ...] = ()) -> str:
        key = str(len(self.nodes) + 1)
        self.nodes[key] = {"class_type": class_type, "inputs": inputs}
        for slot, kind in enumerate(gives):
            self.values[kind].append([key, slot])
        return key

    def value(self, kind: str) -> Any:
        """Draw a value of a type: one that is there already, or a literal."""
        there = self.values[kind]
        if kind in LITERALS and (not there or self.draw(st.integers(0, 2)) == 0):
            return self.draw(LITERALS[kind])
        return self.draw(st.sampled_from(there))

    def made(self, kind: str) -> list[Any]:
        """Draw a value that a node gives."""
        if not self.values[kind]:
            self.add(PRIMITIVES[kind], {"value": self.draw(LITERALS[kind])}, (kind,))
        return self.draw(st.sampled_from(self.values[kind]))

    def read(self, name: str) -> None:
        self.add("DiscomfortPort", {"unique_id": name, "tags": ""}, (NAMES[name],))

    def write(self, name: str) -> None:
        inputs = {"unique_id": name, "tags": "", "input": self.made(NAMES[name])}
        self.nodes[str(len(self.nodes) + 1)] = {"class_type": "DiscomfortPort", "inputs": inputs}

    def step(self) -> None:
        """Draw one more node."""
        kind = self.draw(st.sampled_from(TYPES))
        what = self.draw(st.sampled_from([*MAKERS, "Sum", "Mix", "port", "Reroute", "switch", "primitive", "twin"]))
        if what in MAKERS:
            takes, gives = MAKERS[what]
            self.add(what, {name: self.value(wanted) for name, wanted in takes.items()}, gives)
        elif what == "port":
            tap = {"unique_id": f"tap{len(self.nodes)}", "tags": "", "input": self.made(kind)}
            port = self.add("DiscomfortPort", tap, (kind,))
            self.add(*self._reader(kind, [port, 0]))
        elif what == "Reroute":
            self.add("Reroute", {"": self.made(kind)}, (kind,))
        elif what == "switch":
            sides = {"on_false": self.made(kind), "on_true": self.made(kind)}
            self.add("ComfySwitchNode", {"switch": self.draw(st.booleans()), **sides}, (kind,))
        elif what == "primitive" and kind in PRIMITIVES:
            self.add(PRIMITIVES[kind], {"value": self.draw(LITERALS[kind])}, (kind,))
        elif what == "twin":
            twin = self.nodes[
                self.draw(st.sampled_from([k for k, n in self.nodes.items() if n["class_type"] in MAKERS]))
            ]
            self.add(twin["class_type"], dict(twin["inputs"]), MAKERS[twin["class_type"]][1])

    def _reader(self, kind: str, source: list[Any]) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        """Return a node that reads a value, so that a port in between is a PASSTHRU."""
        if kind == "INT":
            return "Sum", {"a": source, "b": 1}, ("INT", "INT")
        if kind == "STRING":
            return "Spell", {"number": 1, "after": source}, ("STRING",)
        return "Mix", {"first": source, "second": source}, ("IMAGE",)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """A typed workflow that reads up to two names and writes one or two."""
    sketch = Sketch(draw)
    for name in draw(st.lists(st.sampled_from(list(NAMES)), unique=True, max_size=2)):
        sketch.read(name)
    for _ in range(draw(st.integers(1, 9))):
        sketch.step()
    for name in draw(st.lists(st.sampled_from(list(NAMES)), unique=True, min_size=1, max_size=2)):
        sketch.write(name)
    return sketch.nodes


programs = st.lists(workflows(), min_size=1, max_size=3)


def start(context: WorkflowContext) -> None:
    """Save a first value under every name."""
    for name, value in START.items():
        context.save(name, value)
    for number, name in enumerate(("picture", "photo")):
        context.save(name, torch.full((1, 2, 2, 3), number / 4))


def contents(context: WorkflowContext) -> dict[str, Any]:
    """Return the values under every name, comparable."""
    loaded = {name: context.load(name) for name in NAMES}
    return {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in loaded.items()}


def editor_document(prompt: Workflow) -> dict[str, Any]:
    """Return a workflow as the editor would save it."""
    known = catalog()
    nodes: list[dict[str, Any]] = []
    links: list[list[Any]] = []
    for key, node in prompt.items():
        slots: list[dict[str, Any]] = []
        widgets: list[Any] = []
        node_class = known.get(node["class_type"])
        declared = {spec.name: spec for spec in (node_class.inputs if node_class else ()) if spec.group != "hidden"}
        for name in {**declared, **node["inputs"]}:
            value = node["inputs"].get(name)
            spec = declared.get(name)
            widget = spec is not None and spec.type in ("INT", "STRING", "BOOLEAN")
            if widget:
                widgets.append(spec.options.get("default", 0) if isinstance(value, list) and spec else value)
            if isinstance(value, list) or not widget:
                kind = "*" if spec is None or spec.type == MATCH_TYPE else spec.type
                slot: dict[str, Any] = {"name": name, "type": kind, "link": None}
                if widget:
                    slot["widget"] = {"name": name}
                if isinstance(value, list):
                    links.append([len(links) + 1, int(value[0]), value[1], int(key), len(slots), kind])
                    slot["link"] = len(links)
                slots.append(slot)
        gives = [output.type for output in node_class.outputs] if node_class else ["*"]
        outputs = [{"name": kind, "type": kind, "links": []} for kind in gives]
        nodes.append(
            {
                "id": int(key),
                "type": node["class_type"],
                "pos": [0, 0],
                "size": [1, 1],
                "mode": 0,
                "inputs": slots,
                "outputs": outputs,
                "widgets_values": widgets,
            }
        )
    counted = {"last_node_id": len(nodes), "last_link_id": len(links)}
    return json.loads(json.dumps({**counted, "nodes": nodes, "links": links, "version": 0.4}))  # type: ignore[no-any-return]
