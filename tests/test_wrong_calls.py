"""Calls of the public API that are mistaken: reported in a sentence, before anything is read or run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import discomfort
from discomfort.runtime.engines.protocol import ENGINE_PARTS
from discomfort.tools import WorkflowTools

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"
FILES = [str(QUICKSTART / "load_vae.json"), str(QUICKSTART / "main_workflow.json")]


class Assembled:
    """An engine put together from parts."""

    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)


@pytest.fixture
def context() -> Iterator[discomfort.Context]:
    with discomfort.Context() as opened:
        yield opened


@pytest.mark.parametrize("single", [FILES[0], Path(FILES[0]), json.loads(Path(FILES[0]).read_text()), None, 5])
def test_one_workflow_is_a_list_too(single: Any) -> None:
    for call in (discomfort.compile, WorkflowTools().stitch_workflows):
        with pytest.raises(TypeError, match=r"expected a list of workflows, found .*: \[workflow\]"):
            call(single)


def test_compile_names_every_wrong_argument() -> None:
    with pytest.raises(TypeError, match=r"catalog is dict .*outputs is str 'output'.*order is str 'sideways'"):
        discomfort.compile(FILES, catalog={}, outputs="output", order="sideways")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"outputs is list \['output', 5\]"):
        discomfort.compile(FILES, outputs=["output", 5])  # type: ignore[list-item]


def test_workflows_that_can_be_read_once_only_are_kept_for_the_pictures() -> None:
    assert discomfort.compile(file for file in FILES).sources == tuple(FILES)  # type: ignore[arg-type]


def test_a_plan_that_is_none_is_reported() -> None:
    with pytest.raises(ValueError, match="not a Discomfort plan"):
        discomfort.Plan.from_json(5)  # type: ignore[arg-type]


def test_a_run_names_what_is_wrong_with_its_arguments(context: discomfort.Context) -> None:
    plan = discomfort.compile(FILES)
    with pytest.raises(TypeError, match="a plan runs on a Context, not on None"):
        plan.run(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="inputs maps names to values, found list"):
        plan.run(context, inputs=[1])  # type: ignore[arg-type]
    for iterations in ("x", 1.5, True):
        with pytest.raises(TypeError, match="iterations is a whole number"):
            plan.run(context, iterations=iterations)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="effects is 'run' or 'skip', found 'maybe'"):
        plan.run(context, effects="maybe")  # type: ignore[arg-type]
    with pytest.raises(discomfort.EngineError, match=r"5 is not an engine; .*'embedded'"):
        plan.run(context, engine=5)  # type: ignore[arg-type]
    with pytest.raises(discomfort.EngineError, match=r"write inprocess:PATH"):
        plan.run(context, engine="inprocess:")
    assert context.list_keys() == []


def test_an_engine_that_lacks_a_part_is_refused(context: discomfort.Context) -> None:
    """A misspelled method of a user's engine must not turn remembering off silently."""
    whole = discomfort.EmbeddedEngine()
    parts = {name: getattr(whole, name) for name in ENGINE_PARTS}
    complete: Any = Assembled(**parts)
    plan = discomfort.compile([QUICKSTART / "load_vae.json"])
    assert list(plan.run(context, engine=complete)) == ["vae"]
    for name in ENGINE_PARTS:
        lacking: Any = Assembled(**{**parts, f"{name}_": None})
        delattr(lacking, name)
        with pytest.raises(discomfort.EngineError, match="not an engine" if name == "run" else f"it lacks {name} "):
            plan.run(context, engine=lacking)
    sourceless: Any = Assembled(**{name: part for name, part in parts.items() if name not in ("sources", "doubt")})
    with pytest.raises(discomfort.EngineError, match="it lacks doubt, sources"):
        plan.run(context, engine=sourceless)


def test_a_misspelled_input_is_warned_of(context: discomfort.Context, caplog: pytest.LogCaptureFixture) -> None:
    plan = discomfort.compile(FILES)
    context.save("photo", discomfort.Tools.open_image_as_tensor(QUICKSTART / "coffee.png"))
    plan.run(context, inputs={"width": 32, "strength": 0.5, "for_another_run": 1})
    assert not caplog.records
    plan.run(context, inputs={"width": 32, "strenght": 1.0})
    assert [record.getMessage() for record in caplog.records] == [
        "no input of this plan is called 'strenght'; did you mean 'strength'?"
    ]


def test_a_sweep_takes_lists(context: discomfort.Context) -> None:
    plan = discomfort.compile(FILES)
    with pytest.raises(TypeError, match="'width' is str '32', 'strength' is int 3"):
        plan.sweep(context, {"width": "32", "strength": 3})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="parameters maps names to lists of values, found list"):
        plan.sweep(context, ["width"])  # type: ignore[arg-type]


def test_everything_that_discomfort_raises_on_purpose_has_one_base(context: discomfort.Context) -> None:
    with pytest.raises(discomfort.DiscomfortError):
        context.load("absent")
    with pytest.raises(discomfort.DiscomfortError):
        discomfort.Context(max_ram_gb=-1)


def test_stitching_reports_what_is_wrong_with_every_workflow() -> None:
    tools = WorkflowTools()
    with pytest.raises(discomfort.CompileError) as caught:
        tools.stitch_workflows(["absent.json", {}, FILES[0], b""])
    assert [finding.code for finding in caught.value.diagnostics if finding.code < "DF150"] == [
        "DF101",
        "DF103",
        "DF102",
    ]
    with pytest.raises(discomfort.CompileError, match="DF209"):
        tools.stitch_workflows([])


def test_a_document_with_an_id_that_is_none_is_not_valid() -> None:
    assert not WorkflowTools().validate_workflow({"nodes": [{"id": [], "type": "A"}], "links": []})
