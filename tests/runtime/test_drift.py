"""What a result depends on changes, on the embedded engine: running again gives what running from nothing gives.

Files, the code of classes, what classes say when they are asked, and results that a node changes under the others.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.context.errors import EncodingError
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders
from discomfort.runtime.engines.embedded.pack import files
from discomfort.runtime.engines.protocol import Listener, PromptRequest, PromptResult
from tests.runtime.embedded.lab import node_class
from tests.runtime.programs import reads, workflow, writes

RED, GREEN = (255, 0, 0), (0, 255, 0)
INT = ("INT", {"default": 0, "min": -1000, "max": 1000})
TEXT = ("STRING", {"default": ""})
ANY: tuple[str, dict[str, Any]] = ("*", {})
PURE = {"DISCOMFORT_EFFECT": "pure"}


class Bench:
    """An engine with a folder of its own, a context, and what ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folders = Folders(folder / "input", folder / "output", folder / "temp", folder / "models")
        self.folders.input.mkdir()
        self.classes: dict[str, Any] = {}
        self.calls: list[str] = []
        self.results: list[PromptResult] = []
        self.meddle: Callable[[], Callable[[], None]] | None = None
        self.engine = self.new_engine()

    def new_engine(self) -> EmbeddedEngine:
        engine = EmbeddedEngine(self.folders)
        engine.register(self.classes)
        run = engine.run

        async def watched(request: PromptRequest, listener: Listener | None = None) -> PromptResult:
            undo = self.meddle() if self.meddle is not None else None
            result = await run(request, listener)
            if undo is not None:
                undo()
            self.results.append(result)
            return result

        engine.run = watched  # type: ignore[method-assign]
        return engine

    def add(self, name: str, function: Callable[..., Any], inputs: dict[str, Any], **options: Any) -> None:
        """Register a class, in place of any of that name; pure unless it says otherwise."""

        def counted(**given: Any) -> Any:
            self.calls.append(name)
            return function(**given)

        self.classes[name] = node_class(counted, inputs, **{**PURE, **options})
        self.engine.register({name: self.classes[name]})

    def plan(self, *workflows: dict[str, Any]) -> discomfort.Plan:
        return discomfort.compile(workflows, catalog=asyncio.run(self.engine.catalog()))

    def run(self, context: WorkflowContext, *workflows: dict[str, Any], **inputs: Any) -> dict[str, Any]:
        return self.plan(*workflows).run(context, inputs=inputs, engine=self.engine)

    def both(self, context: WorkflowContext, *workflows: dict[str, Any], **inputs: Any) -> tuple[Any, Any]:
        """Run again, and from nothing: with another engine and another context."""
        again = self.run(context, *workflows, **inputs)
        with WorkflowContext(max_ram_gb=0.05) as fresh:
            from_nothing = self.plan(*workflows).run(fresh, inputs=inputs, engine=self.new_engine())
        return again, from_nothing

    def ran(self) -> list[str]:
        """Return the classes of the bench that ran since this was last asked."""
        calls, self.calls[:] = list(self.calls), []
        return calls

    def paint(self, color: tuple[int, int, int], name: str = "a.bmp") -> None:
        """Write a picture; all have one size, and one time of writing."""
        path = self.folders.input / name
        Image.new("RGB", (32, 32), color).save(path)
        os.utime(path, ns=(10**18 + 1, 10**18 + 1))

    def wait_for_the_clock(self) -> None:
        """Let so much time pass that a file's next change is sure to be seen."""
        time.sleep(0.12)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.05) as made:
        yield made


def color(results: dict[str, Any]) -> tuple[int, ...]:
    image = results["image"]
    assert (image == image[0, 0, 0]).all()
    return tuple(255 * round(float(part)) for part in image[0, 0, 0])  # decoders round differently


PICTURE = workflow(n1=("LoadImage", {"image": "a.bmp"}), n2=writes("image", ["1", 0]))


# --- files


def test_a_file_of_equal_size_and_time_of_writing_is_another_file(bench: Bench, context: WorkflowContext) -> None:
    for shade in (RED, GREEN, RED, GREEN):
        bench.paint(shade)
        bench.wait_for_the_clock()
        assert color(bench.run(context, PICTURE)) == shade


def test_a_touched_file_runs_nothing(bench: Bench, context: WorkflowContext) -> None:
    bench.paint(RED)
    bench.wait_for_the_clock()
    bench.run(context, PICTURE)
    bench.results.clear()
    os.utime(bench.folders.input / "a.bmp")
    assert color(bench.run(context, PICTURE)) == RED
    assert bench.results == []
    bench.paint(GREEN)
    bench.run(context, PICTURE)
    bench.results.clear()
    bench.paint(RED)  # the earlier facts about the file are known again
    assert color(bench.run(context, PICTURE)) == RED
    assert bench.results == []


def test_a_file_that_is_changed_and_changed_back_while_it_is_read(bench: Bench, context: WorkflowContext) -> None:
    """Red is taken down, green is read, and red is there again when it is looked at afterwards."""
    bench.paint(RED)
    bench.wait_for_the_clock()

    def meddle() -> Callable[[], None]:
        bench.paint(GREEN)
        return lambda: bench.paint(RED)

    bench.meddle = meddle
    assert color(bench.run(context, PICTURE)) == GREEN
    bench.meddle = None
    again, from_nothing = bench.both(context, PICTURE)
    assert color(again) == color(from_nothing) == RED


def test_the_same_between_the_look_of_the_engine_and_the_read(
    bench: Bench, context: WorkflowContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.paint(RED)
    bench.wait_for_the_clock()
    read: Callable[[Path], Any] = vars(files)["read_image"]

    def meddling(path: Path) -> Any:
        bench.paint(GREEN)
        found = read(path)
        bench.paint(RED)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_image", meddling)
        assert color(bench.run(context, PICTURE)) == GREEN
    again, from_nothing = bench.both(context, PICTURE)
    assert color(again) == color(from_nothing) == RED


def test_a_file_that_is_changed_after_it_was_taken_down(bench: Bench, context: WorkflowContext) -> None:
    bench.paint(RED)
    bench.wait_for_the_clock()

    def meddle() -> Callable[[], None]:
        bench.paint(GREEN)
        return lambda: None

    bench.meddle = meddle
    assert color(bench.run(context, PICTURE)) == GREEN
    bench.meddle = None
    bench.paint(RED)
    again, from_nothing = bench.both(context, PICTURE)
    assert color(again) == color(from_nothing) == RED


def test_what_another_run_knows_of_the_file_is_not_used(bench: Bench, context: WorkflowContext) -> None:
    """The engine knows green; red is taken down, and green is there again when the engine looks: red is not green."""
    bench.paint(GREEN)
    bench.wait_for_the_clock()
    bench.run(context, PICTURE)
    bench.paint(RED)
    bench.wait_for_the_clock()

    def meddle() -> Callable[[], None]:
        bench.paint(GREEN)
        return lambda: bench.paint(RED)

    bench.meddle = meddle
    bench.run(context, PICTURE)
    bench.meddle = None
    assert color(bench.run(context, PICTURE)) == RED


def test_a_change_reaches_all_that_comes_of_it_and_nothing_else(bench: Bench, context: WorkflowContext) -> None:
    bench.add("Pass", lambda image: (image,), {"image": ANY}, returns=("IMAGE",))
    bench.add("Number", lambda: (1,), {}, returns=("INT",))
    program = workflow(
        n1=("LoadImage", {"image": "a.bmp"}),
        n2=("Pass", {"image": ["1", 0]}),
        n3=writes("image", ["2", 0]),
        n4=("Number", {}),
        n5=writes("number", ["4", 0]),
    )
    bench.paint(RED)
    bench.wait_for_the_clock()
    bench.run(context, program)
    bench.ran()
    bench.paint(GREEN)
    bench.wait_for_the_clock()
    again, from_nothing = bench.both(context, program)
    assert sorted(bench.ran()) == ["Number", "Pass", "Pass"]
    assert color(again) == color(from_nothing) == GREEN
    bench.run(context, program)
    assert bench.ran() == []


def test_a_class_that_says_that_it_reads_files_is_believed(
    bench: Bench, context: WorkflowContext, tmp_path: Path
) -> None:
    """Its inputs may name files of the input folder, or any others; where none does, nothing is remembered."""
    bench.add(
        "Read", lambda path: (Path(path).read_text(),), {"path": TEXT}, returns=("STRING",), DISCOMFORT_EFFECT="file"
    )
    path = tmp_path / "elsewhere.txt"
    program = workflow(n1=reads("path"), n2=("Read", {"path": ["1", 0]}), n3=writes("text", ["2", 0]))
    for text in ("red", "red", "grn", "red"):
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            os.utime(path, ns=(10**18, 10**18))
            bench.wait_for_the_clock()
        assert bench.run(context, program, path=str(path)) == {"text": text}
    assert bench.ran() == ["Read", "Read"]
    bench.add("Read", lambda path: (path,), {"path": TEXT}, returns=("STRING",), DISCOMFORT_EFFECT="file")
    for _ in range(2):
        bench.run(context, program, path="no such file")
    assert bench.ran() == ["Read", "Read"]


def test_a_choice_that_is_a_file_counts_whatever_the_class_is_called(bench: Bench, context: WorkflowContext) -> None:
    models = bench.folders.models / "new_models"
    models.mkdir(parents=True)
    path = models / "x.safetensors"
    bench.add(
        "LoadNewModel",
        lambda name: ((models / name).read_text(),),
        {"name": (["x.safetensors", "y.safetensors"],)},
        returns=("STRING",),
    )
    program = workflow(n1=("LoadNewModel", {"name": "x.safetensors"}), n2=writes("text", ["1", 0]))
    for text in ("red", "grn", "red"):
        path.write_text(text)
        os.utime(path, ns=(10**18, 10**18))
        bench.wait_for_the_clock()
        assert bench.run(context, program) == {"text": text}
    bench.ran()
    bench.run(context, program)
    assert bench.ran() == []


def test_a_choice_that_comes_along_a_link_may_be_any_of_the_files(bench: Bench, context: WorkflowContext) -> None:
    models = bench.folders.models / "new_models"
    models.mkdir(parents=True)
    for name in "xy":
        (models / f"{name}.safetensors").write_text(name)
    offered = (["x.safetensors", "y.safetensors"],)
    bench.add("Load", lambda name: ((models / name).read_text(),), {"name": offered}, returns=("STRING",))
    bench.add("Choose", lambda: ("x.safetensors",), {}, returns=(["x.safetensors", "y.safetensors"],))
    program = workflow(n0=("Choose", {}), n1=("Load", {"name": ["0", 0]}), n2=writes("text", ["1", 0]))
    bench.wait_for_the_clock()
    assert bench.run(context, program) == {"text": "x"}
    assert bench.run(context, program) == {"text": "x"}
    assert bench.ran() == ["Choose", "Load"]
    (models / "x.safetensors").write_text("z")
    bench.wait_for_the_clock()
    assert bench.run(context, program) == {"text": "z"}
    assert bench.ran() == ["Load"]


def test_an_object_that_may_hold_what_it_read_is_made_again(bench: Bench, context: WorkflowContext) -> None:
    """As a LoRA loader does, which reads the file of a name once."""
    path = bench.folders.input / "lora.safetensors"

    class Loader:
        RETURN_TYPES = ("STRING",)
        FUNCTION = "load"
        CATEGORY = "tests"

        def __init__(self) -> None:
            self.read: str | None = None

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {"name": (["lora.safetensors"],), "strength": INT}}

        def load(self, name: str, strength: int) -> tuple[str]:
            self.read = self.read or path.read_text()
            return (f"{self.read} {strength}",)

    bench.classes["Loader"] = Loader
    bench.engine.register(bench.classes)
    program = workflow(
        n0=reads("strength"),
        n1=("Loader", {"name": "lora.safetensors", "strength": ["0", 0]}),
        n2=writes("text", ["1", 0]),
    )
    for number, text in enumerate(("red", "grn")):
        path.write_text(text)
        bench.wait_for_the_clock()
        assert bench.run(context, program, strength=number) == {"text": f"{text} {number}"}


def test_what_a_class_says_when_it_is_asked_is_part_of_the_key(bench: Bench, context: WorkflowContext) -> None:
    state = {"content": "one"}
    bench.add(
        "Service",
        lambda a: (f"{state['content']} {a}",),
        {"a": INT},
        returns=("STRING",),
        IS_CHANGED=lambda a: state["content"],
    )
    program = workflow(n1=("Service", {"a": 1}), n2=writes("text", ["1", 0]))
    for content in ("one", "two", "one"):
        state["content"] = content
        again, from_nothing = bench.both(context, program)
        assert again == from_nothing == {"text": f"{content} 1"}
    bench.ran()
    bench.run(context, program)
    assert bench.ran() == []


@pytest.mark.parametrize("answer", [float("nan"), object(), ValueError("x")])
def test_a_class_that_says_that_it_always_changes_is_never_remembered(
    bench: Bench, context: WorkflowContext, answer: Any
) -> None:
    def asked(a: int) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    bench.add("Clock", lambda a: (len(bench.calls),), {"a": INT}, returns=("INT",), IS_CHANGED=asked)
    program = workflow(n1=("Clock", {"a": 1}), n2=writes("time", ["1", 0]))
    assert [bench.run(context, program)["time"] for _ in range(3)] == [1, 2, 3]


# --- classes


def test_a_class_registered_again_with_other_code(bench: Bench, context: WorkflowContext) -> None:
    program = workflow(n1=reads("x"), n2=("Times", {"a": ["1", 0]}), n3=writes("y", ["2", 0]))
    bench.add("Times", lambda a: (a * 2,), {"a": INT}, returns=("INT",))
    assert bench.run(context, program, x=5) == {"y": 10}
    bench.add("Times", lambda a: (a * 3,), {"a": INT}, returns=("INT",))
    assert bench.run(context, program, x=5) == {"y": 15}
    assert bench.run(context, program, x=5) == {"y": 15}
    assert bench.ran() == ["Times", "Times"]


def notebook(source: str) -> Any:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec", dont_inherit=True), names)
    return names


CELL = """
FACTOR = 2
def times(a): return a * FACTOR
class Times:
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "tests"
    DISCOMFORT_EFFECT = "pure"
    ran = []
    @classmethod
    def INPUT_TYPES(cls): return {"required": {"a": ("INT", {"default": 0})}}
    def run(self, a):
        self.ran.append(a)
        return (times(a),)
"""


def test_a_notebook_s_cells(bench: Bench, context: WorkflowContext) -> None:
    """A cell that is run again without a change changes nothing; one that defines a helper again does, also where the
    class is not registered again.
    """
    program = workflow(n1=reads("x"), n2=("Times", {"a": ["1", 0]}), n3=writes("y", ["2", 0]))
    names = notebook(CELL)
    bench.engine.register({"Times": names["Times"]})
    assert bench.run(context, program, x=5) == {"y": 10}
    again = notebook(CELL)
    bench.engine.register({"Times": again["Times"]})
    assert bench.run(context, program, x=5) == {"y": 10}
    assert again["Times"].ran == []
    again["FACTOR"] = 3
    assert bench.run(context, program, x=5) == {"y": 15}
    again["times"] = lambda a: -a
    assert bench.run(context, program, x=5) == {"y": -5}
    again["Times"].run.__code__ = notebook(CELL.replace("times(a),", "a,"))["Times"].run.__code__
    assert bench.run(context, program, x=5) == {"y": 5}
    assert again["Times"].ran == [5, 5, 5]


@pytest.mark.parametrize("name", ["LoadVideo", "Reroute", "LoadImage", "VAELoader", "PrimitiveInt", "ComfySwitchNode"])
def test_a_class_that_is_called_as_one_of_ComfyUI_s_is_the_user_s(
    bench: Bench, context: WorkflowContext, name: str
) -> None:
    """An API prompt names it; what ComfyUI's class of that name does is no matter, nor what the editor has there."""
    prompt = {
        "1": {"class_type": name, "inputs": {"value": 5}},
        "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "y", "tags": "", "input": ["1", 0]}},
    }
    for effect, calls in (("pure", 1), ("volatile", 3)):
        bench.add(name, lambda value: (value * 2,), {"value": INT}, returns=("INT",), DISCOMFORT_EFFECT=effect)
        with WorkflowContext(max_ram_gb=0.05) as fresh:
            for _ in range(3):
                assert bench.plan(prompt).run(fresh, engine=bench.engine) == {"y": 10}
                bench.engine._cache.clear()
        assert bench.ran() == [name] * calls


# --- inputs that a node changes in place


def tensor_source() -> Any:
    return (torch.tensor([1.0]),)


def add_to(x: Any, n: int) -> Any:
    x += n
    return (x,)


def total(value: Any) -> float:
    while isinstance(value, (list, tuple, dict)):
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return float(value)


def change_latent(x: Any, n: int) -> Any:
    x["samples"] = x["samples"] + n
    return (x,)


def change_inside(x: Any, n: int) -> Any:
    x["samples"] += n
    return (x,)


def change_conditioning(x: Any, n: int) -> Any:
    x[0][1]["strength"] = x[0][1]["strength"] + n
    return ([x[0][1]["strength"]],)


def change_view(x: Any, n: int) -> Any:
    x.view(-1)[0:1].add_(n)
    return (x,)


def inference_source() -> Any:
    with torch.inference_mode():
        return (torch.tensor([1.0]),)


def inference_change(x: Any, n: int) -> Any:
    with torch.inference_mode():
        x.add_(n)
        return (x,)


def inference_latent() -> Any:
    with torch.inference_mode():
        return ({"samples": torch.tensor([1.0])},)


CHANGES: dict[str, tuple[Callable[[], Any], Callable[..., Any]]] = {
    "tensor": (tensor_source, add_to),
    "view": (tensor_source, change_view),
    "list": (lambda: ([1],), lambda x, n: (x.__setitem__(0, x[0] + n) or x,)),
    "list that grows": (lambda: ([],), lambda x, n: (x.append(n + 1) or x,)),
    "dict": (lambda: ({"a": 1},), lambda x, n: (x.update(a=x["a"] + n) or x,)),
    "latent": (lambda: ({"samples": torch.tensor([1.0])},), change_latent),
    "tensor in a latent": (lambda: ({"samples": torch.tensor([1.0])},), change_inside),
    "conditioning": (lambda: ([[torch.zeros(1), {"strength": 1}]],), change_conditioning),
    "list in a tuple": (lambda: (([1], 2),), lambda x, n: (x[0].__setitem__(0, x[0][0] + n) or x,)),
    "inference tensor": (inference_source, inference_change),
    "inference tensor in a latent": (inference_latent, change_inside),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_input_is_not_used_again(bench: Bench, context: WorkflowContext, kind: str) -> None:
    source, change = CHANGES[kind]
    bench.add("Source", source, {})
    bench.add("Change", lambda x, n: change(x, n), {"x": ANY, "n": INT})
    bench.add("Total", lambda x: (total(x),), {"x": ANY}, returns=("FLOAT",))
    program = workflow(
        n0=reads("n"),
        n1=("Source", {}),
        n2=("Change", {"x": ["1", 0], "n": ["0", 0]}),
        n3=("Total", {"x": ["2", 0]}),
        n4=writes("y", ["3", 0]),
    )
    assert [bench.run(context, program, n=n)["y"] for n in (1, 2, 3)] == [2, 3, 4]
    assert bench.ran() == ["Source", "Change", "Total"] * 3
    assert [bench.run(context, program, n=n)["y"] for n in (1, 2, 3)] == [2, 3, 4]
    assert bench.ran() == []


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_input_behind_a_node_that_hands_it_on(bench: Bench, context: WorkflowContext, kind: str) -> None:
    """What was changed is the result of two nodes, of which one is not even in the prompt's way."""
    source, change = CHANGES[kind]
    bench.add("Source", source, {})
    bench.add("Pass", lambda x: (x,), {"x": ANY})
    bench.add("Change", lambda x, n: change(x, n), {"x": ANY, "n": INT})
    bench.add("Total", lambda x: (total(x),), {"x": ANY}, returns=("FLOAT",))
    program = workflow(
        n0=reads("n"),
        n1=("Source", {}),
        n5=("Pass", {"x": ["1", 0]}),
        n2=("Change", {"x": ["5", 0], "n": ["0", 0]}),
        n3=("Total", {"x": ["2", 0]}),
        n4=writes("y", ["3", 0]),
    )
    assert [bench.run(context, program, n=n)["y"] for n in (1, 2, 3, 1)] == [2, 3, 4, 2]


def test_what_is_computed_from_a_changed_input_is_not_remembered(bench: Bench, context: WorkflowContext) -> None:
    """`Read` runs after `Change` here, and gets what ComfyUI would hand it; that must not be taken for granted."""
    bench.add("Source", tensor_source, {})
    bench.add("Change", add_to, {"x": ANY, "n": INT})
    bench.add("Read", lambda x, after: (float(x),), {"x": ANY, "after": ANY}, returns=("FLOAT",))
    bench.add("Twice", lambda a: (a * 2,), {"a": ("FLOAT", {})}, returns=("FLOAT",))
    changing = workflow(
        n1=("Source", {}),
        n2=("Change", {"x": ["1", 0], "n": 5}),
        n3=("Read", {"x": ["1", 0], "after": ["2", 0]}),
        n4=("Twice", {"a": ["3", 0]}),
        n5=writes("y", ["4", 0]),
    )
    first = bench.run(context, changing)
    bench.ran()
    again, from_nothing = bench.both(context, changing)
    assert first == again == from_nothing == {"y": 12}
    assert bench.ran() == ["Source", "Change", "Read", "Twice"] * 2
    with WorkflowContext(max_ram_gb=0.05) as fresh:  # the values are under no key, and the engine has none of them
        reading = workflow(n1=("Source", {}), n3=("Read", {"x": ["1", 0], "after": 1}), n5=writes("y", ["3", 0]))
        assert bench.run(fresh, reading) == {"y": 1}


def test_a_result_that_was_handed_over_does_not_change_afterwards(bench: Bench, context: WorkflowContext) -> None:
    bench.add("Source", lambda: ({"samples": torch.tensor([1.0])},), {}, returns=("LATENT",))
    bench.add("Wait", lambda x: (1,), {"x": ANY}, returns=("INT",))
    bench.add("Change", change_inside, {"x": ("LATENT", {}), "n": INT}, returns=("LATENT",))
    program = workflow(
        n1=("Source", {}),
        n2=writes("before", ["1", 0]),
        n3=("Wait", {"x": ["1", 0]}),
        n4=("Wait", {"x": ["3", 0]}),
        n5=("Change", {"x": ["1", 0], "n": ["4", 0]}),
        n6=writes("after", ["5", 0]),
    )
    for _ in range(2):
        results = bench.run(context, program)
        assert (total(results["before"]), total(results["after"])) == (1, 2)


def test_a_list_in_the_workflow_is_the_node_s_own(bench: Bench, context: WorkflowContext) -> None:
    bench.add(
        "Grow",
        lambda items, table: (items.append(9) or table.update(a=9) or f"{items}{table}",),
        {"items": ANY, "table": ANY},
        returns=("STRING",),
        DISCOMFORT_EFFECT="volatile",
    )
    prompt = {
        "1": {"class_type": "Grow", "inputs": {"items": {"__value__": [1, 2]}, "table": {"a": 1}}},
        "2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "y", "tags": "", "input": ["1", 0]}},
    }
    plan = bench.plan(prompt)
    before = plan.to_json()
    for _ in range(3):
        assert plan.run(context, engine=bench.engine) == {"y": "[1, 2, 9]{'a': 9}"}
    assert plan.to_json() == before


EDITORS = {"nodes": [{"id": 1, "type": "Scribble", "inputs": [], "outputs": []}], "links": [], "version": 0.4}
"""A workflow as the editor saves it, which pictures carry."""


def test_a_node_that_writes_into_the_metadata_changes_no_plan(bench: Bench, context: WorkflowContext) -> None:
    def scribble(prompt: Any, extra: Any) -> Any:
        next(iter(prompt.values()))["inputs"]["scribbled"] = 1
        extra["workflow"]["scribbled"] = extra["workflow"].get("scribbled", 0) + 1
        return {"ui": {"shown": [extra["workflow"]["scribbled"]]}}

    hidden = {"prompt": "PROMPT", "extra": "EXTRA_PNGINFO"}
    bench.add("Scribble", scribble, {}, hidden=hidden, returns=(), OUTPUT_NODE=True, DISCOMFORT_EFFECT="effect")
    plan = bench.plan(EDITORS)
    for _ in range(2):
        plan.run(context, engine=bench.engine)
    assert [shown["shown"] for result in bench.results for shown in result.ui.values()] == [[1], [1]]
    assert plan.editor_workflow is not None
    assert "scribbled" not in plan.editor_workflow


# --- values that are handed out


class Model:
    def __init__(self) -> None:
        self.weight = 1

    def __reduce__(self) -> Any:
        raise TypeError("a model is never pickled")


def keeper(bench: Bench, make: Callable[[], Any]) -> dict[str, Any]:
    """Return a workflow whose result is a reference."""
    bench.add("Make", lambda: (make(),), {}, returns=("THING",))
    return workflow(n1=("Make", {}), n2=writes("thing", ["1", 0]))


def test_what_a_reference_gives_may_be_changed(bench: Bench, context: WorkflowContext) -> None:
    program = keeper(bench, lambda: [[torch.ones(2), {"pooled": torch.ones(2), "strength": 1}], (torch.ones(1),)])
    bench.run(context, program)
    for _ in range(2):
        thing = context.load("thing")
        assert float(thing[0][0][0]) == thing[0][1]["strength"] == float(thing[1][0]) == 1
        thing[0][0] += 5
        thing[0][0].numpy()[:] = 7
        thing[0][1]["strength"] = 5
        thing[0][1]["pooled"].mul_(3)
        thing[1][0].zero_()
        thing.append(1)
    assert bench.ran() == ["Make"]


def test_an_object_is_shared(bench: Bench, context: WorkflowContext) -> None:
    bench.run(context, keeper(bench, Model))
    assert context.load("thing") is context.load("thing")


def test_saving_an_unchanged_reference_stores_its_recipe(bench: Bench, context: WorkflowContext) -> None:
    for make in (lambda: [[torch.ones(2), {"strength": 1}]], lambda: torch.ones(2), Model):
        bench.run(context, keeper(bench, make))
        context.save("copy", context.load("thing"))
        info = context.get_storage_info("copy")
        assert info is not None
        assert info["pass_by"] == "ref"


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: torch.ones(2), lambda thing: thing.add_(1)),
        (lambda: [[torch.ones(2), {"strength": 1}]], lambda thing: thing[0][1].update(strength=2)),
        (lambda: {"samples": torch.ones(2)}, lambda thing: thing["samples"].mul_(2)),
    ],
)
def test_saving_a_changed_value_stores_the_value(
    bench: Bench, context: WorkflowContext, make: Callable[[], Any], change: Callable[[Any], Any]
) -> None:
    bench.run(context, keeper(bench, make))
    thing = context.load("thing")
    change(thing)
    context.save("copy", thing)
    info = context.get_storage_info("copy")
    assert info is not None
    assert info["pass_by"] == "val"
    assert repr(context.load("copy")) == repr(thing)
    assert repr(context.load("thing")) != repr(thing)


class Patched(Model):
    """As ComfyUI's ModelPatcher, which gives itself another number with each patch."""

    def __init__(self) -> None:
        self.patches_uuid = 1
        self.model_options: dict[str, Any] = {"transformer_options": {}}


def test_saving_a_changed_model_is_refused(bench: Bench, context: WorkflowContext) -> None:
    bench.run(context, keeper(bench, Patched))
    for change in (
        lambda thing: setattr(thing, "patches_uuid", 2),
        lambda thing: thing.model_options["transformer_options"].update(patch=1),
    ):
        thing = context.load("thing")
        change(thing)
        with pytest.raises(EncodingError, match="has been changed since it was loaded"):
            context.save("copy", thing)
        bench.engine._cache.clear()


def test_saving_an_object_whose_attributes_changed_is_warned_of(
    bench: Bench, context: WorkflowContext, caplog: pytest.LogCaptureFixture
) -> None:
    bench.run(context, keeper(bench, Model))
    thing = context.load("thing")
    context.save("copy", thing)
    assert "changed" not in caplog.text
    thing.weight = 2
    context.save("copy", thing)
    assert "has been changed since it was loaded" in caplog.text
